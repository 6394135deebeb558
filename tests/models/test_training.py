"""Training: what a run leaves, that it resumes to the bit, that devices and parts change nothing."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import socket
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from slakh_hier.errors import FaultError, InputError, LockedError, SlakhHierWarning
from slakh_hier.locks import folder_lock
from slakh_hier.models import run_folder
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
    assert environment["packages"]["torch"] == torch.__version__
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
    from slakh_hier.models.losses import tpsa_terms
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
            terms = tpsa_terms(separator.masks(mixture), mixture, separator.stft(item["sources"][None]))
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
def test_a_killed_run_goes_on_to_the_bit(
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


def test_a_loss_that_is_not_finite_stops_the_run_and_names_the_clips(
    shard_writer: Callable[..., Path], tiny_config: Make, tmp_path: Path
) -> None:
    def burst(split: str, clip: int, leaf: str, stem: Any) -> Any:
        return stem * np.float32(1e38) if (split, clip) == ("train", 2) else stem

    folder = shard_writer(
        tmp_path / "s", {"train": [("clean", {})] * 4, "validation": [("clean", {})]}, change=burst
    )
    with pytest.raises(
        FaultError, match=r"epoch 1, step 1: the loss is not finite.*Track00002@1s/clean"
    ) as caught:
        train(tiny_config("sss"), folder, tmp_path / "run")
    assert caught.value.exit_code == 3


def test_a_gradient_that_is_not_finite_is_skipped(
    guitar_shards: Path, tiny_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from slakh_hier.models import module

    masked_sums = module.masked_sums

    class Spoil(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
            return grad * math.inf

    calls = 0

    def spoiled(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        total, count = masked_sums(*arguments)
        return (Spoil.apply(total) if calls == 2 else total), count

    monkeypatch.setattr(module, "masked_sums", spoiled)
    with pytest.warns(SlakhHierWarning, match="step 2: the gradient is"):
        train(tiny_config("sss", "training.epochs=1"), guitar_shards, tmp_path / "run")
    assert pd.read_csv(tmp_path / "run" / "metrics.csv")["skipped_steps"].tolist() == [1]
    state = SafeCheckpointIO().load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert len(state["slakh_hier"]["autoclip"]["history"]) == 2
    assert all(torch.isfinite(t).all() for t in state["state_dict"].values())


def test_another_configuration_is_refused_more_epochs_are_not(
    guitar_shards: Path, any_shards: Path, tiny_config: Make, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(tiny_config("sss"), guitar_shards, run)
    before = (run / "weights.safetensors").read_bytes()
    with pytest.raises(InputError, match=r"optimizer\.lr: 0\.01 there, 0\.5 now"):
        train(tiny_config("sss", "optimizer.lr=0.5"), guitar_shards, run)
    with pytest.raises(InputError, match="splits"):
        train(tiny_config("sss", "node=clean"), any_shards, run)
    again = train(tiny_config("sss"), guitar_shards, run)
    assert (again.resumed_at, again.steps) == (6, 6)
    assert (run / "weights.safetensors").read_bytes() == before
    more = train(tiny_config("sss", "training.epochs=3", "hardware.threads=2"), guitar_shards, run)
    assert (more.resumed_at, more.steps) == (6, 9)
    assert pd.read_csv(run / "metrics.csv")["epoch"].tolist() == [1, 2, 3]
    fresh = train(tiny_config("sss", "optimizer.lr=0.5"), guitar_shards, run, overwrite=True)
    assert (fresh.resumed_at, fresh.steps) == (None, 6)


@pytest.mark.parametrize("file", ["data.json", "environment.json"])
def test_a_run_killed_before_its_first_step_goes_on(
    file: str, guitar_shards: Path, tiny_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(path: Path, content: Any) -> None:
        if path.name == file:
            raise KeyboardInterrupt
        write(path, content)

    write = run_folder.publish_json
    monkeypatch.setattr(run_folder, "publish_json", killed)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_config("sss"), guitar_shards, tmp_path / "run")
    monkeypatch.undo()
    assert train(tiny_config("sss"), guitar_shards, tmp_path / "run").steps == 6


def test_folders_of_others_are_left_alone(guitar_shards: Path, tiny_config: Make, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("important")
    with pytest.raises(InputError, match=r"holds thesis\.tex and no run"):
        train(tiny_config("sss"), guitar_shards, tmp_path / "mine")
    run = tmp_path / "run"
    run.mkdir()
    with folder_lock(run), pytest.raises(LockedError, match="is writing here"):
        train(tiny_config("sss"), guitar_shards, run)
    assert [p.name for p in run.iterdir()] == [".lock"]


def test_weights_are_written_anew_where_a_kill_came_between(
    guitar_shards: Path, tiny_config: Make, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train(tiny_config("sss"), guitar_shards, run)
    before = (run / "weights.safetensors").read_bytes()
    (run / "weights.safetensors").write_bytes(before[:-1] + b"x")
    with pytest.raises(InputError, match="sha256 differs"):
        load_weights(run)
    train(tiny_config("sss"), guitar_shards, run)
    assert (run / "weights.safetensors").read_bytes() == before


def test_a_damaged_checkpoint_is_refused(guitar_shards: Path, tiny_config: Make, tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(tiny_config("sss"), guitar_shards, run)
    path = newest(run)
    assert path is not None
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(InputError, match="is damaged"):
        train(tiny_config("sss", "training.epochs=3"), guitar_shards, run)


def test_a_gpu_that_is_not_there_is_refused_before_anything_is_written(
    guitar_shards: Path, tiny_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    config = tiny_config("sss", "hardware={accelerator: gpu, devices: 2}")
    with pytest.raises(InputError, match="2 GPUs asked for, but PyTorch finds 1"):
        train(config, guitar_shards, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_disk_without_room_for_a_checkpoint_is_said_before_any_work(
    guitar_shards: Path, tiny_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(FaultError, match=r"a checkpoint with its weights needs 0\.\d+ MB, but only 0\.00 MB"):
        train(tiny_config("sss"), guitar_shards, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == [".lock"]
    monkeypatch.undo()
    assert train(tiny_config("sss"), guitar_shards, tmp_path / "run").steps == 6


def test_a_large_network_without_a_gpu_is_warned_of(
    guitar_shards: Path, tiny_config: Make, tmp_path: Path
) -> None:
    config = tiny_config(
        "sss", "network.units=800", "training={epochs: 1, steps_per_epoch: 1, batch_size: 1}", "levels=[1]"
    )
    with pytest.warns(SlakhHierWarning, match=r"million parameters without a GPU .* --preset small"):
        train(config, guitar_shards, tmp_path / "run")


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


def test_ctrl_c_comes_out_as_itself(
    guitar_shards: Path, tiny_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(self: Training, batch: Any, batch_idx: int) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(Training, "training_step", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_config("sss"), guitar_shards, tmp_path / "run")
    assert signal.getsignal(signal.SIGINT) is handler
    monkeypatch.undo()
    assert train(tiny_config("sss"), guitar_shards, tmp_path / "run").steps == 6


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
    config = tiny_config(
        task, f"network.kind={kind}", "network.features=8", "loss.kind=complex", "hardware.precision=bf16"
    )
    try:
        result = train(config, guitar_shards, tmp_path / "run")
    except InputError as error:
        if "bfloat16" not in str(error):
            raise
        pytest.skip("this processor has no bfloat16 LSTM")
    assert math.isfinite(result.best_loss)
    state = load_weights(tmp_path / "run").separator.state_dict()
    assert {t.dtype for t in state.values()} <= {torch.float32, torch.int64}


def test_a_processor_without_bfloat16_is_told_what_to_do(
    guitar_shards: Path, tiny_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lstm(*_: object, **__: object) -> None:
        raise RuntimeError(
            "could not create a primitive descriptor for the LSTM forward propagation primitive"
        )

    monkeypatch.setattr(torch.nn.LSTM, "forward", lstm)
    with pytest.raises(InputError, match=r"bfloat16.*hardware\.precision=32"):
        train(tiny_config("sss", "hardware.precision=bf16"), guitar_shards, tmp_path / "bf16")
    with pytest.raises(RuntimeError, match="primitive"):  # not bfloat16's fault
        train(tiny_config("sss"), guitar_shards, tmp_path / "fp32")


def test_a_damaged_shard_found_on_the_way_is_named(
    shard_writer: Callable[..., Path], tiny_config: Make, tmp_path: Path
) -> None:
    from slakh_hier.errors import ShardError

    folder = shard_writer(tmp_path / "s", {"train": [("clean", {})] * 4, "validation": [("clean", {})]})
    path = folder / "train-00000.h5"
    data = bytearray(path.read_bytes())
    for place in range(len(data) // 4, len(data) // 2, 2000):  # somewhere in every row there
        data[place] ^= 1
    path.write_bytes(data)
    with pytest.raises(ShardError) as caught:
        train(tiny_config("sss"), folder, tmp_path / "run")
    assert "train-00000.h5" in str(caught.value)
    assert "Traceback" not in str(caught.value)
