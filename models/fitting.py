"""Lightning's part of a training: Trainer, ways of stopping, and what belongs to one run folder."""

from __future__ import annotations

import logging
import math
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.utilities.exceptions import MisconfigurationException

from slakh_hier.errors import FaultError, InputError, SlakhHierWarning
from slakh_hier.files import cannot_write, make_folder, publish_json, require_free
from slakh_hier.locks import folder_lock
from slakh_hier.memory import keep_freed_memory
from slakh_hier.models import run_folder
from slakh_hier.models.checkpoints import Checkpoints, SafeCheckpointIO, checkpoint_path, newest, step_of
from slakh_hier.models.config import Config, HardwareConfig
from slakh_hier.models.loaders import NextEpoch, ShardData, on_gpu
from slakh_hier.models.module import Training
from slakh_hier.models.run_log import RunLog
from slakh_hier.models.separator import build_separator
from slakh_hier.models.training import Report, TrainingData, TrainResult, is_main_process
from slakh_hier.models.warm_start import warm_start
from slakh_hier.models.weights import About, intact, load_weights, save_weights, state_of
from slakh_hier.progress import Progress
from slakh_hier.version import VERSION

CHECKPOINT_BYTES = 4 * 4
"""For each parameter: itself and Adam's two moments in the checkpoint, itself again in the weights. There may be more of them."""
SMALL = 5_000_000
"""Parameters that a CPU trains in bearable time."""


@contextmanager
def _flushed_denormals() -> Iterator[None]:
    """Take numbers below 1e-38 for zero on a CPU, which computes a hundred times slower with them.

    After a few steps masks are nearly shut in silence, and most gradients there are such numbers. Threads that PyTorch
    starts in the block do so too.
    """
    before = float(torch.tensor([1e-40]) * 1) == 0.0
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


