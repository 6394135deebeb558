"""Energies and mixture SI-SDR of any submix in any window, from per-hop Gram matrices.

For stems ``x_1 ... x_S`` and one hop, ``gram[i, j] = sum_t x_i[t] x_j[t]`` and ``sums[i] = sum_t x_i[t]``. A submix
with membership vector ``m`` (0/1 per stem) then has energy ``m' gram m``, so that every tree and every
threshold is answered without reading audio again. Samples are integers (full scale 32768); for 16-bit audio all
values stay below 2**53 and are exact in float64 whatever the order of summation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from slakh_hier.audio import FULL_SCALE
from slakh_hier.signals import sample_at

HOPS_PER_SECOND = 2
"""Half-second hops: every grid of whole half seconds is answered exactly."""

Floats = NDArray[np.float64]


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


def mixture_si_sdr(gram: Floats, sums: Floats, samples: int, membership: NDArray[np.bool_]) -> Floats:
    """SI-SDR (dB) of the untouched mixture of all stems against each submix, zero-mean and optimally scaled.

    With mixture ``m``, target ``n``, rest ``r = m - n`` (means removed) and ``a = <m, n> / <n, n>``:
    ``|a n|^2 / |m - a n|^2``, where ``m - a n = r + (1 - a) n`` avoids the cancellation of ``|m|^2 - |a n|^2``
    (Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019, eq. 5).

    Parameters
    ----------
    gram, sums
        (windows, stems, stems) and (windows, stems) of the mixture's stems.
    samples
        Length of a window.
    membership
        (nodes, stems).

    Returns
    -------
    (windows, nodes) float64; NaN for a silent target, inf where the mixture is the target alone.
    """
    centred = gram - sums[:, :, None] * sums[:, None, :] / samples
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
