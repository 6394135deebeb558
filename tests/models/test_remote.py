"""Training on shards at an address is the training on a copy of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from slakh_hier.models.config import Config
from slakh_hier.models.evaluation import evaluate
from slakh_hier.models.training import train

fsspec = pytest.importorskip("fsspec")


def test_training_and_evaluation_from_an_address(
    guitar_shards: Path,
    tiny_config: Callable[..., Config],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLAKH_HIER_CACHE", str(tmp_path / "cache"))
    url = "memory://training/shards"
    system = fsspec.filesystem("memory")
    for path in guitar_shards.iterdir():
        system.pipe_file(f"{url}/{path.name}", path.read_bytes())
    try:
        results = [
            train(tiny_config("sss", "training.epochs=1"), shards, tmp_path / name)
            for name, shards in (("here", guitar_shards), ("there", url))
        ]
        files = {path.name for path in (tmp_path / "cache").glob("shards/*-*/*.h5")}
        assert files == {"train-00000.h5", "validation-00000.h5"}
        summaries = [evaluate(result.run, url, jobs=1).summary["levels"] for result in results]
    finally:
        system.rm("/training", recursive=True)
    weights = [(result.run / "weights.safetensors").read_bytes() for result in results]
    assert weights[0] == weights[1]
    assert summaries[0] == summaries[1]
