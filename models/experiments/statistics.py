"""How sure a mean over clips, songs and seeds is, and whether two rows differ.

Clips of one song are alike and so are results of one seed. So whole songs and whole seeds are drawn with
replacement (a crossed bootstrap; Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8),
and a test between two rows flips the sign of whole songs' differences.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import permutation_test

from slakh_hier.models.metrics import interval

RESAMPLES = 4000
LEAST_SONGS = 2
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """One row's improvement minus another's, clip by clip.

    Attributes
    ----------
    mean : float, dB, or None
        None where no clip of the level counts.
    ci95 : (low, high) or None
        Over songs and seeds; None with fewer than two songs.
    p : float or None
        Two-sided, by sign flips of songs; with S songs it cannot be below 2 ** (1 - S).
    songs, seeds
        How many.
    """

    mean: float | None
    ci95: list[float] | None
    p: float | None
    songs: int
    seeds: int


def level_means(values: Array) -> Array:
    """Mean over seeds and clips, (seeds, clips, levels) to (levels + 1,): each level, then their plain mean."""
    with np.errstate(invalid="ignore"):
        by_level = np.nansum(values, (0, 1)) / np.isfinite(values).sum((0, 1))
    return _with_all(by_level)


def level_medians(values: Array) -> Array:
    """Median over seeds and clips, (seeds, clips, levels) to (levels + 1,): each level, then of the clips' means."""
    pooled = values.reshape(-1, values.shape[2])
    clips = pooled[np.isfinite(pooled).any(1)]
    columns = [*clips.T, np.array([np.nanmean(clip) for clip in clips])]
    return np.array([np.median(kept) if (kept := c[np.isfinite(c)]).size else np.nan for c in columns])


def resampled_means(values: Array, songs: NDArray[np.intp], *, seed: int = 0) -> Array:
    """:func:`level_means` of resampled songs and seeds: (seeds, clips, levels) to (resamples, levels + 1).

    Two calls with equal shapes, songs and ``seed`` draw the same songs and seeds, so that their results are paired.

    Parameters
    ----------
    songs
        int (clips,): the number of each clip's song.
    """
    generator = np.random.default_rng(seed)
    count = int(songs.max()) + 1
    member = np.eye(count)[songs]  # (clips, songs)
    sums = np.einsum("kcl,cs->ksl", np.nan_to_num(values), member)
    counts = np.einsum("kcl,cs->ksl", np.isfinite(values).astype(float), member)
    drawn_songs = generator.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    seeds = len(values)
    drawn_seeds = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=RESAMPLES)
    with np.errstate(invalid="ignore"):
        by_level = _weighted(drawn_seeds, drawn_songs, sums) / _weighted(drawn_seeds, drawn_songs, counts)
    return _with_all(by_level)


def intervals(values: Array, songs: NDArray[np.intp]) -> list[list[float] | None]:
    """95 % interval of each level's mean and of their mean; None with fewer than two songs."""
    if len(np.unique(songs)) < LEAST_SONGS:
        return [None] * (values.shape[2] + 1)
    return [interval(column) for column in resampled_means(values, songs).T]


def difference(one: Array, other: Array, songs: NDArray[np.intp], level: int) -> Difference:
    """Compare two rows on the same seeds and clips.

    Parameters
    ----------
    one, other
        (seeds, clips, levels), dB.
    level
        Index of a level; -1: their mean.
    """
    gaps = one - other
    count = len(np.unique(songs))
    mean = known(level_means(gaps)[level])
    if mean is None or count < LEAST_SONGS:
        return Difference(mean, None, None, count, len(gaps))
    with np.errstate(invalid="ignore"):  # a level at which a clip is dropped has no seed's value
        per_clip = _with_all(np.nansum(gaps, 0) / np.isfinite(gaps).sum(0))[:, level]
    finite = np.isfinite(per_clip)
    per_song = np.bincount(songs[finite], per_clip[finite])
    test = permutation_test(
        (per_song, np.zeros_like(per_song)),
        lambda a, b, axis: (a - b).mean(axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=9999,
        rng=np.random.default_rng(0),
    )
    return Difference(
        mean, interval(resampled_means(gaps, songs)[:, level]), float(test.pvalue), count, len(gaps)
    )


def share(
    part: Array, whole: Array, songs: NDArray[np.intp], level: int
) -> tuple[float | None, list[float] | None]:
    """How much of one row's improvement another keeps: the ratio of their means and its 95 % interval.

    The interval is None with fewer than two songs, or where the whole is not surely above zero; the ratio where no
    clip counts.
    """
    kept = known(level_means(part)[level] / level_means(whole)[level])
    if len(np.unique(songs)) < LEAST_SONGS:
        return kept, None
    wholes = resampled_means(whole, songs)[:, level]
    lowest = interval(wholes)
    if lowest is None or lowest[0] <= 0:
        return kept, None
    return kept, interval(resampled_means(part, songs)[:, level] / wholes)


def known(value: float) -> float | None:
    """None for what no clip supports: JSON has no NaN."""
    return float(value) if np.isfinite(value) else None


def _weighted(seeds: NDArray[np.int64], songs: NDArray[np.int64], values: Array) -> Array:
    """(resamples, seeds), (resamples, songs), (seeds, songs, levels) -> (resamples, levels)."""
    weighted: Array = np.einsum("rk,rs,ksl->rl", seeds, songs, values, optimize=True)
    return weighted


def _with_all(by_level: Array) -> Array:
    """Append the plain mean of the levels on the last axis."""
    return np.concatenate([by_level, by_level.mean(-1, keepdims=True)], -1)
