"""What an earlier run of this format wrote is read and resumed: ``data/format_3``.

It was made with ``frozen_config`` and one epoch; ``expected.npy`` is what the weights make of :func:`noise`. Of the
QBE run only the weights are kept.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from slakh_hier.errors import FaultError
from slakh_hier.models.config import Config
from slakh_hier.models.training import train
from slakh_hier.models.weights import load_weights

DATA = Path(__file__).parent / "data" / "format_3"
SIZES = ("stft.window=16", "stft.hop=8", "network.units=2")
TASKS = {
    "sss": ("sss", *SIZES),
    "qbe": ("qbe", *SIZES, "network.kind=bandsplit", "network.features=2", "loss.kind=complex"),
}


@pytest.fixture
def frozen_config(tiny_config: Callable[..., Config]) -> Callable[..., Config]:
    """``frozen_config(task, epochs)``: the configuration of the frozen run."""
    return lambda task, epochs: tiny_config(*TASKS[task], f"training.epochs={epochs}")


def noise() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).standard_normal((1, 1, 400)).astype(np.float32) / 10)


@pytest.mark.parametrize("task", TASKS)
def test_weights(task: str) -> None:
    trained = load_weights(DATA / task)
    assert (trained.about.names, trained.about.step) == (
        ("clean", "guitars", "strings") if task == "sss" else ("level_1", "level_2", "level_3"),
        3,
    )
    with torch.no_grad():
        found = trained.separator(noise(), noise() if task == "qbe" else None).numpy()
    np.testing.assert_allclose(found[:, :, 0, :50], np.load(DATA / task / "expected.npy"), atol=1e-5)


@pytest.mark.parametrize("name", ["log.txt", "metrics.csv", "steps.csv"])
def test_a_run_of_untrusted_people_leads_nowhere_else(
    name: str, guitar_shards: Path, frozen_config: Callable[[str, int], Config], tmp_path: Path
) -> None:
    run = shutil.copytree(DATA / "sss", tmp_path / "run")
    (tmp_path / "mine").write_text("mine\n")
    (run / name).unlink(missing_ok=True)
    (run / name).symlink_to(tmp_path / "mine")
    with pytest.raises(FaultError, match=rf"cannot write \S*/{name}: is a symbolic link"):
        train(frozen_config("sss", 2), guitar_shards, run)
    assert (tmp_path / "mine").read_text() == "mine\n"


def test_a_training_is_resumed(
    guitar_shards: Path, frozen_config: Callable[[str, int], Config], tmp_path: Path
) -> None:
    run = shutil.copytree(DATA / "sss", tmp_path / "run")
    result = train(frozen_config("sss", 2), guitar_shards, run)
    assert (result.resumed_at, result.epochs, result.steps) == (3, 2, 6)
    assert pd.read_csv(run / "metrics.csv")["epoch"].tolist() == [1, 2]
    assert load_weights(run).about.step in (3, 6)
