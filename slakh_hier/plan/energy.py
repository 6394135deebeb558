"""Energies and mixture SI-SDR of any submix in any window, from per-hop Gram matrices.

For stems ``x_1 ... x_S`` and one hop, ``gram[i, j] = sum_t x_i[t] x_j[t]`` and ``sums[i] = sum_t x_i[t]``. A submix
with membership vector ``m`` (0/1 per stem) then has energy ``m' gram m``, so that every tree and every
threshold is answered without reading audio again. Samples are integers (full scale 32768); for 16-bit audio all
values stay below 2**53 and are exact in float64 whatever the order of summation.

Stereo stems have moments of their mid, ``(L + R) / 2``, which is the stem folded down to mono, and of their side,
``(L - R) / 2``. The mean over the channels of any product is that of the mids plus that of the sides, as the cross terms
cancel: ``(L L' + R R') / 2 = M M' + S S'``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from slakh_hier.audio import FULL_SCALE
from slakh_hier.signals import sample_at

HOPS_PER_SECOND = 2
"""Half-second hops: every grid of whole half seconds is answered exactly."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """First and second moments of a track's stems, of one signal each, in hops or windows."""

    sums: Floats
    """(hops, stems) float64, sums of samples."""
    gram: Floats
    """(hops, stems, stems) float64, inner products of each pair."""

    def of_stems(self, index: Sequence[int]) -> Moments:
        """Those of some stems."""
        return Moments(self.sums[:, index], self.gram[:, index][:, :, index])

    def windows(self, first: NDArray[np.int64], hops: int) -> Moments:
        """Those of windows of ``hops`` hops; see :func:`window_sums`."""
        return Moments(window_sums(self.sums, first, hops), window_sums(self.gram, first, hops))


def total_gram(parts: Sequence[Moments]) -> Floats:
    """Inner products, as the mean over channels: of a mono signal, or of mid and side together."""
    total = parts[0].gram
    for part in parts[1:]:
        total = total + part.gram
    return total


def hop_edge(hop: int, sample_rate: int) -> int:
    """First sample of a hop, as clips are cut."""
    return sample_at(hop / HOPS_PER_SECOND, sample_rate)


def window_sums(values: Floats, first: NDArray[np.int64], hops: int) -> Floats:
    """Sums over ``hops`` consecutive hops, exact for integers.

    Parameters
    ----------
    values
        (all hops, ...) per-hop values.
    first
        (windows,) first hop of each window; ``first + hops <= all hops``.

    Returns
    -------
    (windows, ...) float64
    """
    if len(first) == 0:
        return np.zeros((0, *values.shape[1:]))
    # reduceat sums values[a:b] for neighbouring pairs (a, b); the extra row lets b be the end.
    padded = np.concatenate([values, np.zeros((1, *values.shape[1:]))])
    edges = np.stack([first, first + hops], axis=1).ravel()
    return np.asarray(np.add.reduceat(padded, edges, axis=0)[::2])


def submix_energy(gram: Floats, membership: NDArray[np.bool_]) -> Floats:
    """Energy of submixes: ``gram`` (windows, stems, stems), ``membership`` (nodes, stems) -> (windows, nodes)."""
    member = membership.astype(np.float64)
    return np.asarray(np.einsum("wns,ns->wn", member @ gram, member))


def rms_dbfs(energy: Floats, samples: int) -> Floats:
    """RMS level of an energy over ``samples`` samples, dBFS (full-scale square wave = 0); silence is -inf."""
    with np.errstate(divide="ignore"):
        return np.asarray(10 * np.log10(energy / (samples * FULL_SCALE**2)))


def mixture_si_sdr(parts: Sequence[Moments], samples: int, membership: NDArray[np.bool_]) -> Floats:
    """SI-SDR (dB) of the unprocessed mixture of all stems against each submix, zero-mean and optimally scaled.

    With mixture ``m``, target ``n``, rest ``r = m - n`` (the mean of each channel removed) and ``a = <m, n> / <n, n>``,
    products being sums over all channels: ``|a n|^2 / |m - a n|^2``, where ``m - a n = r + (1 - a) n`` avoids the
    cancellation of ``|m|^2 - |a n|^2`` (Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019).

    Parameters
    ----------
    parts
        Moments of the mixture's stems in windows: of a mono signal, or of mid and side.
    samples
        Length of a window.
    membership
        (nodes, stems).

    Returns
    -------
    (windows, nodes) float64; NaN for a silent target, inf where the mixture is the target alone.
    """
    gram = total_gram(parts)
    centred = gram - sum(part.sums[:, :, None] * part.sums[:, None, :] for part in parts) / samples
    member = membership.astype(np.float64)
    rest = 1 - member
    products = member @ centred  # (windows, nodes, stems)
    target = np.einsum("wns,ns->wn", products, member)
    cross = np.einsum("wns,ns->wn", products, rest)
    remainder = np.einsum("wns,ns->wn", rest @ centred, rest)
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = (target + cross) / target
        noise = remainder + 2 * (1 - scale) * cross + (1 - scale) ** 2 * target
        ratio = 10 * np.log10(scale**2 * target / np.maximum(noise, 0))
    alone = ~(rest.astype(bool) & (np.einsum("wss->ws", gram) > 0)[:, None, :]).any(axis=2)
    return np.asarray(np.where(target <= 0, np.nan, np.where(alone, np.inf, ratio)))
