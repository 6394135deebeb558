"""Train a separator on shards: one call, resumable, the same on one device or many.

Importing Lightning takes seconds; it comes when the configuration and the shards are known to fit.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from slakh_hier.errors import InputError, SlakhHierWarning
from slakh_hier.locks import refuse_locked
from slakh_hier.models.config import Config
from slakh_hier.models.selection import Selection, level_names, select_clips, sole_target
from slakh_hier.paths import StrPath
from slakh_hier.progress import Wanted, shown
from slakh_hier.shards.index import read_index
from slakh_hier.shards.read import ShardSet, open_shards
from slakh_hier.shards.remote import local_set

Report = Callable[[str], None]


@dataclass(frozen=True)
class TrainResult:
    """What a training came to."""

    run: Path
    names: tuple[str, ...]
    """What each level's estimate is called, finest first."""
    parameters: int
    """Of the separator."""
    epochs: int
    steps: int
    """``epochs`` and ``steps``: done in all, resumed ones included."""
    best_loss: float
    best_step: int
    """``best_loss`` and ``best_step``: lowest validation loss (training loss without validation clips), and after which
    step."""
    resumed_at: int | None
    """Steps that were done before this call; None for a fresh start."""
    seconds: float
    """Of this call."""
    main: bool = True
    """This is the process that writes (of several that share a training)."""


@dataclass(frozen=True)
class TrainingData:
    """The shards of a training, by split (``train``, ``validation``), and what is taken from them.

    ``node`` is the target (SSS; else None), ``names`` what each level's estimate is called, ``query_levels`` the levels of
    the targets (QBE; else none).
    """

    sets: dict[str, ShardSet]
    selections: dict[str, Selection]
    node: str | None
    names: tuple[str, ...]
    query_levels: tuple[int, ...]


def train(
    config: Config,
    shards: StrPath,
    run: StrPath,
    *,
    overwrite: bool = False,
    progress: Wanted = None,
    report: Report | None = None,
) -> TrainResult:
    """Train a separator, or resume an earlier call that was stopped.

    Parameters
    ----------
    config
        See :func:`~slakh_hier.models.config_file.load_config`.
    shards
        A finished shard set with the splits ``train`` and, to select the model, ``validation``: a folder, or an address
        as for :func:`~slakh_hier.shards.read.open_shards`.
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
        The loss is not finite, or memory ran out; the last checkpoint is kept.
    """
    if is_main_process():
        refuse_locked(Path(run))
    data = open_data(config, shards, progress=progress)
    from slakh_hier.models.fitting import fit

    return fit(
        config,
        data,
        Path(run),
        overwrite=overwrite,
        progress=shown(progress),
        report=report or (lambda text: None),
    )


def open_data(config: Config, folder: StrPath, *, progress: Wanted = None) -> TrainingData:
    """Open the splits of a training and select their clips.

    Raises
    ------
    InputError
        The shards have no training split, a split holds nothing for the task, or no clip teaches one of the levels.
    """
    splits = read_index(local_set(folder, "train", progress=progress)).splits
    sets = {"train": open_shards(folder, "train")}
    if "validation" in splits:
        sets["validation"] = open_shards(folder, "validation", progress=progress)
    else:
        warnings.warn(
            f"{folder} has no validation split: the training loss selects the model",
            SlakhHierWarning,
            stacklevel=3,
        )
    node = config.node
    if config.task == "sss" and node is None:
        node = sole_target(sets["train"])  # so that all splits mean the same path
    train = select_clips(sets["train"], config.task, node=node, levels=config.levels, mask=config.data.mask)
    taught = np.asarray(train.there.any(0)).tolist()
    if not all(taught):
        unseen = train.levels[taught.index(False)]
        raise InputError(
            f"{folder}, split train: all targets lie above level {unseen}. Leave it out of --set levels, or render targets of "
            "it (--query-levels)"
        )
    selections = {"train": train}
    if "validation" in sets:
        selections["validation"] = select_clips(
            sets["validation"], config.task, node=node, levels=train.levels
        )
    nodes, queried = sets["train"].nodes, train.query_column
    query_levels = {nodes[column].level for column in ([] if queried is None else np.unique(queried))}
    names = level_names(sets["train"], train)
    return TrainingData(sets, selections, node, names, tuple(sorted(query_levels)))


def is_main_process() -> bool:
    """Whether this is the one process of a training that writes, by what torchrun, SLURM or Lightning set."""
    names = ("RANK", "LOCAL_RANK", "GROUP_RANK", "NODE_RANK", "SLURM_PROCID")
    return all(os.environ.get(name, "0") == "0" for name in names)
