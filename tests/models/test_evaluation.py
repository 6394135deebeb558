"""Evaluation of trained separators: shape of the results, jobs, states, and what does not fit."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from slakh_hier.errors import InputError, SlakhHierWarning
from slakh_hier.models import evaluation
from slakh_hier.models.config import Config
from slakh_hier.models.evaluation import evaluate
from slakh_hier.models.metrics import METRICS, Metric, si_sdr
from slakh_hier.models.weights import load_weights
from slakh_hier.progress import Silent
from slakh_hier.scores.summary import read_summary
from slakh_hier.scores.tables import flat_rows, score_tables
from slakh_hier.shards.read import open_shards

Make = Callable[..., Config]


def test_sss_results(guitar_run: Path, guitar_shards: Path) -> None:
    result = evaluate(guitar_run, guitar_shards, jobs=1)
    summary = result.summary
    assert read_summary(result.files[0]) == summary
    raw = json.loads(result.files[0].read_text())
    assert set(raw["levels"]) == {"1", "2", "3"}
    assert set(raw["all"]["metrics"]) == {"si_sdr", "leakage"}
    assert set(summary.nodes) == {"clean", "guitars", "strings"}
    # Six test clips: clean guitar sounds in four, is absent in one and silent in one.
    assert (summary.levels["1"].clips, summary.levels["1"].dropped, summary.levels["2"].dropped) == (4, 1, 0)
    assert summary.levels["1"]["si_sdr"].clips == 4
    assert summary.nodes["clean"]["leakage"].clips == 2
    assert summary.nodes["guitars"]["leakage"].clips == 0
    together = summary.all_levels["si_sdr"]
    assert together.oracle is not None
    assert together.mixture is not None
    assert together.oracle - together.mixture > 3
    table = pd.read_csv(result.files[1])
    assert len(table) == 6 * 3


def test_values_against_the_separator_itself(guitar_run: Path, guitar_shards: Path) -> None:
    table = evaluate(guitar_run, guitar_shards, jobs=1).scores
    separator, shards = load_weights(guitar_run).separator, open_shards(guitar_shards, "test")
    clip = shards[2]
    with torch.inference_mode():
        estimates = separator(torch.from_numpy(clip.mix)[None])[0]
    for level, node in enumerate(("clean", "guitars", "strings")):
        row = table[(table["clip"] == 2) & (table["node"] == node)].iloc[0]
        target = torch.from_numpy(clip[node])
        mixture = si_sdr(torch.from_numpy(clip.mix), target).item()
        assert row["si_sdr_estimate"] == pytest.approx(si_sdr(estimates[level], target).item(), abs=1e-4)
        assert row["si_sdr_mixture"] == pytest.approx(mixture, abs=1e-6)
        assert row["si_sdr_improvement"] == pytest.approx(row["si_sdr_estimate"] - row["si_sdr_mixture"])


@pytest.fixture
def peak_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A metric that is added at run time: lower is better, and it has no unit."""

    def largest(estimate: torch.Tensor, target: torch.Tensor, mixture: torch.Tensor) -> torch.Tensor:
        return (estimate - target).abs().amax((-2, -1))

    monkeypatch.setitem(METRICS, "peak_error", Metric(largest, "", "peak error", "lower"))


@pytest.mark.usefixtures("peak_error")
def test_a_metric_is_one_entry(guitar_run: Path, guitar_shards: Path, tmp_path: Path) -> None:
    """It is in the clips' table, the summary, the tables for people and the CSV, and changes no other value."""
    result = evaluate(guitar_run, guitar_shards, jobs=1, out=tmp_path)
    table = pd.read_csv(result.files[1])
    shards = open_shards(guitar_shards, "test")
    row = table[(table["clip"] == 2) & (table["node"] == "guitars")].iloc[0]
    assert row["peak_error_mixture"] == pytest.approx(np.abs(shards[2].mix - shards[2]["guitars"]).max())
    better = row["peak_error_mixture"] - row["peak_error_estimate"]
    assert row["peak_error_improvement"] == pytest.approx(better)
    assert table.loc[~table["counted"], "peak_error_estimate"].isna().all()
    values = result.summary.levels["2"]["peak_error"]
    counted = table[table["counted"] & (table["level"] == 2)]
    assert values.improvement == pytest.approx(counted["peak_error_improvement"].mean())
    assert values.ci95 is not None
    titles = [one.title for one in score_tables(result.summary)]
    assert titles == [
        "SI-SDR (dB) on test", "SI-SDR (dB) on test, by node", "leakage (dB) on test", "leakage (dB) on test, by node",
        "peak error on test", "peak error on test, by node",
    ]  # fmt: skip
    (flat,) = [r for r in flat_rows(result.summary) if (r["metric"], r["level"]) == ("peak_error", "all")]
    assert flat["improvement"] == result.summary.all_levels["peak_error"].improvement


