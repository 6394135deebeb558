"""Mask networks. All are called alike: ``network(mixture, query)`` on spectra gives one mask a level.

A network has ``levels`` (masks it gives) and ``takes_query``; masks are real or complex, (batch, levels, bins,
frames), leaf first. The STFT, the constraint and the way back to signals are
:class:`~slakh_hier.models.separator.Separator`'s.
"""
