"""What a set of shards holds, in values for people."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slakh_hier.paths import StrPath
from slakh_hier.shards.format import ABSENT, SILENT
from slakh_hier.shards.mask import TRAIN
from slakh_hier.shards.read import ShardSet, open_shards, require_split


def summary(folder: StrPath, *, split: str | None = None) -> dict[str, Any]:
    """Values of a finished set, ready for JSON; no audio is read.

    Parameters
    ----------
    split
        Count the nodes of this split only; None: of all.

    Returns
    -------
    dict
        ``splits`` (clips, hours of mixture, clips with a query, shards, MB), ``nodes`` in the order of the tree
        (clips where each sounds, is silent, is absent, is the target; mean level in dBFS over the clips where it
        sounds), ``masks`` (clips withheld, visible masks only), and what the whole set shares.

    Raises
    ------
    InputError, ShardError
        As :func:`~slakh_hier.shards.read.open_shards`.
    """
    with open_shards(folder) as shards:
        index = shards.index
        here = _chosen(shards, split)
        return {
            "folder": str(folder),
            "clips": len(shards),
            "hours": len(shards) * shards.clip_seconds / 3600,
            "failures": index.failures,
            "shards": len(index.shards),
            "bytes": sum(shard.bytes for shard in index.shards),
            "sample_rate": index.sample_rate,
            "channels": index.channels,
            "clip_seconds": index.clip_seconds,
            "dtype": index.dtype,
            "format_version": index.format_version,
            "tool_version": index.tool_version,
            "plan_digest": index.plan_digest,
            "parameters": index.parameters,
            "splits": [_split(shards, name) for name in index.splits],
            "nodes": _nodes(shards, here),
            "masks": _masks(shards),
        }


def _chosen(shards: ShardSet, split: str | None) -> NDArray[np.bool_]:
    if split is None:
        return np.ones(len(shards), dtype=bool)
    require_split(shards.folder, shards.index, split)
    return (shards.clips["split"] == split).to_numpy(dtype=bool)


def _split(shards: ShardSet, split: str) -> dict[str, Any]:
    files = [shard for shard in shards.index.shards if shard.split == split]
    here = (shards.clips["split"] == split).to_numpy(dtype=bool)
    return {
        "split": split,
        "clips": int(here.sum()),
        "hours": float(here.sum() * shards.clip_seconds / 3600),
        "tracks": int(shards.clips["track"][here].nunique()),
        "queries": int((shards.query_row[here] >= 0).sum()),
        "shards": len(files),
        "MB": sum(shard.bytes for shard in files) / 1e6,
    }


def _nodes(shards: ShardSet, here: NDArray[np.bool_]) -> list[dict[str, Any]]:
    targets = shards.clips["target"][here].value_counts()
    found = []
    for place in tree_order(shards):
        column = shards.nodes[place]
        row, rms = shards.row[here, place], shards.rms[here, place]
        sounding = row >= 0
        found.append(
            {
                "node": column.name,
                "level": column.level,
                "parent": shards.nodes[column.parent].name if column.parent >= 0 else None,
                "sounding": int(sounding.sum()),
                "silent": int((row == SILENT).sum()),
                "absent": int((row == ABSENT).sum()),
                "target": int(targets.get(column.name, 0)),
                "mean_rms_dbfs": float(rms[sounding].mean(dtype=np.float64)) if sounding.any() else None,
            }
        )
    return found


def tree_order(shards: ShardSet) -> list[int]:
    """Columns with every node below its parent."""
    order: list[int] = []
    below: dict[int, list[int]] = {}
    for place, column in enumerate(shards.nodes):
        below.setdefault(column.parent, []).append(place)
    waiting = below.get(-1, [])[::-1]
    while waiting:
        order.append(place := waiting.pop())
        waiting += below.get(place, [])[::-1]
    return order


def _masks(shards: ShardSet) -> list[dict[str, Any]]:
    train = int((shards.clips["split"] == TRAIN).sum())
    return [
        {
            "mask": record.name,
            "withholds": record.mask.reads,
            **asdict(record.mask),
            "where": "shards" if record.file is None else record.file,
            "withheld": int((~shards.mask(record.name)).any(axis=1).sum()),
            "train_clips": train,
        }
        for record in shards.index.masks
        if not record.hidden
    ]
