"""What holds around a training: interrupts, and how a CPU computes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from slakh_hier.models.config import Config
from slakh_hier.models.fitting import interrupts_first
from slakh_hier.models.module import Training
from slakh_hier.models.training import train


def interrupted() -> None:
    """As Lightning answers Ctrl-C, and then fails while it clears up."""
    try:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(1)
    finally:
        raise RuntimeError("while clearing up")


def test_what_an_interrupt_ends_in_is_the_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt), interrupts_first():
        interrupted()
    with pytest.raises(SystemExit), interrupts_first():
        sys.exit(1)


def denormals() -> float:
    """What becomes of a number that a float32 cannot hold with all its bits."""
    return float(torch.tensor([1e-40]) * 1)


def test_a_cpu_takes_denormals_for_zero_while_it_trains(
    guitar_shards: Path,
    tiny_config: Callable[..., Config],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    step, seen = Training.training_step, []

    def watched(self: Training, batch: Any, batch_idx: int) -> torch.Tensor:
        seen.append(denormals())
        return step(self, batch, batch_idx)

    monkeypatch.setattr(Training, "training_step", watched)
    assert denormals() > 0
    train(tiny_config("sss"), guitar_shards, tmp_path / "run")
    assert set(seen) == {0.0}
    assert denormals() > 0
