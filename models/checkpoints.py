"""Checkpoints that are complete or not there, load without pickle, and notice damage."""

from __future__ import annotations

import io
import math
import os
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins import CheckpointIO
from pytorch_lightning.callbacks import Checkpoint

from slakh_hier.errors import FaultError, InputError
from slakh_hier.files import file_sha256, publish, sha256
from slakh_hier.models.module import Training
from slakh_hier.paths import StrPath
from slakh_hier.plain_files import read_plain

FOLDER = "checkpoints"
FORMAT_KEY, FORMAT_VERSION = "slakh_hier_format_version", 2
"""Counts up when a training cannot resume from older checkpoints."""
_NAME = re.compile(r"step-([0-9]{8})\.ckpt")
_PLAIN = {torch.Tensor, torch.nn.Parameter, str, int, float, bool, bytes, type(None)}


class SafeCheckpointIO(CheckpointIO):
    """Writes a checkpoint, then ``NAME.sha256`` beside it, which says that it is whole; reads weights only."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: StrPath, storage_options: Any = None) -> None:
        """Publish a checkpoint of plain values.

        Raises
        ------
        FaultError
            It cannot be written, or holds something that would need pickle to be read again.
        """
        refuse_objects(checkpoint)
        image = io.BytesIO()
        torch.save({**checkpoint, FORMAT_KEY: FORMAT_VERSION}, image)
        data = image.getbuffer()
        path = Path(path)
        publish(path, data)
        publish(sidecar(path), f"{sha256(data)}  {path.name}\n".encode())

    def load_checkpoint(
        self, path: StrPath, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Read a checkpoint; ``weights_only`` is always on.

        Raises
        ------
        InputError
            It is damaged, or of another format version.
        """
        path = Path(path)
        check(path)
        try:
            loaded: dict[str, Any] = torch.load(path, map_location=map_location or "cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, OSError) as error:
            raise InputError(f"{path}: is not a checkpoint that can be read safely: {error}") from None
        _check_version(path, loaded.pop(FORMAT_KEY, None) if isinstance(loaded, dict) else None)
        return loaded

    def remove_checkpoint(self, path: StrPath) -> None:
        path = Path(path)
        sidecar(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)


class Checkpoints(Checkpoint):
    """Writes checkpoints at the end of each epoch and every so many steps; keeps the best and the last.

    Parameters
    ----------
    run
        The run folder.
    every
        Steps between checkpoints within an epoch; None: none there.
    keep
        ``best`` or ``last``: the model that is published as the run's weights.
    publish
        Called when there is a new such model (rank 0 only).

    Attributes
    ----------
    best_loss, best_step
        Lowest selection loss so far, and the step after which it was measured.
    """

    def __init__(self, run: Path, every: int | None, keep: str, publish: Callable[[], None]):
        super().__init__()
        self.folder, self.every, self.keep, self.publish = run / FOLDER, every, keep, publish
        self.best_loss, self.best_step = math.inf, -1
        self._saved_step = -1

    def on_train_batch_end(
        self, trainer: pl.Trainer, module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        step = trainer.global_step
        last = trainer.fit_loop.epoch_loop.batch_progress.is_last_batch  # the epoch's own checkpoint is next
        if self.every and step % self.every == 0 and step != self._saved_step and not last:
            self._save(trainer, module, trainer.current_epoch, batch_idx + 1)

    def on_train_epoch_end(self, trainer: pl.Trainer, module: pl.LightningModule) -> None:
        assert isinstance(module, Training)
        better = module.selection_loss < self.best_loss
        if better:
            self.best_loss, self.best_step = module.selection_loss, trainer.global_step
        self._save(trainer, module, trainer.current_epoch + 1, 0)
        if (better or self.keep == "last") and trainer.is_global_zero:
            self.publish()

    def state_dict(self) -> dict[str, Any]:
        return {"best_loss": self.best_loss, "best_step": self.best_step}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best_loss, self.best_step = state_dict["best_loss"], state_dict["best_step"]

    def _save(self, trainer: pl.Trainer, module: pl.LightningModule, epoch: int, batch: int) -> None:
        assert isinstance(module, Training)
        self._saved_step = trainer.global_step
        module.position = (epoch, batch)
        path = checkpoint_path(self.folder.parent, trainer.global_step)
        trainer.save_checkpoint(path)
        if trainer.is_global_zero:
            _point(self.folder / "last.ckpt", path)
            best = checkpoint_path(self.folder.parent, self.best_step)
            if best.exists():
                _point(self.folder / "best.ckpt", best)
            for old in self.folder.glob("step-*.ckpt"):
                if old not in (path, best):
                    SafeCheckpointIO().remove_checkpoint(old)


def newest(run: Path) -> Path | None:
    """The last whole checkpoint of a run; one without sidecar was being written when the run was killed."""
    found = sorted(
        p for p in (run / FOLDER).glob("step-*.ckpt") if _NAME.fullmatch(p.name) and sidecar(p).exists()
    )
    return found[-1] if found else None


def checkpoint_path(run: Path, step: int) -> Path:
    """Where the checkpoint after that many optimizer steps lies."""
    return run / FOLDER / f"step-{step:08d}.ckpt"


def step_of(path: Path) -> int:
    """Optimizer steps done before a checkpoint was written."""
    match = _NAME.fullmatch(path.name)
    assert match is not None
    return int(match[1])


def sidecar(path: Path) -> Path:
    """Where the digest of a checkpoint lies, in the form that ``sha256sum -c`` reads."""
    return path.with_name(path.name + ".sha256")


def check(path: Path) -> None:
    """Raise :class:`InputError` when a checkpoint is not the one its sidecar describes."""
    path = path.resolve()  # best.ckpt and last.ckpt are links
    try:
        expected = read_plain(sidecar(path), 1000, links=True).decode("ascii").split()[0]
    except (OSError, IndexError, UnicodeDecodeError):
        raise InputError(
            f"{path}: has no readable {sidecar(path).name} beside it; it is unfinished"
        ) from None
    if path.exists() and not path.is_file():  # reading a pipe waits for ever
        raise InputError(f"{path}: is not a regular file")
    try:
        found = file_sha256(path)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if found != expected:
        raise InputError(
            f"{path}: is damaged (its sha256 is not the one in {sidecar(path).name}). Remove both files: training then "
            "resumes from an earlier checkpoint, if there is one, and else from the start"
        )


def _check_version(path: Path, found: Any) -> None:
    if found == FORMAT_VERSION:
        return
    if isinstance(found, int) and found > FORMAT_VERSION:
        raise InputError(
            f"{path}: has checkpoint format {found}; this slakh-hier reads format {FORMAT_VERSION}. Update slakh-hier to "
            "resume this training"
        )
    raise InputError(
        f"{path}: has checkpoint format {found or 'none'}, this slakh-hier reads format {FORMAT_VERSION}. Resume with the "
        "version that wrote it, or start the training again with --overwrite"
    )


def refuse_objects(value: Any, where: str = "checkpoint") -> None:
    """Raise :class:`FaultError` when a value holds anything that ``torch.load(weights_only=True)`` refuses.

    Found when saving, because when loading it is too late: numpy's float64 looks like a float, but is pickled as
    an object.
    """
    kind = type(value)
    if kind in (dict, OrderedDict):
        for key, item in value.items():
            refuse_objects(key, where)
            refuse_objects(item, f"{where}[{key!r}]")
    elif kind in (list, tuple, set, torch.Size):
        for place, item in enumerate(value):
            refuse_objects(item, f"{where}[{place}]")
    elif kind not in _PLAIN:
        raise FaultError(
            f"{where} is a {kind.__module__}.{kind.__qualname__}, which cannot be loaded without pickle"
        )


def _point(link: Path, target: Path) -> None:
    """Let a link name a file of its own folder, replacing it in one step."""
    temporary = link.with_name(f".tmp-{link.name}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target.name)
    os.replace(temporary, link)
