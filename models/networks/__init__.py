"""Mask networks, one module each, called after its kind; :func:`~slakh_hier.models.registry.register_network` adds it.

A network is a :class:`torch.nn.Module`. ``network(mixture, anchor)`` maps spectra, complex64 (batch, bins, frames), to
time-frequency masks, real in [0, 1] or complex, (batch, levels, bins, frames), leaf first. ``anchor`` is None, or what the
network's own module ``query`` made of a query's spectrum: (batch, bins, query frames) to (batch, features). A network whose
options have ``joint_channels`` sees (batch, channels, bins, frames) and gives (batch, levels, channels, bins, frames).

The STFT, the constraint and the way back to signals are :class:`~slakh_hier.models.separator.Separator`'s.
"""
