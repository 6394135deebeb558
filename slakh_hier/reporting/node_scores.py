"""Scores of clips by node, and the nodes in the order of their tree."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from slakh_hier.errors import SlakhHierError
from slakh_hier.reporting.shard_set import tree_rows
from slakh_hier.reporting.tree_figures import TreeRow
from slakh_hier.scores.summary import PRIMARY, column
from slakh_hier.shards.read import open_shards


def improvements(scores: pd.DataFrame, metric: str = PRIMARY) -> dict[str, list[float]]:
    """The improvement of each clip that counts, by node."""
    values = scores[scores["counted"].astype(bool)].groupby("node")[column(metric, "improvement")]
    return {str(node): part.tolist() for node, part in values}


def scored_nodes(tables: Iterable[pd.DataFrame]) -> dict[str, int]:
    """The level of every node that was evaluated."""
    levels: dict[str, int] = {}
    for table in tables:
        levels |= dict(zip(table["node"].astype(str), table["level"].astype(int), strict=True))
    return levels


def rows_of(levels: Mapping[str, int], sets: Sequence[Path | None]) -> list[TreeRow]:
    """Nodes as the tree of the first fitting shard set has them; where none is at hand by level, coarsest first."""
    for folder in filter(None, sets):
        try:
            with open_shards(folder) as opened:
                rows = [row for row in tree_rows(opened) if row.name in levels]
        except SlakhHierError:
            continue
        if len(rows) == len(levels):
            top = min((row.depth for row in rows), default=0)
            return [TreeRow(row.name, row.depth - top) for row in rows]
    steps = sorted(set(levels.values()), reverse=True)
    return [
        TreeRow(name, steps.index(level)) for name, level in sorted(levels.items(), key=lambda item: -item[1])
    ]
