"""Train a separator on shards: one call, resumable, the same on one device or many."""

from __future__ import annotations

import logging
import math
import os
import re
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException

from slakh_hier.errors import FaultError, InputError, ShardError, SlakhHierError, SlakhHierWarning
from slakh_hier.files import folder_lock, make_folder
from slakh_hier.models import run_folder
from slakh_hier.models.checkpoints import Checkpoints, SafeCheckpointIO, checkpoint_path, newest, step_of
from slakh_hier.models.config import Config
from slakh_hier.models.loaders import NextEpoch, ShardData
from slakh_hier.models.module import Training
from slakh_hier.models.run_log import Report, RunLog
from slakh_hier.models.selection import Selection, level_names, select_clips, sole_target
from slakh_hier.models.separator import build_separator
from slakh_hier.models.weights import About, intact, load_weights, save_weights, state_of
from slakh_hier.progress import Progress, Silent
from slakh_hier.shards.index import read_index
from slakh_hier.shards.read import ShardSet, open_shards
from slakh_hier.version import VERSION


@dataclass(frozen=True)
class TrainResult:
    """What a training came to.

    Attributes
    ----------
    run : Path
    names : tuple of str
        What each level's estimate is called, leaf first.
    parameters : int
        Of the separator.
    epochs, steps
        Done in all, resumed ones included.
    best_loss, best_step
        Of the model in weights.safetensors: lowest validation loss (training loss without validation clips).
    resumed_at
        Steps that were done before this call; None for a fresh start.
    seconds
        Of this call.
    main
        This is the process that writes (of several that share a training).
    """

    run: Path
    names: tuple[str, ...]
    parameters: int
    epochs: int
    steps: int
    best_loss: float
    best_step: int
    resumed_at: int | None
    seconds: float
    main: bool = True


def train(
    config: Config,
    shards: Path,
    run: Path,
    *,
    overwrite: bool = False,
    progress: Progress | None = None,
    report: Report | None = None,
) -> TrainResult:
    """Train a separator, or go on where an earlier call was stopped.

    Parameters
    ----------
    config
        See :func:`~slakh_hier.models.config_file.load_config`.
    shards
        A finished shard set with the splits ``train`` and, to select the model, ``validation``.
    run
        The run folder: new, empty, or of the same configuration and data.
    overwrite
        Start again where the folder holds another run.
    progress
        Shows each epoch.
    report
        Takes a line for people at each epoch's end.

    Raises
    ------
    InputError
        The shards do not fit the task, or the folder holds something else.
    LockedError
        Another process trains into the folder.
    FaultError
        The loss is not finite, memory ran out, or a loader process died; the last checkpoint is kept.
    """
    began = time.monotonic()
    if config.hardware.threads:
        torch.set_num_threads(config.hardware.threads)
    sets, selections, node = _open(config, Path(shards))
    names = level_names(sets["train"], selections["train"])
    data = ShardData(config, sets, selections)
    separator = build_separator(config, len(selections["train"].levels))
    if config.hardware.compile:
        separator.network.compile()
    module = Training(separator, config, selections["train"].levels)

    with ExitStack() as stack:
        main = is_main_process()
        if main:
            stack.enter_context(folder_lock(make_folder(run)))
            record = run_folder.data_record(sets, selections, names)
            resume = run_folder.prepare(run, config, record, overwrite=overwrite)
        else:
            resume = None if overwrite else newest(run)
        resumed_at = None if resume is None else step_of(resume)
        about = About(
            tool_version=VERSION,
            levels=module.levels,
            names=names,
            node=node,
            sample_rate=sets["train"].sample_rate,
            clip_seconds=data.clip_seconds,
            hierarchy_digest=sets["train"].index.hierarchy_digest,
            plan_digest=sets["train"].index.plan_digest,
            parameters=separator.parameter_count,
            epoch=0,
            step=0,
            loss=math.inf,
            config=config,
        )

        def publish_weights() -> None:
            done = {
                "epoch": trainer.current_epoch + 1,
                "step": trainer.global_step,
                "loss": module.selection_loss,
            }
            save_weights(run, separator, about.model_copy(update=done))

        t = config.training
        checkpoints = Checkpoints(run, t.checkpoint_every, t.keep, publish_weights)
        log = RunLog(
            run,
            checkpoints,
            resumed_at or 0,
            clip_seconds=data.clip_seconds,
            progress=progress or Silent(),
            report=report or (lambda text: None),
        )
        if main and resume is not None:
            _restore_weights(run, resume, config, about)
        with _quiet_lightning():
            trainer = _trainer(config, run, [NextEpoch(), log, checkpoints])
            _fit(trainer, module, data, resume, log)
    return TrainResult(
        run=run,
        names=names,
        parameters=about.parameters,
        epochs=trainer.current_epoch,
        steps=trainer.global_step,
        best_loss=checkpoints.best_loss,
        best_step=checkpoints.best_step,
        resumed_at=resumed_at,
        seconds=time.monotonic() - began,
        main=main,
    )


