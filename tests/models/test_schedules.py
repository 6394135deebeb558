"""Learning-rate schedules against their formulas, and through a training."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from slakh_hier.errors import InputError
from slakh_hier.models.config import Config, OptimizerConfig
from slakh_hier.models.schedules import build_schedule, one_cycle
from slakh_hier.models.training import train


def test_one_cycle_rises_and_falls() -> None:
    assert one_cycle(0, 0.25) == 0.1
    assert one_cycle(0.125, 0.25) == pytest.approx(0.55)
    assert one_cycle(0.25, 0.25) == 1
    assert one_cycle(0.625, 0.25) == pytest.approx(0.5005)
    assert one_cycle(1, 0.25) == pytest.approx(0.001)
    rates = [one_cycle(step / 100, 0.1) for step in range(100)]
    assert max(rates) == rates[10]
    assert all(math.isfinite(rate) and rate > 0 for rate in rates)


def test_plateau_waits_for_patience_and_keeps_its_state() -> None:
    def made() -> tuple[torch.optim.Optimizer, object]:
        adam = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        return adam, build_schedule(adam, OptimizerConfig(lr=1.0, patience=1, factor=0.5))

    adam, schedule = made()
    for loss in (3.0, 3.0):
        schedule.after_epoch(loss)  # type: ignore[attr-defined]
    assert adam.param_groups[0]["lr"] == 1
    other, resumed = made()
    resumed.load_state_dict(schedule.state_dict())  # type: ignore[attr-defined]
    resumed.after_epoch(3.0)  # type: ignore[attr-defined]
    assert other.param_groups[0]["lr"] == 0.5


def test_a_training_follows_one_cycle(
    guitar_shards: Path, tiny_config: Callable[..., Config], tmp_path: Path
) -> None:
    settings = ("optimizer.schedule=one_cycle", "optimizer.lr=0.01", "training.accumulate=2")
    train(tiny_config("sss", *settings), guitar_shards, tmp_path / "run")
    rates = pd.read_csv(tmp_path / "run" / "steps.csv")["lr"]
    assert rates.tolist() == pytest.approx([0.01 * one_cycle(step / 6, 0.1) for step in range(6)])
    # Its rates follow from its length: it cannot be made longer.
    with pytest.raises(InputError, match=r"training.epochs +2 +3"):
        train(tiny_config("sss", *settings, "training.epochs=3"), guitar_shards, tmp_path / "run")
