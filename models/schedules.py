"""How the learning rate changes during a training."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.optim.lr_scheduler import ReduceLROnPlateau

from slakh_hier.models.config import OptimizerConfig

START, END = 0.1, 1e-3
"""One cycle begins and ends at these parts of the highest rate."""


class Schedule:
    """Sets the rate of an optimizer; what it must remember is its state. This one does nothing."""

    def before_step(self, step: int, steps: int) -> None:
        """Optimizer step ``step`` of ``steps`` in the whole training comes next, counted from 0."""

    def after_epoch(self, loss: float) -> None:
        """An epoch has ended with this selection loss."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what :meth:`state_dict` gave."""


class Plateau(Schedule):
    """Multiply the rate by ``factor`` when the selection loss has not improved for ``patience`` epochs (the paper's)."""

    def __init__(self, optimizer: torch.optim.Optimizer, config: OptimizerConfig):
        self._plateau = ReduceLROnPlateau(optimizer, factor=config.factor, patience=config.patience)

    def after_epoch(self, loss: float) -> None:
        self._plateau.step(loss)

    def state_dict(self) -> dict[str, Any]:
        return self._plateau.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._plateau.load_state_dict(state)


class OneCycle(Schedule):
    """Raise the rate to its highest value, then let it fall to nearly zero; see :func:`one_cycle`."""

    def __init__(self, optimizer: torch.optim.Optimizer, config: OptimizerConfig):
        self._optimizer, self._config = optimizer, config

    def before_step(self, step: int, steps: int) -> None:
        rate = self._config.lr * one_cycle(step / steps, self._config.warmup)
        for group in self._optimizer.param_groups:
            group["lr"] = rate


def one_cycle(done: float, warmup: float) -> float:
    """Part of the highest rate when the part ``done`` of a training lies behind: a line up, half a cosine down.

    After Smith and Topin, *Super-convergence*, 2019, without the momentum's cycle.
    """
    if done < warmup:
        return START + (1 - START) * done / warmup
    falling = 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))
    return END + (1 - END) * falling


def build_schedule(optimizer: torch.optim.Optimizer, config: OptimizerConfig) -> Schedule:
    """The schedule that a configuration names."""
    return Plateau(optimizer, config) if config.schedule == "plateau" else OneCycle(optimizer, config)
