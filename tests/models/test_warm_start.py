"""Starting from the weights of another run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from slakh_hier.errors import InputError
from slakh_hier.models.config import Config
from slakh_hier.models.separator import build_separator
from slakh_hier.models.training import train
from slakh_hier.models.warm_start import warm_start
from slakh_hier.models.weights import load_weights

Make = Callable[..., Config]


def test_everything_is_taken_where_everything_fits(guitar_run: Path, tiny_config: Make) -> None:
    separator = build_separator(tiny_config("sss", "training.seed=1"), 3)
    started = warm_start(separator, tiny_config("sss"), guitar_run)
    for name, tensor in load_weights(guitar_run).separator.state_dict().items():
        torch.testing.assert_close(separator.state_dict()[name], tensor)
    assert (started.missing, started.shapes, started.unused) == ((), {}, ())
    total = len(started.taken)
    assert started.lines() == [
        f"starts from {guitar_run} (step {started.step}): {total} of {total} tensors taken"
    ]


def test_what_does_not_fit_is_listed(
    guitar_run: Path, guitar_shards: Path, tiny_config: Make, tmp_path: Path
) -> None:
    lines: list[str] = []
    config = tiny_config("sss", "levels=[1]", "optimizer.lr=1e-9", f"training.init_from={guitar_run}")
    train(config, guitar_shards, tmp_path / "run", report=lines.append)
    assert "tensors taken" in lines[0]
    assert any("not taken: network.head.weight is 195 x" in line and ", 65 x" in line for line in lines)
    record = json.loads((tmp_path / "run" / "init_from.json").read_text())
    assert record["run"] == str(guitar_run)
    assert record["sha256"] == load_weights(guitar_run).about.sha256
    assert set(record["shapes"]) == {"network.head.weight", "network.head.bias"}
    mine, theirs = (load_weights(run).separator.state_dict() for run in (tmp_path / "run", guitar_run))
    name = next(name for name in record["taken"] if "blstm" in name and "weight_ih" in name)
    torch.testing.assert_close(mine[name], theirs[name], atol=1e-6, rtol=0)


def test_a_resumed_run_needs_the_other_no_more(
    guitar_run: Path, guitar_shards: Path, tiny_config: Make, tmp_path: Path
) -> None:
    other = shutil.copytree(guitar_run, tmp_path / "other")
    settings = (f"training.init_from={other}", "training.epochs=1")
    train(tiny_config("sss", *settings), guitar_shards, tmp_path / "run")
    shutil.rmtree(other)
    result = train(tiny_config("sss", settings[0], "training.epochs=2"), guitar_shards, tmp_path / "run")
    assert (result.resumed_at, result.epochs) == (3, 2)


def test_runs_that_cannot_be_started_from(
    guitar_run: Path, guitar_shards: Path, tiny_config: Make, tmp_path: Path
) -> None:
    for settings, message in (
        (("network.kind=bandsplit", "loss.kind=complex", f"training.init_from={guitar_run}"), "kind blstm; this training has bandsplit"),
        (("network.units=3", "network.batch_norm=false", "stft.window=32", "stft.hop=16", f"training.init_from={guitar_run}"), "none of its weights fit"),
        ((f"training.init_from={tmp_path / 'none'}",), "holds no trained separator"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=message):
            train(tiny_config("sss", *settings), guitar_shards, tmp_path / "run")
        assert not (tmp_path / "run").exists()  # nothing half-made
