"""Which clips of a shard set a separator sees, and what its targets are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slakh_hier.errors import InputError
from slakh_hier.models.config import Task
from slakh_hier.models.weights import check_names
from slakh_hier.shards.read import ShardSet
from slakh_hier.wording import some

NO_COLUMN = -1
"""A clip's path has no node at a level that lies below its target."""


@dataclass(frozen=True)
class Selection:
    """Which clips of a split a separator sees, and which node is its target at each level."""

    levels: tuple[int, ...]
    """Finest (smallest number) first: the order of ``sources``, ``available`` and every estimate."""
    clips: NDArray[np.int64]
    """Numbers in the shard set."""
    columns: NDArray[np.int64]
    """The shard set's column of the target or its ancestor at each level; :data:`NO_COLUMN` at levels below the target."""
    available: NDArray[np.bool_]
    """Ground truth available: there is a node, and no mask withholds it."""
    query_column: NDArray[np.int64] | None = None
    """QBE: each clip's target, whose sound is the query."""

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def there(self) -> NDArray[np.bool_]:
        """(clips, levels): the path has a node at the level."""
        return self.columns >= 0

    @property
    def finest(self) -> NDArray[np.int64]:
        """(clips,): the column of the finest node of each clip's path that is separated."""
        first = self.there.argmax(1)[:, None]
        return np.take_along_axis(self.columns, first, 1)[:, 0]

    def part(self, which: NDArray[Any]) -> Selection:
        """The clips at these places (indices or booleans)."""
        query = None if self.query_column is None else self.query_column[which]
        return replace(
            self,
            clips=self.clips[which],
            columns=self.columns[which],
            available=self.available[which],
            query_column=query,
        )


def select_clips(
    shards: ShardSet,
    task: Task,
    *,
    node: str | None = None,
    levels: tuple[int, ...] | None = None,
    mask: str | None = None,
    sounding: bool = True,
) -> Selection:
    """The clips of one split that fit a task.

    ``sss`` takes every clip in which the node sounds, whatever the clip was drawn for; ``qbe`` every clip with a query, on
    the path of its own target. Targets may be of several levels: below its target, a clip has nothing to separate. Clips
    in which nothing is left at any of the levels, for this reason or a mask's, are left out.

    Parameters
    ----------
    shards
        One split of a shard set.
    node
        SSS: the node, of any level, whose path is separated; None: the one that all clips were drawn for.
    levels
        Levels to separate; None: all on the paths.
    mask
        Name of a mask; None: everything is available.
    sounding
        False: also the clips in which the node is silent or absent (SSS; evaluation measures what leaks there).

    Raises
    ------
    InputError
        The shards have no such node, level or mask, no queries, or no clip is left.
    """
    split = ", ".join(shards.splits)
    where = f"{shards.folder}, split {split}"
    if len(shards) == 0:
        raise InputError(f"{where}: has no clips. Render some (--clips)")
    if task == "sss":
        targets = [node or sole_target(shards)] * len(shards)
    else:
        targets = [str(name) for name in shards.clips["target"]]
        missing = sorted(set(targets) - {column.name for column in shards.nodes})
        if missing:
            raise InputError(
                f"{where}: the clips' targets ({some(missing)}) were not rendered. Render their levels too (--levels)"
            )
    paths = {name: _path(shards, name) for name in dict.fromkeys(targets)}
    known = set().union(*paths.values())
    if task == "qbe" and levels is not None:  # another split's targets may lie lower than all of this one's
        known |= {column.level for column in shards.nodes[1:] if column.level}
    levels = _levels(sorted(known), levels, where)
    target = np.array([shards.node(name) for name in targets], np.int64)
    columns = np.array(
        [[paths[name].get(level, NO_COLUMN) for level in levels] for name in targets], np.int64
    )
    every = np.arange(len(shards))
    available = np.asarray(columns >= 0)
    keep = np.asarray(available.any(1))
    if not keep.any():
        raise InputError(
            f"{where}: all targets lie above level {max(levels)}. Choose higher levels with --set levels, or render targets "
            "of this one (--query-levels)"
        )
    if sounding:
        keep &= shards.row[every, target] >= 0
        if not keep.any():
            raise InputError(
                f"{where}: {shards.nodes[target[0]].name} sounds in none of its {len(shards)} clips"
            )
    if task == "qbe":
        keep &= shards.query_row >= 0
        if not keep.any():
            raise InputError(f"{where}: holds no queries, which qbe needs. Render again with --queries")
    if mask is not None:
        available &= shards.mask(mask)[every[:, None], columns]
        keep &= available.any(1)
        if not keep.any():
            raise InputError(f"{where}: mask {mask} withholds levels {levels} of every clip")
    selection = Selection(levels, every, columns, available, target if task == "qbe" else None)
    return selection.part(keep)


def level_names(shards: ShardSet, selection: Selection) -> tuple[str, ...]:
    """What each level's estimate is called: the node's name (SSS), or ``level_N`` where the query decides (QBE).

    Raises
    ------
    InputError
        A node's name cannot be that of an estimate.
    """
    if selection.query_column is not None:
        return tuple(f"level_{level}" for level in selection.levels)
    names = tuple(shards.nodes[column].name for column in selection.columns[0])
    try:
        check_names(names)
    except ValueError as error:
        raise InputError(f"{shards.folder}: {error}; rename the node in the tree and render again") from None
    return names


def sole_target(shards: ShardSet) -> str:
    """The node that all clips were drawn for: whose path it is where none is named.

    Raises
    ------
    InputError
        There are several.
    """
    targets = sorted(set(shards.clips["target"].tolist()))
    if len(targets) != 1:
        raise InputError(
            f"{shards.folder}: the clips have {len(targets)} different targets; say which one sss shall separate, "
            f"for example --set node={next(iter(targets), 'NODE')} (there are {', '.join(targets)})"
        )
    return str(targets[0])


def _path(shards: ShardSet, node: str) -> dict[int, int]:
    """Column of the node at each level of a path, from ``node`` up to below the mix."""
    column = shards.node(node)
    path: dict[int, int] = {}
    while column > 0:
        path[shards.nodes[column].level] = column
        column = shards.nodes[column].parent
    if not path:
        raise InputError(f"{shards.folder}: {node} is the mixture itself; choose a node below it")
    return path


def _levels(known: list[int], levels: tuple[int, ...] | None, where: str) -> tuple[int, ...]:
    if missing := [level for level in levels or () if level not in known]:
        raise InputError(
            f"{where}: the path has levels {', '.join(map(str, known))}, not {', '.join(map(str, missing))}. "
            f"Choose among them with --set levels={known}, or render more levels"
        )
    return levels or tuple(known)
