"""Training that cannot continue, or must not begin: what is said, and what is left."""

from __future__ import annotations

import math
import shutil
import signal
from collections.abc import Callable
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
from slakh_hier.models.module import Training
from slakh_hier.models.training import train
from slakh_hier.models.weights import load_weights

Make = Callable[..., Config]


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
    with pytest.raises(InputError, match=r"\n  optimizer\.lr +0\.01 +0\.5\n"):
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
def test_a_run_killed_before_its_first_step_resumes(
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
    with pytest.raises(InputError, match=r"holds thesis\.tex and no config\.yaml: it was not made by train"):
        train(tiny_config("sss"), guitar_shards, tmp_path / "mine")
    run = tmp_path / "run"
    run.mkdir()
    with folder_lock(run), pytest.raises(LockedError, match="is writing here"):
        train(tiny_config("sss"), guitar_shards, run)
    assert [p.name for p in run.iterdir()] == [".lock"]


def test_weights_are_rewritten_where_a_kill_came_between(
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


def test_a_training_on_the_cpu_leaves_gpus_alone(
    guitar_shards: Path, tiny_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look at a GPU's name takes memory of it, and breaks forks."""

    def touched(number: int) -> str:
        raise AssertionError("a GPU was asked for its name")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_name", touched)
    train(tiny_config("sss"), guitar_shards, tmp_path / "run")


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


def test_a_cpu_without_bfloat16_learns_what_to_do(
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
