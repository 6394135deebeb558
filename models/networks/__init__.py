"""Mask networks. All are called alike: ``network(mixture, anchor)`` on spectra gives one mask a level.

A network has ``levels`` (masks it gives), ``takes_query``, and ``encode``, which makes the anchor of a query. Masks
are real or complex, (batch, levels, bins, frames), leaf first. The STFT, the constraint and the way back to signals
are :class:`~slakh_hier.models.separator.Separator`'s.
"""
