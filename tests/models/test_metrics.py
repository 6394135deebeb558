"""SI-SDR against its formula in numpy, intervals against known cases, the summary against a loop."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from slakh_hier.models.metrics import bootstrap_means, interval, leaked_db, si_sdr
from slakh_hier.models.references import oracle
from slakh_hier.models.stft import Stft
from slakh_hier.models.summary import level_rows, node_rows, summarise


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 100), st.floats(-2, 2))
def test_si_sdr_is_the_formula_and_knows_no_scale_or_offset(seed: int, scale: float, offset: float) -> None:
    rng = np.random.default_rng(seed)
    target, noise = rng.standard_normal((2, 200))
    estimate = target + 0.3 * noise
    s, e = target - target.mean(), estimate - estimate.mean()
    projected = s * (e @ s) / (s @ s)
    expected = 10 * np.log10((projected @ projected) / ((e - projected) @ (e - projected)))
    for given_estimate in (estimate, scale * estimate + offset):
        found = si_sdr(torch.from_numpy(given_estimate), torch.from_numpy(target)).item()
        assert found == pytest.approx(expected, abs=1e-6)


def test_silence_has_no_si_sdr() -> None:
    rng = torch.Generator().manual_seed(0)
    signal, zero = torch.randn(100, generator=rng), torch.zeros(100)
    assert math.isnan(si_sdr(zero, signal).item())
    assert math.isnan(si_sdr(signal, zero).item())
    assert math.isnan(si_sdr(torch.ones(100), signal).item())
    assert math.isfinite(si_sdr(signal + 1, signal).item())


def test_leaks_are_energies_relative_to_the_mixture() -> None:
    mixture = torch.ones(1000)
    assert leaked_db(0.1 * mixture, mixture).item() == pytest.approx(-20)
    assert leaked_db(0 * mixture, mixture).item() == pytest.approx(-120)


def test_resampling_takes_whole_songs() -> None:
    """Two songs whose clips agree: a mean over resampled clips would hardly vary, over songs it takes three values."""
    frame = pd.DataFrame({"song": ["a"] * 50 + ["b"] * 50, "delta": [0.0] * 50 + [4.0] * 50})
    means = bootstrap_means(frame, ["delta"], resamples=400)[:, 0]
    assert set(means.round(6)) == {0.0, 2.0, 4.0}
    assert interval(means) == [0.0, 4.0]
    assert (means == 2.0).mean() == pytest.approx(0.5, abs=0.1)


def test_the_interval_covers_as_it_says() -> None:
    """Over many data sets of 40 songs, the 95 % interval holds the true mean about 95 % of the time."""
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        song_means = rng.normal(3.0, 2.0, 40)
        values = np.repeat(song_means, 5) + rng.normal(0, 1, 200)
        frame = pd.DataFrame({"song": np.repeat(np.arange(40), 5), "delta": values})
        found = interval(bootstrap_means(frame, ["delta"], resamples=300)[:, 0])
        assert found is not None
        covered += found[0] <= 3.0 <= found[1]
    assert 0.88 <= covered / 200 <= 0.98


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
                    "mix": mix if counted else math.nan,
                    "si_sdr": model if counted else math.nan,
                    "delta": model - mix if counted else math.nan,
                    "oracle": mix + 10 if counted else math.nan,
                    "leak_db": -30.0 - level if clip == 11 else math.nan,
                    "counted": counted,
                    "dropped": clip == 3 and level == 1,
                }
            )
    return pd.DataFrame(rows)


def test_summary_against_a_loop() -> None:
    table = scores()
    summary = summarise(table, (1, 2))
    for level, dropped, clips in ((1, 1, 10), (2, 0, 11)):
        entry = summary["levels"][str(level)]
        part = [row for row in table.to_dict("records") if row["level"] == level and row["counted"]]
        assert (entry["clips"], entry["dropped"]) == (clips, dropped)
        for name in ("mix", "si_sdr", "delta"):
            assert entry[name] == pytest.approx(sum(row[name] for row in part) / clips)
        assert entry["delta"] == pytest.approx(entry["si_sdr"] - entry["mix"])
        assert entry["median"] == pytest.approx(np.median([row["delta"] for row in part]))
        assert entry["ci95"][0] < entry["delta"] < entry["ci95"][1]
        oracle_entry = summary["references"]["oracle"]["levels"][str(level)]
        assert oracle_entry["delta"] == pytest.approx(10)
        assert summary["references"]["mixture"]["levels"][str(level)]["delta"] == 0
    levels = summary["levels"]
    for name in ("mix", "si_sdr", "delta"):
        assert summary["all"][name] == pytest.approx((levels["1"][name] + levels["2"][name]) / 2)
    assert summary["all"]["ci95"][0] < summary["all"]["delta"] < summary["all"]["ci95"][1]
    assert summary["nodes"]["guitars"]["leak_db"] == -32.0
    assert summary["nodes"]["guitars"]["inactive"] == 1
    assert summary["nodes"]["clean"]["delta"] == levels["1"]["delta"]


def test_tables_for_people_start_with_the_coarsest_level() -> None:
    summary = summarise(scores(), (1, 2))
    assert [row["level"] for row in level_rows(summary)] == ["level 2", "level 1", "all"]
    assert [row["node"] for row in node_rows(summary)] == ["guitars", "clean"]
    assert level_rows(summary)[0]["ci95"] == summary["levels"]["2"]["ci95"]
    assert node_rows(summary)[1]["ci95"] == summary["nodes"]["clean"]["ci95"]


def test_nothing_to_count_is_none_not_nan() -> None:
    table = scores()
    table["counted"] = False
    summary = summarise(table, (1, 2))
    assert summary["levels"]["1"]["delta"] is None
    assert summary["levels"]["1"]["ci95"] is None
    assert summary["all"]["delta"] is None
    one_song = scores().assign(song="only")
    assert summarise(one_song, (1, 2))["levels"]["1"]["ci95"] is None


def test_the_oracle_is_better_than_any_other_mask() -> None:
    """In mean squared error of the spectrum, bin by bin, among masks in [0, 1]."""
    generator = torch.Generator().manual_seed(0)
    stft = Stft(64, 32)
    sources = torch.randn(1, 2, 640, generator=generator)
    mixture = sources.sum(1)
    spectrum, truth = stft(mixture).unsqueeze(1), stft(sources)
    from slakh_hier.models.losses.tpsa import truncated_target

    best = truncated_target(spectrum, truth) * spectrum / spectrum.abs()
    for step in range(11):
        other = spectrum * (step / 10)
        assert bool(((best - truth).abs() <= (other - truth).abs() + 1e-5).all())
    torch.testing.assert_close(oracle(stft, mixture, sources), stft.inverse(best, 640))
