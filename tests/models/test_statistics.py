"""Means, medians, intervals and p, against slow second writings."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from slakh_hier.models.statistics import (
    describe,
    difference,
    interval,
    intervals,
    level_means,
    level_medians,
    resampled_means,
    share,
)


def ragged(seeds: int, clips: int, levels: int, songs: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(3)
    values = generator.normal(2, 3, (seeds, clips, levels))
    values[0, 1, 0] = values[-1, 4, levels - 1] = np.nan
    return values, np.arange(clips) % songs


def test_means_are_those_of_plain_loops() -> None:
    values, _ = ragged(3, 10, 2, 4)
    expected = [
        np.mean([x for seed in values[:, :, level] for x in seed if not math.isnan(x)]) for level in range(2)
    ]
    assert level_means(values) == pytest.approx([*expected, np.mean(expected)])


def test_medians_are_those_of_plain_loops() -> None:
    values, _ = ragged(3, 10, 2, 4)
    pooled = [clip for seed in values for clip in seed]
    expected = [
        np.median([clip[level] for clip in pooled if not math.isnan(clip[level])]) for level in range(2)
    ]
    means = [np.mean([x for x in clip if not math.isnan(x)]) for clip in pooled]
    assert level_medians(values) == pytest.approx([*expected, np.median(means)])


def test_resampling_is_that_of_plain_loops() -> None:
    """The same draws, each written out as the lists of clips it stands for."""
    values, songs = ragged(3, 10, 2, 4)
    fast = resampled_means(values, songs)
    generator = np.random.default_rng(0)
    drawn_songs = generator.multinomial(4, np.full(4, 0.25), size=len(fast))
    drawn_seeds = generator.multinomial(3, np.full(3, 1 / 3), size=len(fast))
    for place in (0, 17, len(fast) - 1):
        seeds = np.repeat(np.arange(3), drawn_seeds[place])
        chosen = [song for song in range(4) for _ in range(drawn_songs[place][song])]
        by_level = []
        for level in range(2):
            pool = [values[k, c, level] for k in seeds for s in chosen for c in range(10) if songs[c] == s]
            by_level.append(np.mean([x for x in pool if not math.isnan(x)]))
        assert fast[place] == pytest.approx([*by_level, np.mean(by_level)])


def test_resampling_takes_whole_songs() -> None:
    """Two songs whose clips agree: a mean over resampled clips would hardly vary, over songs it takes three values."""
    values = np.repeat([0.0, 4.0], 50)[None, :, None]
    means = resampled_means(values, np.repeat([0, 1], 50))[:, 0]
    assert set(means.round(6)) == {0.0, 2.0, 4.0}
    assert interval(means) == (0.0, 4.0)
    assert (means == 2.0).mean() == pytest.approx(0.5, abs=0.05)


def test_songs_without_a_value_are_not_drawn() -> None:
    """Else whole resamples would be of songs that say nothing."""
    values = np.full((1, 40, 1), np.nan)
    values[0, :8, 0] = np.repeat([1.0, 3.0], 4)
    songs = np.repeat(np.arange(10), 4)
    (level, together) = describe({"estimate": values}, songs)
    assert level == together
    assert (level.estimate, level.median, level.clips, level.ci95) == (2.0, 2.0, 8, (1.0, 3.0))
    (none, _) = describe({"estimate": np.full((1, 40, 1), np.nan)}, songs)
    assert (none.estimate, none.median, none.clips, none.ci95) == (None, None, 0, None)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    """Songs differ by 1 dB, clips by 0.5 dB: intervals over clips alone would cover far too seldom."""
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(60):
        songs = np.repeat(np.arange(30), 4)
        values = (generator.normal(0, 1, 30)[songs] + generator.normal(0, 0.5, 120))[None, :, None]
        low, high = intervals(values, songs)[0] or (0, 0)
        hits += low <= 0 <= high
    assert 51 <= hits <= 60


def test_p_is_that_of_all_sign_flips() -> None:
    values, songs = ragged(2, 12, 1, 6)
    other = np.random.default_rng(9).normal(0, 3, values.shape)
    found = difference(values, other, songs, 0)
    per_clip = np.nanmean(values - other, 0)[:, 0]
    sums = [sum(x for x, s in zip(per_clip, songs, strict=True) if s == song) for song in range(6)]
    flipped = [
        sum(f * x for f, x in zip(flips, sums, strict=True)) for flips in itertools.product((1, -1), repeat=6)
    ]
    one_sided = [
        np.mean([f <= sum(sums) + 1e-9 for f in flipped]),
        np.mean([f >= sum(sums) - 1e-9 for f in flipped]),
    ]
    assert found.p == pytest.approx(min(1, 2 * min(one_sided)))
    assert found.mean == pytest.approx(np.nanmean(values - other))
    assert found.ci95 is not None
    assert found.ci95[0] < found.mean < found.ci95[1]


def test_one_song_says_nothing_about_others() -> None:
    values, songs = ragged(1, 10, 2, 1)
    assert intervals(values, songs) == [None] * 3
    assert difference(values, values * 0, songs, 0).p is None
    assert share(values, values, songs, 0) == (1.0, None)
