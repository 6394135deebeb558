"""What a training writes while it runs: CSV tables, TensorBoard logs, one line per epoch, and its progress."""

from __future__ import annotations

import csv
import math
import os
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from torch.utils.tensorboard import SummaryWriter

from slakh_hier.models.checkpoints import Checkpoints
from slakh_hier.models.module import Training
from slakh_hier.models.run_folder import LOG, METRICS, STEPS, TENSORBOARD
from slakh_hier.models.training import Report
from slakh_hier.plain_files import open_plain
from slakh_hier.progress import Advance, Progress


class RunLog(pl.Callback):
    """Writes ``steps.csv`` (one row per optimizer step), ``metrics.csv`` (one row per epoch), TensorBoard and log.txt.

    Parameters
    ----------
    run
        The run folder.
    checkpoints
        Knows the best loss so far.
    resumed_at
        Steps done before: later rows of a killed run are cut off, since those steps are made again.
    clip_seconds
        Length of a training example (s).
    progress
        Shows the running epoch.
    report
        Takes a line for people at each epoch's end.
    """

    def __init__(
        self,
        run: Path,
        checkpoints: Checkpoints,
        resumed_at: int,
        *,
        clip_seconds: float,
        progress: Progress,
        report: Report,
    ):
        self.run, self.checkpoints, self.resumed_at = run, checkpoints, resumed_at
        self.clip_seconds, self.progress, self.report = clip_seconds, progress, report
        self._stage = ExitStack()
        self._advance: Advance = lambda amount: None
        self._running = False

    def on_train_start(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            self._steps = Table(self.run / STEPS, self.resumed_at)
            self._epochs = Table(self.run / METRICS, self.resumed_at)
            self._board = SummaryWriter(
                str(self.run / TENSORBOARD),
                purge_step=self.resumed_at + 1,
                flush_secs=1,  # closing waits as long, where Ctrl-C came while an entry was handed over
            )
            self._stage.callback(self._board.close)
            self._stage.callback(self._steps.close)
            self._stage.callback(self._epochs.close)

    def on_train_batch_start(
        self, trainer: pl.Trainer, module: pl.LightningModule, batch: Mapping[str, Any], batch_idx: int
    ) -> None:
        assert isinstance(module, Training)
        now = time.monotonic()
        if not self._running:  # a resumed epoch begins nowhere else
            self._running = True
            self._began = self._step_began = self._batch_ended = now
            self._clips = self._step_clips = 0
            self._waited = 0.0
            if trainer.is_global_zero:
                t = module.config.training
                clips = (int(trainer.num_training_batches) - batch_idx) * t.batch_size // t.accumulate
                stage = self.progress.stage(
                    f"epoch {trainer.current_epoch + 1} of {t.epochs}",
                    clips,
                    "clips",
                    worth=(self.clip_seconds, "s of audio"),
                )
                self._epoch_stage = ExitStack()
                self._advance = self._epoch_stage.enter_context(stage)
                self._stage.push(self._epoch_stage)
        self._waited += now - self._batch_ended

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        module: pl.LightningModule,
        outputs: Any,
        batch: Mapping[str, Any],
        batch_idx: int,
    ) -> None:
        assert isinstance(module, Training)
        self._batch_ended = now = time.monotonic()
        clips = len(batch["id"]) * trainer.world_size
        self._clips += clips
        self._step_clips += clips
        if trainer.is_global_zero:
            self._advance(clips)
            if (batch_idx + 1) % trainer.accumulate_grad_batches == 0:
                speed = self._step_clips / max(now - self._step_began, 1e-9)
                values = {**module.last, "clips_per_second": speed}
                self._steps.write({"epoch": trainer.current_epoch + 1, "step": trainer.global_step, **values})
                self._scalars("train", values, trainer.global_step)
                self._step_clips, self._step_began = 0, now

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, Training)
        self._running = False
        if not trainer.is_global_zero:
            return
        self._epoch_stage.close()
        seconds = max(self._batch_ended - self._began, 1e-9)
        speed = self._clips / seconds
        losses, lr = module.epoch_losses(), module.last["lr"]
        values = {
            **losses,
            "lr": lr,
            "skipped_steps": module.skipped_steps,
            "clips_per_second": speed,
            "audio_seconds_per_second": speed * self.clip_seconds,
            "data_wait": self._waited / seconds,
        }
        self._epochs.write({"epoch": trainer.current_epoch + 1, "step": trainer.global_step, **values})
        self._scalars("epoch", values, trainer.global_step)
        best = module.selection_loss < self.checkpoints.best_loss
        validation = f", validation {losses['val_loss']:.5g}" if module.validated else ""
        self._say(
            f"epoch {trainer.current_epoch + 1} of {module.config.training.epochs}: loss {losses['train_loss']:.5g}"
            f"{validation}{' (best)' if best else ''}, lr {lr:.3g}, {speed:.1f} clips/s, "
            f"{speed * self.clip_seconds:.0f} s of audio/s"
        )

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        self._stage.close()

    def teardown(self, trainer: pl.Trainer, module: pl.LightningModule, stage: str) -> None:
        self._stage.close()

    def _scalars(self, group: str, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            if math.isfinite(value):
                self._board.add_scalar(f"{group}/{name}", value, step)

    def _say(self, text: str) -> None:
        self.report(text)
        handle = open_plain(self.run / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        with open(handle, "a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}\n")


class Table:
    """A CSV file that rows are added to; when opened, rows of steps after ``last_step`` are dropped.

    Every row has the columns of the first one; a line reaches the file as soon as it is written.
    """

    def __init__(self, path: Path, last_step: int):
        kept: list[dict[str, str]] = []
        if path.exists():
            with open(open_plain(path), newline="", encoding="utf-8") as old:
                # A kill may have cut the last line short.
                kept = [row for row in csv.DictReader(old) if _whole(row) and int(row["step"]) <= last_step]
        handle = open_plain(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        self._file = open(handle, "w", newline="", encoding="utf-8", buffering=1)  # noqa: SIM115
        self._writer: csv.DictWriter[str] | None = None
        for row in kept:
            self.write(row)

    def write(self, row: Mapping[str, object]) -> None:
        if self._writer is None:
            self._writer = csv.DictWriter(self._file, list(row), lineterminator="\n")
            self._writer.writeheader()
        self._writer.writerow(row)

    def close(self) -> None:
        self._file.close()


def _whole(row: Mapping[str | None, str | None]) -> bool:
    return None not in row and None not in row.values() and (row["step"] or "").isdecimal()
