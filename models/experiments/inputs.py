"""Which shard set serves which task, and whether it has what an experiment needs; all complaints at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from slakh_hier.errors import InputError
from slakh_hier.models.config import Task
from slakh_hier.models.experiments.grid import cell_task, levels_needed, masks_needed
from slakh_hier.shards.index import read_index
from slakh_hier.shards.read import open_shards
from slakh_hier.wording import some, typed

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


def check_shards(
    found: Mapping[Task, Path], folders: Sequence[Path], cells: Sequence[str], node: str | None = None
) -> None:
    """See that there is what the cells need.

    Parameters
    ----------
    found
        From :func:`shards_by_task`.
    node
        SSS: the node whose path is separated; None: the one the shards were rendered for.

    Raises
    ------
    InputError
        No folder serves a task, or it lacks a split, a level or a mask; the message says how to make it.
    """
    problems: list[str] = []
    for task in dict.fromkeys(map(cell_task, cells)):
        if task in found:
            problems += _lacks(found[task], task, tuple(cells), node)
        else:
            what = "with queries (render --any)" if task == "qbe" else "for one target (render --target NODE)"
            given = ", ".join(map(str, folders)) or "none"
            problems.append(f"{task} needs one shard set {what}; given were {given}")
    if problems:
        raise InputError("\n".join(problems))


def _has_queries(folder: Path) -> bool:
    with open_shards(folder, next(iter(read_index(folder).splits), None)) as shards:
        return bool((shards.query_row >= 0).any())


def _lacks(folder: Path, task: Task, cells: tuple[str, ...], node: str | None) -> list[str]:
    index = read_index(folder)
    problems = [
        f"{folder}: has no {split} split; plan clips for it"
        for split in NEEDED_SPLITS
        if split not in index.splits
    ]
    least = min(levels_needed(cells)[task])
    levels = {column.name: column.level for column in index.columns}
    targets = [node] if task == "sss" and node else sorted(set(open_shards(folder).clips["target"]))
    if high := [name for name in targets if levels.get(name, 0) > least]:
        advice = (
            "--query-levels 1"
            if task == "qbe"
            else "a --target of level 1, or choose such a node with --node"
        )
        problems.append(
            f"{folder}: has the targets {some(high)}, without level {least}, which the experiment needs. Render with {advice}"
        )
    there = {mask.name for mask in index.masks if not mask.hidden}
    problems += [
        f"{folder}: has no mask {name}. Add it with: {typed('mask', folder, '--add', name)}"
        for name in masks_needed(cells).get(task, ())
        if name not in there
    ]
    return problems
