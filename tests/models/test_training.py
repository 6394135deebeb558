"""Training: what a run leaves, that it resumes to the bit, that devices and parts change nothing."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from slakh_hier.errors import InputError, SlakhHierWarning
from slakh_hier.models.checkpoints import SafeCheckpointIO, newest
from slakh_hier.models.config import Config
from slakh_hier.models.config_file import read_config
from slakh_hier.models.data import ClipDataset
from slakh_hier.models.module import Training
from slakh_hier.models.training import train
from slakh_hier.models.weights import load_weights

Make = Callable[..., Config]
VARIED = (
    "training.epochs=3",
    "training.steps_per_epoch=4",
    "training.accumulate=2",
    "data.gain_db=6",
    "data.crop_seconds=0.4",
    "optimizer.patience=0",
    "optimizer.lr=1.0e-4",
)


def losses(run: Path) -> pd.DataFrame:
    """steps.csv without the speed, as written."""
    return pd.read_csv(run / "steps.csv", dtype=str).drop(columns="clips_per_second")


def epochs(run: Path) -> pd.DataFrame:
    columns = ["clips_per_second", "audio_seconds_per_second", "data_wait"]
    return pd.read_csv(run / "metrics.csv", dtype=str).drop(columns=columns)


def test_a_run_explains_itself(guitar_shards: Path, tiny_config: Make, tmp_path: Path) -> None:
    lines: list[str] = []
    config = tiny_config("sss", "data.mask=leaf-50")
    result = train(config, guitar_shards, tmp_path / "run", report=lines.append)
    run = result.run
    assert (result.epochs, result.steps, result.resumed_at) == (2, 6, None)
    assert result.names == ("clean", "guitars", "strings")
    assert read_config(run / "config.yaml") == config
    data = json.loads((run / "data.json").read_text())
    assert data["plan_digest"] == "a" * 64
    assert data["splits"]["train"]["available"] == [4, 8, 8]
    environment = json.loads((run / "environment.json").read_text())
    assert (
        environment["packages"]["torch"].split("+")[0] == torch.__version__.split("+")[0]
    )  # CUDA's is +cu130
    assert environment["devices"] == ["cpu"]
    steps = pd.read_csv(run / "steps.csv")
    assert steps["step"].tolist() == [1, 2, 3, 4, 5, 6]
    # NaN where the mask withholds the leaf of a whole batch.
    assert np.isfinite(steps.drop(columns="loss_level_1")).all(axis=None)
    assert 0 < steps["loss_level_1"].count() < 6
    table = pd.read_csv(run / "metrics.csv")
    assert {"train_loss", "val_loss", "val_loss_level_1", "lr", "clips_per_second"} <= set(table)
    assert table["train_loss"].iloc[0] == pytest.approx(steps["loss"].iloc[:3].mean())
    assert any((run / "tensorboard").iterdir())
    assert {p.name for p in (run / "checkpoints").glob("*.ckpt")} >= {"best.ckpt", "last.ckpt"}
    assert len(lines) == 2
    assert lines[0].startswith("epoch 1 of 2: loss ")
    assert "s of audio/s" in lines[0]
    assert len((run / "log.txt").read_text().splitlines()) == 2
    trained = load_weights(run)
    assert trained.about.names == result.names
    assert trained.about.node == "clean"
    assert trained.about.step == result.best_step
    assert trained.about.loss == pytest.approx(table["val_loss"].min())
    assert [p for p in run.rglob("*") if p.name.startswith(".tmp")] == []


def test_the_loss_of_a_step_is_the_formula(guitar_shards: Path, tiny_config: Make, tmp_path: Path) -> None:
    """The first step against a second way to it: whole batch, one clip after another, numpy sums."""
    from slakh_hier.models.batches import Batches
    from slakh_hier.models.losses.tpsa import tpsa_terms
    from slakh_hier.models.selection import select_clips
    from slakh_hier.models.separator import build_separator
    from slakh_hier.shards.read import open_shards

    for denominator in ("all", "available"):
        config = tiny_config(
            "sss", "data.mask=leaf-50", "network.dropout=0", "network.batch_norm=false", "training.epochs=1",
            f"loss.denominator={denominator}",
        )  # fmt: skip
        train(config, guitar_shards, tmp_path / denominator)
        shards = open_shards(guitar_shards, "train")
        data = ClipDataset(shards, select_clips(shards, "sss", mask="leaf-50"))
        separator = build_separator(config, 3)
        total, available = 0.0, 0
        batch = next(iter(Batches(len(data), 4, seed=config.training.seed, steps=3)))
        for key in batch:
            item = data[key]
            mixture = separator.stft(item["mix"][None])
            terms = tpsa_terms(separator.tf_masks(mixture), mixture, separator.stft(item["sources"][None]))
            total += float((terms.detach().numpy() * item["available"].numpy()).sum())
            available += int(item["available"].sum())
        expected = total / (12 if denominator == "all" else available)
        assert pd.read_csv(tmp_path / denominator / "steps.csv")["loss"][0] == pytest.approx(
            expected, rel=1e-5
        )


def forked(function: Callable[[], object], environment: Mapping[str, str]) -> int:
    """Run a function in a child process; the child's id."""
    pid = os.fork()
    if pid == 0:
        os.environ.update(environment)
        code = 1
        try:
            function()
            code = 0
        except Exception:  # noqa: BLE001 - the child ends here, whatever happened
            traceback.print_exc()
        finally:
            os._exit(code)
    return pid


