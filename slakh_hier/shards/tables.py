"""The small tables of a shard, read once and checked: which row, which state, which clip, which mask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slakh_hier.files import file_sha256
from slakh_hier.shards.format import (
    ABSENT,
    CLIP,
    CONTROL,
    NO_QUERY,
    NODE_LEVEL,
    NODE_NAME,
    NODE_PARENT,
    QUERY_ROW,
    RMS,
    ROW,
    SCALE,
    SILENT,
    Table,
    mask_table,
)
from slakh_hier.shards.index import Index, MaskRecord, ShardRecord
from slakh_hier.shards.opening import RefusedError, damage, expected_mask, expected_shard, open_checked

ClipColumns = Mapping[str, Any]


@dataclass(frozen=True)
class Tables:
    """Everything of a shard but the audio."""

    clips: ClipColumns
    """``split, track, song, target, start, query_track, query_start, shard``; lists of str, float64 arrays. A DataFrame
    is made of all shards at once (:func:`join_clips`), since one for each takes longer than reading."""
    row: NDArray[np.int32]
    rms: NDArray[np.float32]
    query_row: NDArray[np.int32]
    scale: NDArray[np.float32]
    masks: dict[str, NDArray[np.bool_]]
    """Rendered masks, hidden ones too."""


def load_tables(folder: Path, index: Index, shard: ShardRecord) -> Tables:
    """Open a shard, check its structure and read its tables.

    Raises
    ------
    ShardError
        The file is not what the index says, or a table holds values that cannot be.
    """
    expected = expected_shard(folder, index, shard)
    with open_checked(expected) as file, damage(expected.path, "a table of it "):
        return read_tables(file, index, shard, expected.path)


def read_tables(file: h5py.File, index: Index, shard: ShardRecord, path: Path) -> Tables:
    """Read the tables of a shard that :func:`~slakh_hier.shards.opening.open_checked` opened."""
    names = _texts(file[NODE_NAME.path])
    nodes = zip(names, _read(file, NODE_LEVEL).tolist(), _read(file, NODE_PARENT).tolist(), strict=True)
    if list(nodes) != [(node.name, node.level, node.parent) for node in index.nodes]:
        raise RefusedError(path, "its nodes are not those of the index")
    row, query_row, scale = (_read(file, table) for table in (ROW, QUERY_ROW, SCALE))
    if row.size and not (row.min() >= SILENT and row.max() < shard.rows):
        raise RefusedError(path, f"/row leads out of the {shard.rows} rows of /audio")
    if query_row.size and not (query_row.min() >= NO_QUERY and query_row.max() < shard.rows):
        raise RefusedError(path, f"/query_row leads out of the {shard.rows} rows of /audio")
    if not (np.isfinite(scale).all() and (scale > 0).all()):
        raise RefusedError(path, "/scale holds values that are not positive and finite")
    clips = _clip_table(file, shard)
    if any(split != shard.split for split in clips["split"]):
        raise RefusedError(path, f"holds clips of another split than {shard.split}")
    tables = Tables(
        clips=clips,
        row=row,
        rms=_read(file, RMS),
        query_row=query_row,
        scale=scale,
        masks={mask.name: _read(file, mask_table(mask.name)) for mask in index.masks if mask.file is None},
    )
    if contradiction := _contradiction(tables, names):
        raise RefusedError(path, contradiction)
    return tables


def _contradiction(tables: Tables, names: list[str]) -> str | None:
    """The first place where what the tables say of a clip cannot be true at once; readers need not expect it then."""
    row, rms = tables.row, tables.rms
    start, query_start = tables.clips["start"], tables.clips["query_start"]
    asked = np.array([track != "" for track in tables.clips["query_track"]], dtype=bool)
    for kind, wrong in (
        ("a node that is absent has a level", (row == ABSENT) & ~np.isnan(rms)),
        ("a node that is silent has a level", (row == SILENT) & ~np.isneginf(rms)),
        ("a node that sounds has no level", (row >= 0) & ~np.isfinite(rms)),
        ("a clip's start is not a time", ~(np.isfinite(start) & (start >= 0))[:, None]),
        (
            "a query is there in part only",
            ((asked != np.isfinite(query_start)) | (asked != (tables.query_row != NO_QUERY)))[:, None],
        ),
    ):
        for clip, place in np.argwhere(wrong).tolist():
            return f"{kind}: {names[place]} in {clip_place(tables, clip)}"
    return None


def clip_place(tables: Tables, clip: int) -> str:
    """A clip of a shard in words."""
    return f"clip {clip} of the shard ({tables.clips['track'][clip]} at {tables.clips['start'][clip]:g} s)"


def clip_table(folder: Path, index: Index) -> pd.DataFrame:
    """All clips of a set, every split, in the order of the index; columns as in :class:`Tables`."""
    tables = []
    for shard in index.shards:
        expected = expected_shard(folder, index, shard)
        with open_checked(expected) as file, damage(expected.path, "its clip table "):
            tables.append(_clip_table(file, shard))
    return join_clips(tables)


def join_clips(tables: list[ClipColumns]) -> pd.DataFrame:
    """Clip tables one below the other, numbered from 0."""
    joined = {
        table.name: pd.Series([text for clips in tables for text in clips[table.name]], dtype=str)
        if table.field == "S"
        else np.concatenate([np.zeros(0, table.field), *(clips[table.name] for clips in tables)])
        for table in CLIP
    }
    joined["shard"] = pd.Series([file for clips in tables for file in clips["shard"]], dtype=str)
    return pd.DataFrame(joined)


def read_mask_file(folder: Path, index: Index, mask: MaskRecord) -> NDArray[np.bool_]:
    """A mask that was added later: bool, shape (clips of all splits, nodes)."""
    expected = expected_mask(folder, index, mask)
    with open_checked(expected) as file, damage(expected.path):
        available: NDArray[np.bool_] = _read(file, mask_table(mask.name))
    # Small enough to hash at each reading, unlike shards.
    if file_sha256(expected.path) != mask.sha256:
        raise RefusedError(expected.path, "is not the file that the index lists (sha256 differs)")
    return available


def _clip_table(file: h5py.File, shard: ShardRecord) -> ClipColumns:
    columns = {
        table.name: _texts(file[table.path]) if table.field == "S" else _read(file, table) for table in CLIP
    }
    return {**columns, "shard": [shard.file] * shard.clips}


def _read(file: h5py.File, table: Table) -> NDArray[Any]:
    values: NDArray[Any] = file[table.path][...]
    return values


def _texts(dataset: h5py.Dataset) -> list[str]:
    texts = [text.decode() for text in dataset[...].tolist()]
    if odd := next((text for text in texts if CONTROL.search(text)), None):
        raise ValueError(f"{dataset.name} holds control characters: {odd[:80]!r}")
    return texts
