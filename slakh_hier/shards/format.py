"""Shard format 2: names, types and shapes of everything in a shard file (docs/shard-format.md).

Declared here once: the writer creates what :data:`TABLES` and the attributes say, and the reader accepts nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np

from slakh_hier.errors import InputError, check_choice
from slakh_hier.hierarchy import Column
from slakh_hier.signals import sample_at

SHARD_FORMAT: Final = "slakh-hier-shard"
MASK_FORMAT: Final = "slakh-hier-mask"
FORMAT_VERSION: Final = 2
LIBVER: Final = ("v110", "v110")
"""HDF5 1.10's file format: all metadata carry checksums, and every HDF5 from 2016 on reads it."""

ABSENT: Final = -1
SILENT: Final = -2
NO_QUERY: Final = -1
CHANNELS: Final = (1, 2)

Dtype = Literal["int16", "float32"]
NODE_NAMES: Final = re.compile(r"[^\x00-\x1f\x7f/\\. ][^\x00-\x1f\x7f/\\]{0,199}")
"""A node's name also names files: no separators, no control characters, no leading dot."""
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""Characters that no text of a shard holds: they could steer a terminal that shows it."""
MAX_STRING: Final = 4096
FLETCHER32_BYTES: Final = 4

Field = Literal["int8", "int16", "int32", "float32", "float64", "bool", "S"]
Size = Literal["clips", "rows", "nodes", "channels", "samples"]


@dataclass(frozen=True)
class Dataset:
    """One HDF5 dataset of a file: its path, type, shape and chunk shape (fletcher32 on each, no other filter)."""

    path: str
    field: Field
    shape: tuple[int, ...]
    chunk: tuple[int, ...]


@dataclass(frozen=True)
class Table:
    """One HDF5 dataset of the format, whatever the size of a shard."""

    path: str
    """In the file."""
    field: Field | None
    """Type of its elements (``S``: UTF-8 of fixed length); None: the sample type of the set."""
    dims: tuple[Size, ...]
    """What its axes count."""
    by_row: bool = False
    """A chunk is one row; else the whole is one chunk."""

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]

    def sized(self, sizes: Mapping[Size, int], dtype: Dtype = "int16") -> Dataset:
        """The dataset of a file with these sizes."""
        shape = tuple(sizes[dim] for dim in self.dims)
        chunk = (1, *shape[1:]) if self.by_row else tuple(max(1, n) for n in shape)
        return Dataset(self.path, self.field or dtype, shape, chunk)


AUDIO: Final = Table("audio", None, ("rows", "channels", "samples"), by_row=True)
SCALE: Final = Table("scale", "float32", ("rows",))
ROW: Final = Table("row", "int32", ("clips", "nodes"))
RMS: Final = Table("rms", "float32", ("clips", "nodes"))
QUERY_ROW: Final = Table("query_row", "int32", ("clips",))
CLIP: Final = (
    Table("clip/split", "S", ("clips",)),
    Table("clip/track", "S", ("clips",)),
    Table("clip/song", "S", ("clips",)),
    Table("clip/target", "S", ("clips",)),
    Table("clip/start", "float64", ("clips",)),
    Table("clip/query_track", "S", ("clips",)),
    Table("clip/query_start", "float64", ("clips",)),
)
"""Columns of the clips' table."""
NODE_NAME: Final = Table("node/name", "S", ("nodes",))
NODE_LEVEL: Final = Table("node/level", "int8", ("nodes",))
NODE_PARENT: Final = Table("node/parent", "int32", ("nodes",))
TABLES: Final = (AUDIO, SCALE, ROW, RMS, QUERY_ROW, *CLIP, NODE_NAME, NODE_LEVEL, NODE_PARENT)
"""Everything in a shard but its masks, in the order in which it is written."""


def mask_table(name: str) -> Table:
    """A mask, the same in shards and in a file of its own."""
    return Table(f"masks/{name}", "bool", ("clips", "nodes"))


SHARD_ATTRIBUTES: Final[Mapping[str, type]] = {
    "format": str,
    "format_version": np.int32,
    "sample_rate": np.int32,
    "channels": np.int32,
    "clip_seconds": np.float64,
    "split": str,
    "first_clip": np.int64,
    "plan_digest": str,
    "tool_version": str,
}
MASK_FILE_ATTRIBUTES: Final[Mapping[str, type]] = {
    name: SHARD_ATTRIBUTES[name] for name in ("format", "format_version", "plan_digest", "tool_version")
}
MASK_ATTRIBUTES: Final[Mapping[str, type]] = {
    "type": str,
    "percent": np.float64,
    "mode": str,
    "seed": np.int64,
}


@dataclass(frozen=True)
class ShardHeader:
    """What all clips of a shard share."""

    sample_rate: int
    channels: int
    """1 or 2, of every row."""
    clip_seconds: float
    samples: int
    """``clip_seconds * sample_rate``, rounded down, the length of every row."""
    dtype: Dtype
    """``int16`` (with a scale per row) or ``float32``."""
    split: str
    """All clips of a shard belong to one split."""
    first_clip: int
    """Number of the shard's first clip within its split of the plan (0-based): exchanged shards are noticed."""
    columns: tuple[Column, ...]
    """The rendered nodes, mix first."""
    plan_digest: str
    """sha256 (hex) of the plan: shards of different plans are never mixed."""

    def __post_init__(self) -> None:
        expected = sample_at(self.clip_seconds, self.sample_rate)
        if self.samples != expected or expected < 1:
            raise InputError(
                f"a clip of {self.clip_seconds:g} s at {self.sample_rate} Hz has {expected} samples, not {self.samples}"
            )
        if self.channels not in CHANNELS:
            raise InputError(f"a shard has 1 or 2 channels, not {self.channels}")
        check_choice("the sample type", self.dtype, get_args(Dtype))
        check_columns(self.columns)


def schema(sizes: Mapping[Size, int], dtype: Dtype, masks: Sequence[str] = ()) -> tuple[Dataset, ...]:
    """Every dataset of a shard with these sizes, in the order in which they are written."""
    return tuple(table.sized(sizes, dtype) for table in (*TABLES, *map(mask_table, masks)))


def check_columns(columns: Sequence[Column]) -> None:
    """Raise :class:`~slakh_hier.errors.InputError` when columns are not a tree with the mix at its root."""
    names = [column.name for column in columns]
    if not columns or columns[0].parent != -1:
        raise InputError("the first node must be the mix, which has no parent")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"node {twice!r} is listed twice")
    for place, column in enumerate(columns):
        if not NODE_NAMES.fullmatch(column.name):
            raise InputError(f"node name {column.name[:80]!r} cannot be used: it names files too")
        if place and not 0 <= column.parent < place:
            raise InputError(
                f"node {column.name!r} has parent {column.parent}, but parents stand before children"
            )
        if place and not 0 <= column.level < columns[column.parent].level:
            raise InputError(
                f"node {column.name!r} has level {column.level}, which is not below that of its parent "
                f"{columns[column.parent].name!r} ({columns[column.parent].level})"
            )
    if columns[0].level > 127:
        raise InputError(f"a tree may have at most 126 levels, not {columns[0].level - 1}")