@pytest.mark.usefixtures("peak_error")
def test_a_metric_of_another_shape_is_refused(
    guitar_run: Path, guitar_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Metric(lambda estimate, target, mixture: estimate.mean(), "", "mean", "lower")
    monkeypatch.setitem(METRICS, "peak_error", wrong)
    with pytest.raises(
        InputError, match=r"metric peak_error gave \(\) values; \(clips, levels\) is \(4, 3\)"
    ):
        evaluate(guitar_run, guitar_shards, jobs=1, out=tmp_path)


def test_jobs_change_nothing(guitar_run: Path, guitar_shards: Path, tmp_path: Path) -> None:
    for jobs in (1, 2):
        evaluate(guitar_run, guitar_shards, split="train", jobs=jobs, out=tmp_path / str(jobs))
    for name in ("train.json", "train.csv"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


@pytest.mark.parametrize("devices", [1, 2])
def test_large_batches_give_the_same(devices: int, guitar_run: Path, guitar_shards: Path) -> None:
    """As on GPUs, on a CPU."""
    expected = evaluate(guitar_run, guitar_shards, split="train", jobs=1).scores
    trained = load_weights(guitar_run)
    data = evaluation._dataset(trained, guitar_shards, "train", Silent())
    parts = evaluation._score_batches(trained, data, 5, [torch.device("cpu")] * devices)
    found = pd.DataFrame([row for part in parts for row in part]).sort_values(["clip", "level"])
    pd.testing.assert_frame_equal(found.reset_index(drop=True), expected, rtol=1e-4)


def test_gpus_are_those_that_were_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert evaluation._gpus("auto", 1) == [torch.device("cuda:0")]
    assert evaluation._gpus("cuda", 3) == [torch.device(f"cuda:{number}") for number in range(3)]
    assert evaluation._gpus("cpu", 1) == []
    with pytest.raises(InputError, match="5 devices were asked for; there are 1 to 4"):
        evaluation._gpus("auto", 5)
    with pytest.raises(InputError, match="-j is the number of threads"):
        evaluation._gpus("cpu", 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert evaluation._gpus("auto", 1) == []
    with pytest.raises(InputError, match="no GPU"):
        evaluation._gpus("cuda", 1)


def test_qbe_results(query_run: Path, any_shards: Path, tmp_path: Path) -> None:
    summary = evaluate(query_run, any_shards, jobs=1, out=tmp_path).summary
    assert summary.levels["1"].clips == 6
    assert summary.nodes["dirty"].clips == 2
    assert summary.nodes["guitars"].clips == 4
    assert summary.nodes["drums_3"].level == 3
    means = [summary.nodes[node]["si_sdr"].improvement or 0 for node in ("clean", "dirty", "drums_1")]
    assert summary.levels["1"]["si_sdr"].improvement == pytest.approx(np.mean(means))


def test_a_silent_estimate_is_dropped_not_counted_as_good(
    guitar_run: Path, guitar_shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = evaluation.load_weights

    def mute(run: Path) -> object:
        trained = real(run)
        for parameter in trained.separator.network.head.parameters():
            parameter.data.fill_(0)
        trained.separator.network.head.bias.data.fill_(-1e9)
        return trained

    monkeypatch.setattr(evaluation, "load_weights", mute)
    summary = evaluate(guitar_run, guitar_shards, jobs=1, out=tmp_path).summary
    assert (summary.levels["1"].clips, summary.levels["1"].dropped) == (0, 5)
    assert summary.levels["1"]["si_sdr"].improvement is None
    assert summary.nodes["clean"]["leakage"].estimate == pytest.approx(-120)


def test_a_level_at_which_the_mixture_is_the_node_is_dropped(
    guitar_run: Path, shard_writer: Callable[..., Path], tmp_path: Path
) -> None:
    """Of three clips the second holds guitars alone: at level 3 there is nothing to separate, at level 1 there is."""
    stems = [{}, {"drums_1": "gone"}, {}]
    shards = shard_writer(tmp_path / "shards", {"test": [("clean", one) for one in stems]})
    result = evaluate(guitar_run, shards, jobs=1)
    levels = result.summary.levels
    assert [(levels[n].clips, levels[n].dropped) for n in "123"] == [(3, 0), (2, 1), (2, 1)]
    assert (levels["3"]["si_sdr"].mixture or 0) < evaluation.SAME_DB
    whole = result.scores.query("clip == 1 and level == 3").iloc[0]
    assert np.isnan(whole["si_sdr_mixture"])
    assert whole["dropped"]


def test_what_does_not_fit_is_named(guitar_run: Path, guitar_shards: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no split 'tests'"):
        evaluate(guitar_run, guitar_shards, split="tests")
    with pytest.raises(InputError, match="this is a shard set"):
        evaluate(guitar_shards, guitar_shards)
    about = json.loads((guitar_run / "weights.json").read_text())
    for key, value in (("sample_rate", 8000), ("hierarchy_digest", "c" * 64)):
        other = tmp_path / key
        other.mkdir()
        (other / "weights.safetensors").symlink_to(guitar_run / "weights.safetensors")
        (other / "weights.json").write_text(json.dumps({**about, key: value}))
    with pytest.raises(InputError, match=r"4000 Hz.*8000 Hz; render a set with --sample-rate 8000"):
        evaluate(tmp_path / "sample_rate", guitar_shards)
    with pytest.warns(SlakhHierWarning, match="another tree"):
        evaluate(tmp_path / "hierarchy_digest", guitar_shards, jobs=1)
