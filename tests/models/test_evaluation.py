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
from slakh_hier.models.metrics import si_sdr
from slakh_hier.models.weights import load_weights
from slakh_hier.progress import Silent
from slakh_hier.shards.read import open_shards

Make = Callable[..., Config]


def test_sss_results(guitar_run: Path, guitar_shards: Path) -> None:
    result = evaluate(guitar_run, guitar_shards, jobs=1)
    summary = json.loads((guitar_run / "evaluation" / "test.json").read_text())
    assert summary == json.loads(result.files[0].read_text()) == result.summary
    assert set(summary["levels"]) == {"1", "2", "3"}
    assert {"mix", "si_sdr", "delta", "ci95", "median", "clips", "dropped"} == set(summary["levels"]["1"])
    assert set(summary["nodes"]) == {"clean", "guitars", "strings"}
    # Six test clips: clean guitar sounds in four, is absent in one and silent in one.
    assert summary["levels"]["1"]["clips"] == 4
    assert summary["levels"]["1"]["dropped"] == 1
    assert summary["levels"]["2"]["dropped"] == 0
    assert summary["nodes"]["clean"]["inactive"] == 2
    assert summary["nodes"]["guitars"]["inactive"] == 0
    for reference in ("mixture", "oracle"):
        assert summary["references"][reference]["levels"]["1"]["clips"] == 4
    assert summary["references"]["oracle"]["all"]["delta"] > 3
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
        assert row["si_sdr"] == pytest.approx(si_sdr(estimates[level], target).item(), abs=1e-4)
        assert row["mix"] == pytest.approx(si_sdr(torch.from_numpy(clip.mix), target).item(), abs=1e-6)
        assert row["delta"] == pytest.approx(row["si_sdr"] - row["mix"])


def test_jobs_change_nothing(guitar_run: Path, guitar_shards: Path, tmp_path: Path) -> None:
    for jobs in (1, 2):
        evaluate(guitar_run, guitar_shards, split="train", jobs=jobs, out=tmp_path / str(jobs))
    for name in ("train.json", "train.csv"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


@pytest.mark.parametrize("devices", [1, 2])
def test_large_batches_give_the_same(devices: int, guitar_run: Path, guitar_shards: Path) -> None:
    """The way of GPUs, on processors."""
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
    with pytest.raises(InputError, match="-j says how many"):
        evaluation._gpus("cpu", 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert evaluation._gpus("auto", 1) == []
    with pytest.raises(InputError, match="no GPU"):
        evaluation._gpus("cuda", 1)


def test_qbe_results(query_run: Path, any_shards: Path, tmp_path: Path) -> None:
    summary = evaluate(query_run, any_shards, jobs=1, out=tmp_path).summary
    assert summary["levels"]["1"]["clips"] == 6
    assert summary["nodes"]["dirty"]["clips"] == 2
    assert summary["nodes"]["guitars"]["clips"] == 4
    assert summary["nodes"]["drums_3"]["level"] == 3
    means = [summary["nodes"][node]["delta"] for node in ("clean", "dirty", "drums_1")]
    assert summary["levels"]["1"]["delta"] == pytest.approx(np.mean(means))


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
    assert summary["levels"]["1"]["clips"] == 0
    assert summary["levels"]["1"]["dropped"] == 5
    assert summary["levels"]["1"]["delta"] is None
    assert summary["nodes"]["clean"]["leak_db"] == pytest.approx(-120)


def test_a_level_at_which_the_mixture_is_the_node_is_dropped(
    guitar_run: Path, shard_writer: Callable[..., Path], tmp_path: Path
) -> None:
    """Of three clips the second holds guitars alone: at level 3 there is nothing to separate, at level 1 there is."""
    stems = [{}, {"drums_1": "gone"}, {}]
    shards = shard_writer(tmp_path / "shards", {"test": [("clean", one) for one in stems]})
    result = evaluate(guitar_run, shards, jobs=1)
    levels = result.summary["levels"]
    assert [(levels[n]["clips"], levels[n]["dropped"]) for n in "123"] == [(3, 0), (2, 1), (2, 1)]
    assert levels["3"]["mix"] < evaluation.SAME_DB
    whole = result.scores.query("clip == 1 and level == 3").iloc[0]
    assert np.isnan(whole["mix"])
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
