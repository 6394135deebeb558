"""Mask networks, one module each, called after its kind; :func:`~slakh_hier.models.registry.register_network` adds it.

A network is a :class:`torch.nn.Module`. ``network(mixture, anchor)`` maps spectra, complex64 (batch, bins, frames), to
time-frequency masks, real in [0, 1] or complex, (batch, levels, bins, frames), finest first. ``anchor`` is None, or what the
network's own module ``query`` made of a query's spectrum: (batch, bins, query frames) to (batch, features).

Each channel of a clip is a clip of its own for such a network. One whose options have ``joint_channels`` sees all of them,
(batch, channels, bins, frames), and gives (batch, levels, channels, bins, frames); its weights then fit one number of
channels. A query has one anchor, the mean of those of its channels, weighted by their energy.

The STFT, the constraint and the way back to signals are :class:`~slakh_hier.models.separator.Separator`'s.
"""
