"""Training on shards at an address is the training on a copy of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from slakh_hier.models.config import Config
from slakh_hier.models.evaluation import evaluate
from slakh_hier.models.training import train


def test_training_and_evaluation_from_an_address(
    guitar_shards: Path,
    tiny_config: Callable[..., Config],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    s3: Callable[[Path, str], str],
) -> None:
    monkeypatch.setenv("SLAKH_HIER_CACHE", str(tmp_path / "cache"))
    url = s3(guitar_shards, "training/shards")
    results = [
        train(tiny_config("sss", "training.epochs=1"), shards, tmp_path / name)
        for name, shards in (("here", guitar_shards), ("there", url))
    ]
    files = {path.name for path in (tmp_path / "cache").glob("shards/*-*/*.h5")}
    assert files == {"train-00000.h5", "validation-00000.h5"}
    summaries = [evaluate(result.run, url, jobs=1).summary.levels for result in results]
    weights = [(result.run / "weights.safetensors").read_bytes() for result in results]
    assert weights[0] == weights[1]
    assert summaries[0] == summaries[1]
