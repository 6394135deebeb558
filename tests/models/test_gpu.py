"""What a GPU does against what a CPU does. Skipped where there is none."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from slakh_hier.models.batches import Batches
from slakh_hier.models.checkpoints import SafeCheckpointIO
from slakh_hier.models.config import Config
from slakh_hier.models.data import ClipDataset
from slakh_hier.models.evaluation import evaluate
from slakh_hier.models.reader import Reader
from slakh_hier.models.selection import select_clips
from slakh_hier.models.separation import separate
from slakh_hier.models.stored import signals_of
from slakh_hier.models.training import train
from slakh_hier.shards.read import open_shards

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

Make = Callable[..., Config]
PLAIN = ("network.dropout=0", "hardware={accelerator: gpu, threads: 1}")


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_signals_are_unpacked_alike(dtype: str, shard_writer: Callable[..., Path], tmp_path: Path) -> None:
    splits = {"train": [("clean", {}), ("clean", {"dirty": "gone"}), ("clean", {"dirty": "off"})] * 3}
    folder = shard_writer(tmp_path / "s", splits, dtype=dtype)
    shards = open_shards(folder, "train")
    data = ClipDataset(shards, select_clips(shards, "qbe"), gain_db=6, crop_seconds=0.4, seed=3)
    batches, read = Batches(len(data), 4, seed=1), partial(data.stored, pinned=True)
    for one, pinned in zip(Reader(data.batch, batches), Reader(read, batches), strict=True):
        assert pinned["rows"].is_pinned()
        moved = {k: v.cuda(non_blocking=True) if torch.is_tensor(v) else v for k, v in pinned.items()}
        other = signals_of(moved)
        assert other["signals"].is_cuda
        torch.testing.assert_close(one["signals"], other["signals"].cpu(), rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(one["query"], other["query"].cpu(), rtol=0, atol=0)


@pytest.mark.parametrize("task", ["sss", "qbe"])
def test_a_training_follows_that_of_a_processor(
    task: str, guitar_shards: Path, any_shards: Path, tiny_config: Make, tmp_path: Path
) -> None:
    shards = guitar_shards if task == "sss" else any_shards
    more = ("network.dropout=0", "data.gain_db=6", "data.crop_seconds=0.4", "training.accumulate=2")
    train(tiny_config(task, *more), shards, tmp_path / "cpu")
    train(tiny_config(task, *more, PLAIN[1]), shards, tmp_path / "gpu")
    one, other = (pd.read_csv(tmp_path / name / "steps.csv")["loss"] for name in ("cpu", "gpu"))
    np.testing.assert_allclose(one, other, rtol=5e-3)


@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_a_stopped_training_resumes(
    precision: str, guitar_shards: Path, tiny_config: Make, tmp_path: Path
) -> None:
    more = (PLAIN[1], f"hardware.precision='{precision}'")
    whole = train(tiny_config("sss", *more, "training.epochs=3"), guitar_shards, tmp_path / "whole")
    train(tiny_config("sss", *more, "training.epochs=2"), guitar_shards, tmp_path / "parts")
    rest = train(tiny_config("sss", *more, "training.epochs=3"), guitar_shards, tmp_path / "parts")
    assert (rest.resumed_at, rest.steps) == (6, whole.steps)
    one, other = (pd.read_csv(tmp_path / name / "steps.csv")["loss"] for name in ("whole", "parts"))
    np.testing.assert_allclose(one, other, rtol=1e-3)
    state = SafeCheckpointIO().load_checkpoint(tmp_path / "parts" / "checkpoints" / "last.ckpt")
    assert all(torch.isfinite(t).all() for t in state["state_dict"].values())


def test_compiled_networks_train(guitar_shards: Path, tiny_config: Make, tmp_path: Path) -> None:
    for compiled in ("false", "true"):
        hardware = f"hardware={{accelerator: gpu, threads: 1, compile: {compiled}}}"
        train(tiny_config("sss", "network.dropout=0", hardware), guitar_shards, tmp_path / compiled)
    one, other = (pd.read_csv(tmp_path / name / "steps.csv")["loss"] for name in ("false", "true"))
    np.testing.assert_allclose(one, other, rtol=5e-3)


def test_evaluation_gives_the_same(guitar_run: Path, guitar_shards: Path, tmp_path: Path) -> None:
    one, other = (
        evaluate(guitar_run, guitar_shards, device=d, out=tmp_path / d).scores for d in ("cpu", "cuda")
    )
    np.testing.assert_allclose(one["si_sdr_estimate"], other["si_sdr_estimate"], atol=0.05)


def test_separation_gives_the_same(guitar_run: Path) -> None:
    audio = np.random.default_rng(0).standard_normal((2, 20_000)).astype(np.float32) / 10
    one, other = (
        separate(guitar_run, audio, 4000, device=d, window_seconds=1, overlap_seconds=0.2)
        for d in ("cpu", "cuda")
    )
    assert one.keys() == other.keys()
    for name, signal in one.items():
        np.testing.assert_allclose(signal, other[name], atol=2e-3)