def killed_training(config: Config, shards: Path, run: Path, after: int) -> None:
    """Train in a child that kills itself (SIGKILL) at its ``after``-th batch."""
    step, count = Training.training_step, 0

    def counted(self: Training, batch: Any, batch_idx: int) -> torch.Tensor:
        nonlocal count
        count += 1
        if count == after:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(self, batch, batch_idx)

    def killed() -> None:
        Training.training_step = counted  # type: ignore[method-assign]
        train(config, shards, run)

    _, status = os.waitpid(forked(killed, {}), 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == signal.SIGKILL


@pytest.mark.parametrize("task", ["sss", "qbe"])
@pytest.mark.parametrize(("every", "after", "resumed"), [(None, 14, 4), (3, 16, 6), (1, 3, 1), (1, 24, 11)])
def test_a_killed_run_resumes_to_the_bit(
    task: str,
    every: int | None,
    after: int,
    resumed: int,
    guitar_shards: Path,
    any_shards: Path,
    tiny_config: Make,
    tmp_path: Path,
) -> None:
    """Dropout, augmentation, accumulation, AutoClip, batch norm and a falling learning rate are all on."""
    shards = guitar_shards if task == "sss" else any_shards
    more = (f"training.checkpoint_every={every}",) if every else ()
    more += ("data.queries=fresh",) if task == "qbe" else ()
    config = tiny_config(task, *VARIED, *more)
    whole = train(config, shards, tmp_path / "whole")
    killed_training(config, shards, tmp_path / "killed", after)
    result = train(config, shards, tmp_path / "killed")
    assert result.resumed_at == resumed
    assert (result.steps, result.epochs) == (whole.steps, whole.epochs) == (12, 3)
    assert (result.best_step, result.best_loss) == (whole.best_step, whole.best_loss)
    one, other = tmp_path / "whole", tmp_path / "killed"
    assert losses(one)["lr"].nunique() > 1
    pd.testing.assert_frame_equal(losses(one), losses(other))
    pd.testing.assert_frame_equal(epochs(one), epochs(other))
    assert (one / "weights.safetensors").read_bytes() == (other / "weights.safetensors").read_bytes()
    a, b = (SafeCheckpointIO().load_checkpoint(newest(run) or run) for run in (one, other))
    assert_equal(a["state_dict"], b["state_dict"])
    assert_equal(a["optimizer_states"], b["optimizer_states"])
    assert_equal(a["slakh_hier"], b["slakh_hier"])


def assert_equal(one: Any, other: Any) -> None:
    """Equal to the bit, through dicts and lists."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        for key in one:
            assert_equal(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for x, y in zip(one, other, strict=True):
            assert_equal(x, y)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


@pytest.mark.parametrize("denominator", ["all", "available"])
def test_accumulated_parts_are_one_batch(
    denominator: str, guitar_shards: Path, tiny_config: Make, tmp_path: Path
) -> None:
    for parts in (1, 2):
        config = tiny_config(
            "sss",
            "network.dropout=0",
            "network.batch_norm=false",
            "data.mask=leaf-50",  # parts then differ in what is available
            f"loss.denominator={denominator}",
            f"training.accumulate={parts}",
        )
        train(config, guitar_shards, tmp_path / str(parts))
    one, two = (pd.read_csv(tmp_path / str(parts) / "steps.csv") for parts in (1, 2))
    np.testing.assert_allclose(one["loss"], two["loss"], rtol=1e-4)
    np.testing.assert_allclose(one["grad_norm"], two["grad_norm"], rtol=1e-3)


def test_two_devices_are_one(guitar_shards: Path, tiny_config: Make, tmp_path: Path) -> None:
    """Two processes with gloo, an odd batch, leaves missing on one of them: the same curve as one process."""
    config = tiny_config(
        "sss",
        "network.dropout=0",
        "network.batch_norm=false",
        "loss.denominator=available",
        "data.mask=leaf-50",
        "training.batch_size=5",
    )
    train(config, guitar_shards, tmp_path / "one")
    both = config.model_copy(update={"hardware": config.hardware.model_copy(update={"devices": 2})})
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children = [
        forked(
            lambda: train(both, guitar_shards, tmp_path / "two"),
            {"LOCAL_RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
        )
        for rank in range(2)
    ]
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
    one, two = (pd.read_csv(tmp_path / name / "steps.csv") for name in ("one", "two"))
    np.testing.assert_allclose(one["loss"], two["loss"], atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(one["loss_level_1"], two["loss_level_1"], atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(one["grad_norm"], two["grad_norm"], rtol=1e-3)
    a, b = (pd.read_csv(tmp_path / name / "metrics.csv") for name in ("one", "two"))
    np.testing.assert_allclose(a["val_loss"], b["val_loss"], atol=1e-4, rtol=1e-4)


def test_a_compiled_network_trains_the_same(
    guitar_shards: Path, tiny_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a back end that only traces: code generation takes longer than all these tests."""
    compiled: list[str] = []
    real = torch.nn.Module.compile

    def traced(self: torch.nn.Module) -> None:
        compiled.append(type(self).__name__)
        real(self, backend="eager")

    monkeypatch.setattr(torch.nn.Module, "compile", traced)
    for name in ("false", "true"):
        config = tiny_config(
            "sss", "network={kind: bandsplit, features: 8}", "loss.kind=complex", f"hardware.compile={name}",
            "training={epochs: 1, steps_per_epoch: 2}",
        )  # fmt: skip
        train(config, guitar_shards, tmp_path / name)
    assert compiled == ["BandSplit"]
    one, other = (pd.read_csv(tmp_path / name / "steps.csv")["loss"] for name in ("false", "true"))
    np.testing.assert_allclose(one, other, rtol=1e-5)
    state = load_weights(tmp_path / "true").separator.state_dict()  # keys are those of the bare network
    assert all(torch.isfinite(t).all() for t in state.values())


def test_without_validation_the_training_loss_selects(
    shard_writer: Callable[..., Path], tiny_config: Make, tmp_path: Path
) -> None:
    folder = shard_writer(tmp_path / "s", {"train": [("clean", {})] * 4})
    with pytest.warns(SlakhHierWarning, match="no validation split"):
        result = train(tiny_config("sss"), folder, tmp_path / "run")
    table = pd.read_csv(tmp_path / "run" / "metrics.csv")
    assert "val_loss" not in table
    assert result.best_loss == table["train_loss"].min()


@pytest.mark.parametrize("kind", ["blstm", "bandsplit"])
@pytest.mark.parametrize("task", ["sss", "qbe"])
def test_every_network_trains_in_bfloat16(
    task: str, kind: str, guitar_shards: Path, tiny_config: Make, tmp_path: Path
) -> None:
    sizes = ["network.features=8", "network.query_units=8"] if kind == "bandsplit" else []
    config = tiny_config(task, f"network.kind={kind}", *sizes, "loss.kind=complex", "hardware.precision=bf16")
    try:
        result = train(config, guitar_shards, tmp_path / "run")
    except InputError as error:
        if "bfloat16" not in str(error):
            raise
        pytest.skip("this CPU has no bfloat16 LSTM")
    assert math.isfinite(result.best_loss)
    state = load_weights(tmp_path / "run").separator.state_dict()
    assert {t.dtype for t in state.values()} <= {torch.float32, torch.int64}
