"""What one optimizer step and one validation do, and the state that a resumed training needs."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from torch import Tensor

from slakh_hier.errors import FaultError, InputError, SlakhHierWarning
from slakh_hier.models.autoclip import AutoClip
from slakh_hier.models.average import Average
from slakh_hier.models.config import Config
from slakh_hier.models.muon import Muon
from slakh_hier.models.objective import Estimate, masked_sums
from slakh_hier.models.registry import LOSSES
from slakh_hier.models.schedules import Schedule, build_schedule
from slakh_hier.models.separator import Separator

DROPOUT = 0xD0
"""Keeps dropout apart from other draws of the same seed."""


@dataclass
class Sums:
    """Losses added up: over clips for each level, and over everything for the loss.

    ``values`` is float64, (2 levels + 2,): the levels' sums, the levels' counts, numerator, denominator.
    """

    levels: tuple[int, ...]
    values: Tensor = field(init=False)

    def __post_init__(self) -> None:
        self.values = torch.zeros(2 * len(self.levels) + 2, dtype=torch.float64)

    def losses(self, lead: str = "") -> dict[str, float]:
        """``loss`` and ``loss_level_N`` for each level; NaN where nothing was available."""
        n = len(self.levels)
        values = self.values.tolist()
        named = {f"{lead}loss": values[-2] / max(values[-1], 1.0)}
        for place, level in enumerate(self.levels):
            count = values[n + place]
            named[f"{lead}loss_level_{level}"] = values[place] / count if count else math.nan
        return named


class Training(pl.LightningModule):
    """A separator with its loss, optimizer, AutoClip and learning-rate schedule.

    Everything that happens in a step follows from the state and from (seed, epoch, step): dropout too, since the
    generator is seeded for each batch.

    Parameters
    ----------
    separator
        What is trained.
    config
        Loss, optimizer, seed.
    levels
        The separator's levels, finest first.

    Attributes
    ----------
    position : tuple of int
        (epoch, batch) at which the loaded checkpoint resumes.
    last : dict
        The last optimizer step: losses, gradient norm, clipping threshold, learning rate.
    """

    def __init__(self, separator: Separator, config: Config, levels: tuple[int, ...]):
        super().__init__()
        self.separator, self.config, self.levels = separator, config, levels
        self.autoclip = AutoClip(config.optimizer.clip_percentile)
        self.loss = LOSSES.build(config.loss)
        self.position = (0, 0)
        self.last: dict[str, float] = {}
        self.train_sums, self.val_sums = Sums(levels), Sums(levels)
        self.skipped_steps = 0
        self.average = Average(separator, config.training.ema) if config.training.ema else None
        self._parts: list[tuple[Tensor, list[str]]] = []  # of the step that is being accumulated
        self._schedule: Schedule | None = None
        self._schedule_state: dict[str, Any] | None = None
        self._validating = ExitStack()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        o = self.config.optimizer
        optimizer: torch.optim.Optimizer
        if o.kind == "muon":
            optimizer = Muon(self.separator, o.lr, o.betas)
        else:
            optimizer = torch.optim.Adam(self.parameters(), lr=o.lr, betas=o.betas, fused=True)
        # Stepped here, not by Lightning, which would do it after the checkpoint of the epoch's end is written.
        self._schedule = build_schedule(optimizer, o)
        if self._schedule_state is not None:
            self._schedule.load_state_dict(self._schedule_state)
        return optimizer

    def on_train_epoch_start(self) -> None:
        # Lightning leaves this hook out in a resumed epoch: the sums of its first part stay.
        self.train_sums = Sums(self.levels)

    def on_train_batch_start(self, batch: dict[str, Any], batch_idx: int) -> None:
        words = (self.config.training.seed, DROPOUT, self.current_epoch, batch_idx, self.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> np.uint64(1)))
        assert self._schedule is not None
        batches = int(self.trainer.num_training_batches) * (self.trainer.max_epochs or 1)
        self._schedule.before_step(self.global_step, batches // self.trainer.accumulate_grad_batches)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        if self.average is not None:
            self.average.update()

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        total, values = self._losses(batch)
        self._parts.append((values, batch["id"]))
        # Gradients of plain sums: Lightning divides by the number of parts, DistributedDataParallel averages over
        # devices; what the sum of all parts is divided by is known at the step's end only.
        return total * (self.trainer.world_size * self.trainer.accumulate_grad_batches)

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Divide by the denominator, then AutoClip; the one moment of a step at which the CPU waits."""
        parameters = list(self.separator.parameters())
        denominator = torch.stack([values[-1] for values, _ in self._parts]).sum().clamp_min(1)
        torch._foreach_div_([p.grad for p in parameters if p.grad is not None], denominator)
        norm, threshold = self.autoclip.clip(parameters)
        step = Sums(self.levels)
        for values, ids in self._parts:
            step.values += values.cpu().double()
            if not math.isfinite(float(values[-2])):
                raise FaultError(self._not_finite(ids))
        self._parts = []
        if not math.isfinite(norm):
            self.skipped_steps += 1
            warnings.warn(
                f"step {self.global_step + 1}: the gradient is {norm} although the loss is finite; the step is skipped",
                SlakhHierWarning,
                stacklevel=1,
            )
            for parameter in parameters:
                parameter.grad = None  # optimizers leave such parameters alone
        self.train_sums.values += step.values
        lr = float(optimizer.param_groups[0]["lr"])
        self.last = {**step.losses(), "grad_norm": norm, "clip_threshold": threshold, "lr": lr}

    def on_validation_epoch_start(self) -> None:
        self.val_sums = Sums(self.levels)
        self._validated: list[Tensor] = []
        if self.average is not None:
            self._validating.enter_context(self.average.in_place())

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        _, values = self._losses(batch, reduce=False)
        self._validated.append(values)

    def on_validation_epoch_end(self) -> None:
        self._validating.close()
        # Added up on the CPU: not every device has float64.
        values = torch.stack(self._validated).cpu().double().sum(0)
        if self.trainer.world_size > 1:
            values = values.to(self.device)
            torch.distributed.all_reduce(values)
        self.val_sums.values = values.cpu()

    def epoch_losses(self) -> dict[str, float]:
        """Means over the epoch's steps and over the validation clips."""
        named = self.train_sums.losses("train_")
        if self.validated:
            named |= self.val_sums.losses("val_")
        return named

    @property
    def validated(self) -> bool:
        """There is a validation loss."""
        return bool(self.val_sums.values[-1] > 0)

    @property
    def published(self) -> Mapping[str, Tensor]:
        """The separator's tensors that the run's weights hold: the average of the last steps', where there is one."""
        return self.separator.state_dict() if self.average is None else self.average.state

    @property
    def selection_loss(self) -> float:
        """What selects the model and the learning rate: validation loss, without validation clips training loss."""
        named = self.epoch_losses()
        return named.get("val_loss", named["train_loss"])

    def on_train_epoch_end(self) -> None:
        loss = self.selection_loss
        if self.validated and not math.isfinite(loss):
            raise FaultError(f"epoch {self.current_epoch + 1}: the validation loss is {loss}; {_ADVICE}")
        assert self._schedule is not None
        self._schedule.after_epoch(loss)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        assert self._schedule is not None
        checkpoint["slakh_hier"] = {
            "position": list(self.position),
            "autoclip": self.autoclip.state_dict(),
            "schedule": self._schedule.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "train_sums": self.train_sums.values,
            "skipped_steps": self.skipped_steps,
            "loss": self.selection_loss,
        }

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        own = checkpoint["slakh_hier"]
        self.position = (own["position"][0], own["position"][1])
        self.autoclip.load_state_dict(own["autoclip"])
        self._schedule_state = own["schedule"]
        if self.average is not None:
            self.average.load_state_dict(own["average"])
        self.train_sums.values = own["train_sums"]
        self.skipped_steps = own["skipped_steps"]

    def _losses(self, batch: dict[str, Any], *, reduce: bool = True) -> tuple[Tensor, Tensor]:
        """This device's loss sum (with gradient), and :class:`Sums` values, of all devices if ``reduce``."""
        spectra = self.separator.stft(batch["signals"])  # (batch, 1 + levels, channels, bins, frames)
        mixture, sources = spectra[:, 0], spectra[:, 1:]
        anchor = self.separator.encode(batch["query"]) if self.separator.takes_query else None
        tf_masks, available = self.separator.tf_masks(mixture, anchor), batch["available"]
        terms = self.loss(
            Estimate(tf_masks, mixture, sources, batch["signals"], available, self.separator.stft)
        )
        if terms.shape != available.shape:
            raise InputError(
                f"loss {self.config.loss.kind} gave {tuple(terms.shape)} values; (batch, levels) is "
                f"{tuple(available.shape)} here"
            )
        total, count = masked_sums(terms, available, self.config.loss.denominator, batch.get("weights"))
        levels = terms.detach().where(available, terms.new_zeros(()))
        values = torch.cat((levels.sum(0), available.sum(0), total.detach()[None], count[None]))
        if reduce and self.trainer.world_size > 1:
            torch.distributed.all_reduce(values)
        return total, values

    def _not_finite(self, ids: list[str]) -> str:
        where = " (of all devices; these are this one's)" if self.trainer.world_size > 1 else ""
        return (
            f"epoch {self.current_epoch + 1}, step {self.global_step + 1}: the loss is not finite. The batch's "
            f"clips{where}: {', '.join(ids)}. {_ADVICE}"
        )


_ADVICE = (
    "Check these clips (slakh-hier verify --full), or lower optimizer.lr; the last checkpoint is kept, and the same "
    "command resumes from it"
)
