"""The loaders of a training: each device's part of each batch, from the place where a resumed run goes on."""

from __future__ import annotations

import os

import pytorch_lightning as pl
import torch
from torch.utils.data import DataLoader, Sampler

from slakh_hier.models.batches import Batches, InOrder
from slakh_hier.models.config import Config, HardwareConfig
from slakh_hier.models.data import ClipDataset, Item, Key
from slakh_hier.models.loader_processes import leave_signals_to_the_run
from slakh_hier.models.module import Training
from slakh_hier.models.selection import Selection
from slakh_hier.shards.read import ShardSet


class ShardData(pl.LightningDataModule):
    """The loaders of a training; each device has its own part of each batch."""

    def __init__(self, config: Config, sets: dict[str, ShardSet], selections: dict[str, Selection]):
        super().__init__()
        self.config = config
        d, seed = config.data, config.training.seed
        self.sets = {
            "train": ClipDataset(
                sets["train"],
                selections["train"],
                seed=seed,
                fresh_queries=config.task == "qbe" and d.queries == "fresh",
                gain_db=d.gain_db,
                crop_seconds=d.crop_seconds,
                mask=d.mask,
            )
        }
        if "validation" in sets:
            self.sets["validation"] = ClipDataset(sets["validation"], selections["validation"])
        self.clip_seconds = self.sets["train"].samples / sets["train"].sample_rate
        self.batches: Batches | None = None

    def train_dataloader(self) -> DataLoader[Item]:
        trainer, t = self._trainer(), self.config.training
        self.batches = Batches(
            len(self.sets["train"]),
            t.batch_size,
            seed=t.seed,
            steps=t.steps_per_epoch,
            parts=t.accumulate,
            rank=trainer.global_rank,
            world=trainer.world_size,
        )
        assert isinstance(trainer.lightning_module, Training)
        self.batches.epoch, self.batches.start = trainer.lightning_module.position
        return self._loader("train", self.batches)

    def val_dataloader(self) -> DataLoader[Item] | list[DataLoader[Item]]:
        if "validation" not in self.sets:
            return []
        trainer = self._trainer()
        size = max(1, self.config.training.batch_size // self.config.training.accumulate)
        batches = InOrder(
            len(self.sets["validation"]), size, rank=trainer.global_rank, world=trainer.world_size
        )
        return self._loader("validation", batches)

    def _loader(self, split: str, batches: Sampler[list[Key]]) -> DataLoader[Item]:
        workers = self.config.data.workers
        if workers is None:
            # Without a GPU the processors are busy with the network, beside which a clip is read in no time.
            per_device = len(os.sched_getaffinity(0)) // self.config.hardware.devices
            workers = min(8, per_device) if on_gpu(self.config.hardware) else 0
        return DataLoader(
            self.sets[split],
            batch_sampler=batches,
            num_workers=workers,
            worker_init_fn=leave_signals_to_the_run,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def _trainer(self) -> pl.Trainer:
        assert self.trainer is not None
        return self.trainer


def on_gpu(hardware: HardwareConfig) -> bool:
    """Whether a training runs on GPUs: asked for, or ``auto`` on a machine that has one."""
    return hardware.accelerator == "gpu" or (hardware.accelerator == "auto" and torch.cuda.is_available())


class NextEpoch(pl.Callback):
    """Tells the sampler which epoch its next iterator belongs to; Lightning asks for it after this hook."""

    def on_train_epoch_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        data = trainer.datamodule  # type: ignore[attr-defined]
        assert isinstance(data, ShardData)
        if data.batches is not None:
            data.batches.epoch = trainer.current_epoch