def is_main_process() -> bool:
    """Whether this is the one process of a training that writes, by what torchrun, SLURM or Lightning set."""
    names = ("RANK", "LOCAL_RANK", "GROUP_RANK", "NODE_RANK", "SLURM_PROCID")
    return all(os.environ.get(name, "0") == "0" for name in names)


def _open(config: Config, folder: Path) -> tuple[dict[str, ShardSet], dict[str, Selection], str | None]:
    splits = read_index(folder).splits
    sets = {"train": open_shards(folder, "train")}
    if "validation" in splits:
        sets["validation"] = open_shards(folder, "validation")
    else:
        warnings.warn(
            f"{folder} has no validation split: the training loss selects the model",
            SlakhHierWarning,
            stacklevel=3,
        )
    node = config.node
    if config.task == "sss" and node is None:
        node = sole_target(sets["train"])  # so that all splits mean the same path
    selections = {
        split: select_clips(
            some,
            config.task,
            node=node,
            levels=config.levels,
            mask=config.data.mask if split == "train" else None,
        )
        for split, some in sets.items()
    }
    return sets, selections, node


def _trainer(config: Config, run: Path, callbacks: list[pl.Callback]) -> pl.Trainer:
    h, processes = config.hardware, config.hardware.devices * config.hardware.nodes
    accelerator = h.accelerator
    if accelerator == "auto":
        accelerator = "gpu" if torch.cuda.is_available() else "cpu"
    plugins: list[Any] = [SafeCheckpointIO()]
    if SLURMEnvironment.detect():
        # Lightning's own requeueing writes checkpoints of its own; here the same command resumes.
        plugins.append(SLURMEnvironment(auto_requeue=False))
    try:
        return pl.Trainer(
            accelerator=accelerator,
            devices=h.devices,
            num_nodes=h.nodes,
            strategy="ddp" if processes > 1 else "auto",
            precision="bf16-mixed" if h.precision == "bf16" else "32-true",
            sync_batchnorm=accelerator == "gpu" and processes > 1,
            use_distributed_sampler=False,  # Batches shares out the clips
            max_epochs=config.training.epochs,
            accumulate_grad_batches=config.training.accumulate,
            num_sanity_val_steps=0,
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=callbacks,
            plugins=plugins,
            default_root_dir=str(run),
        )
    except MisconfigurationException as error:
        raise InputError(f"this machine cannot run with hardware: {h!r}: {error}") from None


def _fit(trainer: pl.Trainer, module: Training, data: ShardData, resume: Path | None, log: RunLog) -> None:
    """Run Lightning's loop; its ways of stopping become ours."""
    try:
        trainer.fit(module, datamodule=data, ckpt_path=None if resume is None else str(resume))
    except SystemExit:
        # Lightning answers Ctrl-C and SIGTERM with exit(1); callers want the interrupt itself.
        if isinstance(log.interrupt, KeyboardInterrupt):
            raise log.interrupt from None
        raise
    except torch.OutOfMemoryError as error:
        raise FaultError(
            "the device ran out of memory. Work a batch off in parts (--set training.accumulate=5), or run with "
            f"--set hardware.precision=bf16. Finished epochs are kept ({error})"
        ) from None
    except (RuntimeError, SlakhHierError) as error:
        text = str(error)
        if "DataLoader worker" not in text:
            raise
        # torch hands over a loader process's error as one text: all of its traceback, our message last.
        if ours := re.findall(r"^slakh_hier\.[\w.]+: (.+)", text, re.MULTILINE):
            raise ShardError(ours[-1]) from None
        if "exited unexpectedly" not in text and "killed by signal" not in text:
            raise
        raise FaultError(
            f"a loader process died ({text.strip().splitlines()[0]}). If memory is short, take fewer: --set "
            "data.workers=2. Run the same command again to go on from the last checkpoint"
        ) from None


def _restore_weights(run: Path, resume: Path, config: Config, about: About) -> None:
    """Write the run's weights anew where a kill came between a checkpoint and its weights."""
    state = SafeCheckpointIO().load_checkpoint(resume)
    path = resume
    if config.training.keep == "best":
        path = checkpoint_path(run, state["callbacks"][Checkpoints.__qualname__]["best_step"])
    elif state["slakh_hier"]["position"][1]:
        return  # within an epoch: its end publishes the weights
    if not path.exists() or (intact(run) and load_weights(run).about.step == step_of(path)):
        return
    state = SafeCheckpointIO().load_checkpoint(path)
    separator = build_separator(config, len(about.levels))
    separator.load_state_dict(state_of(state))
    own = state["slakh_hier"]
    done = {"epoch": own["position"][0], "step": step_of(path), "loss": own["loss"]}
    save_weights(run, separator, about.model_copy(update=done))


@contextmanager
def _quiet_lightning() -> Iterator[None]:
    """Lightning tells much that is of no use here, or wrong: its hints on workers, resumption and tuning."""
    loggers = [
        logging.getLogger(name) for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric")
    ]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for module in ("pytorch_lightning", "lightning_fabric", "torch"):
                warnings.filterwarnings("ignore", module=rf"{module}\b")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
