"""How sure a mean over clips, songs and seeds is, and whether two models differ.

Clips of one song are alike and so are results of one seed. So whole songs and whole seeds are drawn with
replacement (a crossed bootstrap; Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8;
scipy's bootstrap cannot), and a test between two models flips the sign of whole songs' differences.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.stats import permutation_test

from slakh_hier.scores.experiment import Difference
from slakh_hier.scores.summary import Part, Values

RESAMPLES = 4000
LEAST_SONGS = 2
Array = NDArray[np.float64]


def describe(parts: Mapping[Part, Array], songs: NDArray[np.intp]) -> list[Values]:
    """What is reported of a metric: for each level, then for their plain mean.

    Parameters
    ----------
    parts
        By name (``mixture``, ``estimate``, ...), (seeds, clips, levels); NaN where a clip does not count. The interval and
        the median are those of the ``improvement``, where there is one, else of the ``estimate``.
    songs
        int (clips,): the number of each clip's song.
    """
    count = np.isfinite(parts.get("improvement", parts["estimate"])).any((0, 2))
    parts, songs = {name: values[:, count] for name, values in parts.items()}, songs[count]
    songs = np.unique(songs, return_inverse=True)[1]
    means = {name: level_means(values) for name, values in parts.items()}
    main = parts.get("improvement", parts["estimate"])
    there = _finite(main)
    ends, medians = intervals(main, songs), level_medians(main)
    return [
        Values(
            **{name: known(values[place]) for name, values in means.items()},
            ci95=ends[place],
            median=known(medians[place]),
            clips=int(there[:, place].sum()),
        )
        for place in range(main.shape[2] + 1)
    ]


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


def resampled_means(values: Array, songs: NDArray[np.intp]) -> Array:
    """:func:`level_means` of resampled songs and seeds: (seeds, clips, levels) to (resamples, levels + 1).

    Two calls with equal shapes and songs draw the same songs and seeds, so that their results are paired.

    Parameters
    ----------
    songs
        int (clips,): the number of each clip's song.
    """
    generator = np.random.default_rng(0)
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


def intervals(values: Array, songs: NDArray[np.intp]) -> list[tuple[float, float] | None]:
    """95 % interval of each level's mean and of their mean; None where clips of fewer than two songs count."""
    there = _finite(values)
    if len(songs) == 0:
        return [None] * there.shape[1]
    enough = [len(np.unique(songs[column])) >= LEAST_SONGS for column in there.T]
    means = resampled_means(values, songs)
    return [interval(column) if some else None for column, some in zip(means.T, enough, strict=True)]


def interval(values: Array) -> tuple[float, float] | None:
    """2.5 and 97.5 percentile of resampled values; None where there are none."""
    values = values[np.isfinite(values)]
    if len(values) == 0:
        return None
    low, high = np.percentile(values, [2.5, 97.5])
    return float(low), float(high)


def difference(one: Array, other: Array, songs: NDArray[np.intp], level: int) -> Difference:
    """Compare two models' improvements on the same seeds and clips.

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
        return Difference(mean=mean, songs=count, seeds=len(gaps))
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
        mean=mean,
        ci95=interval(resampled_means(gaps, songs)[:, level]),
        p=float(test.pvalue),
        songs=count,
        seeds=len(gaps),
    )


def share(
    part: Array, whole: Array, songs: NDArray[np.intp], level: int
) -> tuple[float | None, tuple[float, float] | None]:
    """How much of one model's improvement another keeps: the ratio of their means and its 95 % interval.

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


def _finite(values: Array) -> NDArray[np.bool_]:
    """(seeds, clips, levels) to (clips, levels + 1): where there is a value, and whether at any level."""
    there = np.asarray(np.isfinite(values).any(0))
    return np.concatenate([there, there.any(1, keepdims=True)], 1)
