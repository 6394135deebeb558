"""Which shard set serves which task, and whether it has what an experiment needs; all complaints at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from slakh_hier.errors import InputError
from slakh_hier.models.config import Task
from slakh_hier.models.experiments.grid import cell_task, masks_needed
from slakh_hier.shards.index import read_index
from slakh_hier.shards.read import open_shards

NEEDED_SPLITS = ("train", "test")
"""What an experiment cannot do without; validation is as in ``train``."""


def shards_by_task(folders: Sequence[Path]) -> dict[Task, Path]:
    """The folder that serves each task, where exactly one does.

    QBE takes the set whose clips have queries; SSS the set without, or the only one given.

    Raises
    ------
    ShardError
        A folder is not a finished shard set.
    """
    queries = {folder: _has_queries(folder) for folder in folders}
    fitting: dict[Task, list[Path]] = {
        "sss": [folder for folder in folders if not queries[folder] or len(folders) == 1],
        "qbe": [folder for folder in folders if queries[folder]],
    }
    return {task: found[0] for task, found in fitting.items() if len(found) == 1}


def check_shards(found: Mapping[Task, Path], folders: Sequence[Path], cells: Sequence[str]) -> None:
    """See that there is what the cells need.

    Parameters
    ----------
    found
        From :func:`shards_by_task`.

    Raises
    ------
    InputError
        No folder serves a task, or it lacks a split or a mask; the message says how to make it.
    """
    problems: list[str] = []
    for task in dict.fromkeys(map(cell_task, cells)):
        if task in found:
            problems += _lacks(found[task], task, cells)
        else:
            what = "with queries (render --any)" if task == "qbe" else "for one target (render --target NODE)"
            given = ", ".join(map(str, folders)) or "none"
            problems.append(f"{task} needs one shard set {what}; given were {given}")
    if problems:
        raise InputError("\n".join(problems))


def _has_queries(folder: Path) -> bool:
    splits = read_index(folder).splits
    shards = open_shards(folder, splits[0]) if splits else open_shards(folder)
    return bool((shards.query_row >= 0).any())


def _lacks(folder: Path, task: Task, cells: Sequence[str]) -> list[str]:
    index = read_index(folder)
    problems = [
        f"{folder}: has no {split} split; plan clips for it"
        for split in NEEDED_SPLITS
        if split not in index.splits
    ]
    there = {mask.name for mask in index.masks if not mask.hidden}
    for name in masks_needed(tuple(cells)).get(task, ()):
        if name not in there:
            problems.append(
                f"{folder}: has no mask {name}. Add it with: slakh-hier mask {folder} --add {name}"
            )
    return problems
