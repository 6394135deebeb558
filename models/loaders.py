"""The loaders of a training: each device's part of each batch, from the place where a run resumes."""

from __future__ import annotations

from functools import partial

import pytorch_lightning as pl
import torch

from slakh_hier.models.batches import Batches, InOrder
from slakh_hier.models.config import Config, HardwareConfig
from slakh_hier.models.data import ClipDataset
from slakh_hier.models.module import Training
from slakh_hier.models.reader import KeyBatches, Reader
from slakh_hier.models.selection import Selection
from slakh_hier.models.stored import Batch, signals_of
from slakh_hier.models.weighting import term_weights
from slakh_hier.shards.read import ShardSet


class ShardData(pl.LightningDataModule):
    """The loaders of a training; each device has its own part of each batch."""

    def __init__(self, config: Config, sets: dict[str, ShardSet], selections: dict[str, Selection]):
        super().__init__()
        self.config = config
        d, seed = config.data, config.training.seed
        weights = {split: term_weights(sets[split], some, config.loss) for split, some in selections.items()}
        self.sets = {
            "train": ClipDataset(
                sets["train"],
                selections["train"],
                seed=seed,
                fresh_queries=config.task == "qbe" and d.queries == "fresh",
                gain_db=d.gain_db,
                crop_seconds=d.crop_seconds,
                mask=d.mask,
                remix=d.remix,
                weights=weights["train"],
            )
        }
        if "validation" in sets:
            self.sets["validation"] = ClipDataset(
                sets["validation"], selections["validation"], weights=weights["validation"]
            )
        self.clip_seconds = self.sets["train"].samples / sets["train"].sample_rate
        self.batches: Batches | None = None

    def train_dataloader(self) -> Reader:
        trainer, t = self._trainer(), self.config.training
        self.batches = Batches(
            len(self.sets["train"]),
            t.batch_size,
            seed=t.seed,
            steps=t.steps_per_epoch,
            parts=t.accumulate,
            rank=trainer.global_rank,
            world=trainer.world_size,
            groups=self.sets["train"].selection.query_column if self.config.data.balance == "node" else None,
        )
        assert isinstance(trainer.lightning_module, Training)
        self.batches.epoch, self.batches.start = trainer.lightning_module.position
        return self._reader("train", self.batches)

    def val_dataloader(self) -> Reader | list[Reader]:
        if "validation" not in self.sets:
            return []
        trainer = self._trainer()
        size = max(1, self.config.training.batch_size // self.config.training.accumulate)
        batches = InOrder(
            len(self.sets["validation"]), size, rank=trainer.global_rank, world=trainer.world_size
        )
        return self._reader("validation", batches)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:
        return signals_of(batch) if "rows" in batch else batch

    def _reader(self, split: str, batches: KeyBatches) -> Reader:
        dataset = self.sets[split]
        gpu = on_gpu(self.config.hardware)
        return Reader(partial(dataset.stored, pinned=True) if gpu else dataset.batch, batches)

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
