"""SI-SDR against its formula in numpy, intervals against known cases, the summary against a loop."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from slakh_hier.models.metrics import METRICS, leakage, si_sdr
from slakh_hier.models.references import oracle
from slakh_hier.models.stft import Stft
from slakh_hier.models.summary import entries_by_level, entries_by_node
from slakh_hier.scores.summary import Summary, Values
from slakh_hier.scores.tables import INTERVAL, flat_rows, score_tables


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100), st.floats(-2, 2))
def test_si_sdr_is_the_formula_and_knows_no_scale_or_offset(seed: int, scale: float, offset: float) -> None:
    rng = np.random.default_rng(seed)
    target, noise = rng.standard_normal((2, 200))
    estimate = target + 0.3 * noise
    s, e = target - target.mean(), estimate - estimate.mean()
    projected = s * (e @ s) / (s @ s)
    expected = 10 * np.log10((projected @ projected) / ((e - projected) @ (e - projected)))
    for given_estimate in (estimate, scale * estimate + offset):
        found = si_sdr(torch.from_numpy(given_estimate[None]), torch.from_numpy(target[None])).item()
        assert found == pytest.approx(expected, abs=1e-6)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100))
def test_si_sdr_has_one_scale_for_all_channels_and_a_mean_for_each(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    target, noise = rng.standard_normal((2, 2, 200)) * [[1.0], [0.2]]
    estimate = target * [[1.0], [0.5]] + 0.1 * noise
    s, e = (x - x.mean(axis=1, keepdims=True) for x in (target, estimate))
    a = (e * s).sum() / (s * s).sum()
    expected = 10 * np.log10(((a * s) ** 2).sum() / ((e - a * s) ** 2).sum())
    offsets = rng.standard_normal((2, 1))
    for given_estimate in (estimate, scale * estimate + offsets):
        found = si_sdr(torch.from_numpy(given_estimate), torch.from_numpy(target)).item()
        assert found == pytest.approx(expected, abs=1e-6)
    # A channel that is too quiet is an error, which a scale for each channel would hide.
    each = [si_sdr(torch.from_numpy(estimate[[c]]), torch.from_numpy(target[[c]])).item() for c in (0, 1)]
    assert min(each) > expected - 12
    assert torch.isnan(si_sdr(torch.from_numpy(0 * target), torch.from_numpy(target)))
    alone = target * [[1.0], [0.0]]
    assert torch.isfinite(si_sdr(torch.from_numpy(estimate), torch.from_numpy(alone)))


def test_silence_has_no_si_sdr() -> None:
    rng = torch.Generator().manual_seed(0)
    signal, zero = torch.randn(1, 100, generator=rng), torch.zeros(1, 100)
    assert math.isnan(si_sdr(zero, signal).item())
    assert math.isnan(si_sdr(signal, zero).item())
    assert math.isnan(si_sdr(torch.ones(1, 100), signal).item())
    assert math.isfinite(si_sdr(signal + 1, signal).item())


def test_leaks_are_energies_relative_to_the_mixture() -> None:
    mixture = torch.ones(2, 1000)
    assert leakage(0.1 * mixture, mixture).item() == pytest.approx(-20)
    assert leakage(0 * mixture, mixture).item() == pytest.approx(-120)


def scores() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = []
    for clip in range(12):
        for level, node in ((1, "clean"), (2, "guitars")):
            counted = not (clip == 3 and level == 1) and clip != 11
            mix, model = rng.normal(-5, 2), rng.normal(1, 2)
            rows.append(
                {
                    "clip": clip,
                    "song": f"song{clip // 3}",
                    "level": level,
                    "node": node,
                    "si_sdr_mixture": mix if counted else math.nan,
                    "si_sdr_estimate": model if counted else math.nan,
                    "si_sdr_improvement": model - mix if counted else math.nan,
                    "si_sdr_oracle": mix + 10 if counted else math.nan,
                    "leakage_estimate": -30.0 - level if clip == 11 else math.nan,
                    "counted": counted,
                    "dropped": clip == 3 and level == 1,
                }
            )
    return pd.DataFrame(rows)


ABOUT = {name: metric.about for name, metric in METRICS.items()}


def test_summary_against_a_loop() -> None:
    table = scores()
    levels, together = entries_by_level(table, (1, 2), ABOUT)
    nodes = entries_by_node(table, ABOUT)
    for level, dropped, clips in ((1, 1, 10), (2, 0, 11)):
        entry, values = levels[str(level)], levels[str(level)]["si_sdr"]
        part = [row for row in table.to_dict("records") if row["level"] == level and row["counted"]]
        assert (entry.clips, entry.dropped, values.clips) == (clips, dropped, clips)
        for name in ("mixture", "estimate", "improvement", "oracle"):
            assert getattr(values, name) == pytest.approx(sum(row[f"si_sdr_{name}"] for row in part) / clips)
        assert values.median == pytest.approx(np.median([row["si_sdr_improvement"] for row in part]))
        assert values.ci95 is not None
        assert values.ci95[0] < (values.improvement or 0) < values.ci95[1]
        assert (values.oracle or 0) - (values.mixture or 0) == pytest.approx(10)
        node = nodes["clean" if level == 1 else "guitars"]["si_sdr"]
        assert node.improvement == pytest.approx(values.improvement)
        assert node.ci95 == pytest.approx(values.ci95)
    means = together["si_sdr"]
    for name in ("mixture", "estimate", "improvement"):
        each = [getattr(levels[level]["si_sdr"], name) for level in ("1", "2")]
        assert getattr(means, name) == pytest.approx(sum(each) / 2)
    assert (together.clips, together.dropped) == (11, 1)
    assert nodes["guitars"]["leakage"].estimate == -32.0
    assert nodes["guitars"]["leakage"].clips == 1
    assert nodes["guitars"]["leakage"].improvement is None


def summary_of(table: pd.DataFrame) -> Summary:
    levels, together = entries_by_level(table, (1, 2), ABOUT)
    return Summary(
        split="test", shards="s", task="sss", step=1, plan_digest="a", songs=4, metrics=ABOUT, levels=levels,
        all_levels=together, nodes=entries_by_node(table, ABOUT),
    )  # fmt: skip


def test_tables_for_people_start_with_the_coarsest_level() -> None:
    summary = summary_of(scores())
    by_level, by_node, leaks, leaks_by_node = score_tables(summary)
    assert [row["level"] for row in by_level.rows] == ["level 2", "level 1", "all levels"]
    assert [row["node"] for row in by_node.rows] == ["guitars", "clean"]
    assert by_level.rows[0][INTERVAL] == summary.levels["2"]["si_sdr"].ci95
    assert by_node.rows[1][INTERVAL] == summary.nodes["clean"]["si_sdr"].ci95
    assert (by_level.title, leaks.title) == ("SI-SDR (dB) on test", "leakage (dB) on test")
    assert list(leaks_by_node.rows[0]) == ["node", "level", "estimate", INTERVAL, "median", "clips"]
    flat = flat_rows(summary)
    assert {(row["metric"], row["node"], row["level"]) for row in flat} == {
        (metric, node, level)
        for metric in ABOUT
        for node, level in (("", "2"), ("", "1"), ("", "all"), ("clean", "1"), ("guitars", "2"))
    }


def test_nothing_to_count_is_none_not_nan() -> None:
    table = scores()
    table["counted"] = False
    table[[name for name in table if name.startswith("si_sdr")]] = math.nan
    levels, together = entries_by_level(table, (1, 2), ABOUT)
    assert levels["1"]["si_sdr"] == Values()
    assert together["si_sdr"] == Values()
    one_song, _ = entries_by_level(scores().assign(song="only"), (1, 2), ABOUT)
    assert one_song["1"]["si_sdr"].ci95 is None
    assert one_song["1"]["si_sdr"].improvement is not None


def test_the_oracle_is_better_than_any_other_mask() -> None:
    """In mean squared error of the spectrum, bin by bin, among masks in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    stft = Stft(64, 32)
    sources = torch.randn(1, 2, 2, 640, generator=generator)
    mixture = sources.sum(1)
    spectrum, truth = stft(mixture).unsqueeze(1), stft(sources)
    from slakh_hier.models.losses.tpsa import truncated_target

    best = truncated_target(spectrum, truth) * spectrum / spectrum.abs()
    for step in range(11):
        other = spectrum * (step / 10)
        assert bool(((best - truth).abs() <= (other - truth).abs() + 1e-5).all())
    torch.testing.assert_close(oracle(stft, mixture, sources), stft.inverse(best, 640))