@_flushed_denormals()
def fit(
    config: Config, data: TrainingData, run: Path, *, overwrite: bool, progress: Progress, report: Report
) -> TrainResult:
    """Run the training of :func:`~slakh_hier.models.training.train` with Lightning's Trainer."""
    began = time.monotonic()
    keep_freed_memory()
    if config.hardware.threads:
        torch.set_num_threads(config.hardware.threads)
    shards, levels = data.sets["train"], data.selections["train"].levels
    loaders = ShardData(config, data.sets, data.selections)
    separator = build_separator(config, len(levels), shards.channels)
    _check_hardware(config.hardware, separator.parameter_count)
    if config.hardware.compile:
        separator.network.compile()
    started = None
    if config.training.init_from is not None and (overwrite or newest(run) is None):
        started = warm_start(separator, config, config.training.init_from)
    module = Training(separator, config, levels)

    with ExitStack() as stack:
        main = is_main_process()
        if main:
            stack.enter_context(folder_lock(make_folder(run)))
            require_free(run, CHECKPOINT_BYTES * separator.parameter_count, "a checkpoint with its weights")
            record = run_folder.data_record(data.sets, data.selections, data.names)
            resume = run_folder.prepare(run, config, record, overwrite=overwrite)
        else:
            resume = None if overwrite else newest(run)
        if main and started is not None:
            publish_json(run / run_folder.START, asdict(started))
            for line in started.lines():
                report(line)
        resumed_at = None if resume is None else step_of(resume)
        about = About(
            tool_version=VERSION,
            levels=levels,
            names=data.names,
            node=data.node,
            query_levels=data.query_levels,
            sample_rate=shards.sample_rate,
            channels=shards.channels,
            clip_seconds=loaders.clip_seconds,
            hierarchy_digest=shards.index.hierarchy_digest,
            plan_digest=shards.index.plan_digest,
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
            save_weights(run, module.published, about.model_copy(update=done))

        if main and resume is not None:
            _restore_weights(run, resume, config, about)
        t = config.training
        checkpoints = Checkpoints(run, t.checkpoint_every, t.keep, publish_weights)
        log = RunLog(
            run,
            checkpoints,
            resumed_at or 0,
            clip_seconds=loaders.clip_seconds,
            progress=progress,
            report=report,
        )
        with _quiet_lightning():
            trainer = _trainer(config, run, [NextEpoch(), log, checkpoints])
            _run(trainer, module, loaders, resume)
    return TrainResult(
        run=run,
        names=data.names,
        parameters=about.parameters,
        epochs=trainer.current_epoch,
        steps=trainer.global_step,
        best_loss=checkpoints.best_loss,
        best_step=checkpoints.best_step,
        resumed_at=resumed_at,
        seconds=time.monotonic() - began,
        main=main,
    )


def _trainer(config: Config, run: Path, callbacks: list[pl.Callback]) -> pl.Trainer:
    h, processes = config.hardware, config.hardware.devices * config.hardware.nodes
    accelerator = "mps" if h.accelerator == "mps" else "gpu" if on_gpu(h) else "cpu"
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
        raise InputError(f"this machine cannot run with hardware.devices={h.devices}: {error}") from None


def _check_hardware(hardware: HardwareConfig, parameters: int) -> None:
    """Refuse GPUs that are not there, and warn of days of waiting, before the run folder is touched."""
    there = torch.cuda.device_count()
    if on_gpu(hardware) and hardware.devices > there:
        raise InputError(
            f"{hardware.devices} GPU{'s' * (hardware.devices > 1)} asked for, but PyTorch finds {there or 'none'} here; "
            "set hardware.devices and hardware.accelerator (auto, cpu, gpu or mps) accordingly"
        )
    if hardware.accelerator == "mps":
        if not torch.backends.mps.is_available():
            raise InputError(
                "hardware.accelerator mps is the GPU of an Apple processor, which PyTorch does not find here; use auto"
            )
        if hardware.devices > 1:
            raise InputError("hardware.accelerator mps has one device; set hardware.devices=1")
    elif not on_gpu(hardware) and parameters > SMALL and is_main_process():
        warnings.warn(
            f"training {parameters / 1e6:.1f} million parameters without a GPU takes days; for a first try take "
            "--preset small (minutes) or tiny",
            SlakhHierWarning,
            stacklevel=4,
        )


def _run(trainer: pl.Trainer, module: Training, data: ShardData, resume: Path | None) -> None:
    """Run Lightning's loop; its ways of stopping become ours."""
    try:
        with interrupts_first():
            trainer.fit(module, datamodule=data, ckpt_path=None if resume is None else str(resume))
    except torch.OutOfMemoryError as error:
        raise FaultError(
            "the device ran out of memory. Process a batch in parts (--set training.accumulate=N), or run with "
            f"--set hardware.precision=bf16. Finished epochs are kept ({error})"
        ) from None
    except RuntimeError as error:
        if trainer.precision != "bf16-mixed" or "could not create a primitive" not in str(error):
            raise
        raise InputError(
            "this CPU cannot run the network in bfloat16 (it lacks the instructions); train with "
            "--set hardware.precision=32"
        ) from None
    except OSError as error:
        raise cannot_write(Path(error.filename or trainer.default_root_dir), error) from error


@contextmanager
def interrupts_first() -> Iterator[None]:
    """Whatever an interrupt ends in, such as Lightning's exit(1) or an error of its clearing up, is that interrupt again."""
    try:
        yield
    except (Exception, SystemExit) as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, KeyboardInterrupt):
                raise cause from None
            cause = cause.__cause__ or cause.__context__
        raise


def _restore_weights(run: Path, resume: Path, config: Config, about: About) -> None:
    """Rewrite the run's weights where a kill came between a checkpoint and its weights."""
    state = SafeCheckpointIO().load_checkpoint(resume)
    path = resume
    if config.training.keep == "best":
        path = checkpoint_path(run, state["callbacks"][Checkpoints.__qualname__]["best_step"])
    elif state["slakh_hier"]["position"][1]:
        return  # within an epoch: its end publishes the weights
    if not path.exists() or (intact(run) and load_weights(run).about.step == step_of(path)):
        return
    state = SafeCheckpointIO().load_checkpoint(path)
    own = state["slakh_hier"]
    done = {"epoch": own["position"][0], "step": step_of(path), "loss": own["loss"]}
    save_weights(run, state_of(state), about.model_copy(update=done))


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
