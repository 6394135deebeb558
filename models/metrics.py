"""SI-SDR, and how sure its mean over clips is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

RESAMPLES = 2000


def si_sdr(estimate: Tensor, target: Tensor) -> Tensor:
    """Scale-invariant SDR in dB: zero mean, optimal scaling (Le Roux et al., ICASSP 2019), by torchmetrics.

    With the mean of each channel removed from the estimate e and the target s, one scale a = <e, s> / <s, s> for all
    channels, and products that are sums over all channels: 10 log10 (|a s|^2 / |e - a s|^2).

    Parameters
    ----------
    estimate, target
        (..., channels, samples), broadcast against each other. Computed in float64.

    Returns
    -------
    Tensor
        float64, (...). NaN where the estimate or the target is constant (silent): torchmetrics would return
        0 dB for a silent estimate, better than most mixtures.
    """
    shape = torch.broadcast_shapes(estimate.shape, target.shape)  # type: ignore[no-untyped-call]
    estimate, target = (_centred(signal).expand(shape).flatten(-2) for signal in (estimate, target))
    value = scale_invariant_signal_distortion_ratio(estimate, target)
    silent = _silent(estimate) | _silent(target)
    return value.masked_fill(silent, math.nan)


def leaked_db(estimate: Tensor, mixture: Tensor, floor: float = -120.0) -> Tensor:
    """Energy of an estimate that should be silent, in dB of the mixture's; (..., channels, samples) to float64 (...)."""
    energies = [signal.double().square().sum((-2, -1)) for signal in (estimate, mixture)]
    energy = energies[0] / energies[1].clamp_min(1e-30)
    return 10 * torch.log10(energy.clamp_min(10 ** (floor / 10)))


def bootstrap_means(
    frame: pd.DataFrame, columns: Sequence[str], *, resamples: int = RESAMPLES, seed: int = 0
) -> NDArray[np.float64]:
    """Means over clips in resampled sets of songs.

    Clips of a song are alike, so songs are drawn (with replacement, as many as there are), each with all its
    clips; taking clips as independent would make intervals too narrow.

    Parameters
    ----------
    frame
        One row a clip, with a column ``song``; NaN values are left out of their column's mean.
    columns
        What to average.

    Returns
    -------
    array
        float64, (resamples, columns); NaN where a resample holds no value.
    """
    by_song = frame.groupby("song", sort=True)[list(columns)]
    sums, counts = by_song.sum().to_numpy(float), by_song.count().to_numpy(float)
    songs = len(sums)
    drawn = np.random.default_rng(seed).multinomial(songs, np.full(songs, 1 / songs), size=resamples)
    with np.errstate(invalid="ignore"):
        means: NDArray[np.float64] = (drawn @ sums) / (drawn @ counts)
    return means


def interval(values: NDArray[np.float64]) -> list[float] | None:
    """2.5 and 97.5 percentile of bootstrap results; None where there are none."""
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return None
    return [float(x) for x in np.percentile(values, [2.5, 97.5])]


def _centred(signal: Tensor) -> Tensor:
    signal = signal.double()
    return signal - signal.mean(-1, keepdim=True)


def _silent(centred: Tensor) -> Tensor:
    return centred.abs().amax(-1) < 1e-12
