"""Shard format 2: names, types and shapes of everything in a shard file (docs/shard-format.md).

The writer creates what :func:`schema` lists and the reader accepts nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

import numpy as np

from slakh_hier.errors import InputError
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
CLIP_COLUMNS: Final = ("split", "track", "song", "target", "start", "query_track", "query_start")
NODE_NAME: Final = re.compile(r"[^\x00-\x1f\x7f/\\. ][^\x00-\x1f\x7f/\\]{0,199}")
"""A node's name also names files: no separators, no control characters, no leading dot."""
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""Characters that no text of a shard holds: they could steer a terminal that shows it."""
MAX_STRING: Final = 4096
FLETCHER32_BYTES: Final = 4

Field = Literal["int8", "int16", "int32", "float32", "float64", "bool", "S"]


@dataclass(frozen=True)
class ShardHeader:
    """What all clips of a shard share.

    Attributes
    ----------
    sample_rate : int, Hz
    channels : int
        1 or 2, of every row.
    clip_seconds : float, s
    samples : int
        ``clip_seconds * sample_rate``, rounded down, the length of every row.
    dtype
        ``int16`` (with a scale a row) or ``float32``.
    split
        All clips of a shard belong to one split.
    first_clip : int
        Number of the shard's first clip within its split of the plan (0-based): exchanged shards are noticed.
    columns
        The rendered nodes, mix first.
    plan_digest
        sha256 (hex) of the plan: shards of different plans are never mixed.
    """

    sample_rate: int
    channels: int
    clip_seconds: float
    samples: int
    dtype: Dtype
    split: str
    first_clip: int
    columns: tuple[Column, ...]
    plan_digest: str

    def __post_init__(self) -> None:
        if self.samples != samples_of(self.clip_seconds, self.sample_rate) or self.samples < 1:
            raise InputError(
                f"a clip of {self.clip_seconds:g} s at {self.sample_rate} Hz has "
                f"{samples_of(self.clip_seconds, self.sample_rate)} samples, not {self.samples}"
            )
        if self.channels not in CHANNELS:
            raise InputError(f"a shard has 1 or 2 channels, not {self.channels}")
        if self.dtype not in get_args(Dtype):
            raise InputError(
                f"the sample type must be one of {', '.join(get_args(Dtype))}, not {self.dtype!r}"
            )
        check_columns(self.columns)


@dataclass(frozen=True)
class Dataset:
    """One data set of the format: its path, type, shape and chunk shape (fletcher32 on each, no other filter)."""

    path: str
    field: Field
    shape: tuple[int, ...]
    chunk: tuple[int, ...]

    @property
    def stored_bytes_per_item(self) -> int | None:
        """Bytes of one element; None for strings, whose length differs from file to file."""
        return None if self.field == "S" else np.dtype(self.field).itemsize


def samples_of(clip_seconds: float, sample_rate: int) -> int:
    """Samples of a clip; see :func:`slakh_hier.signals.sample_at`."""
    return sample_at(clip_seconds, sample_rate)


def schema(
    *, clips: int, rows: int, nodes: int, channels: int, samples: int, dtype: Dtype, masks: Sequence[str] = ()
) -> tuple[Dataset, ...]:
    """Every data set of a shard with these sizes, in the order in which they are written."""

    def table(path: str, field: Field, *shape: int) -> Dataset:
        return Dataset(path, field, shape, tuple(max(1, n) for n in shape))

    return (
        Dataset("audio", dtype, (rows, channels, samples), (1, channels, samples)),
        table("scale", "float32", rows),
        table("row", "int32", clips, nodes),
        table("rms", "float32", clips, nodes),
        table("query_row", "int32", clips),
        table("clip/split", "S", clips),
        table("clip/track", "S", clips),
        table("clip/song", "S", clips),
        table("clip/target", "S", clips),
        table("clip/start", "float64", clips),
        table("clip/query_track", "S", clips),
        table("clip/query_start", "float64", clips),
        table("node/name", "S", nodes),
        table("node/level", "int8", nodes),
        table("node/parent", "int32", nodes),
        *(mask_dataset(name, clips, nodes) for name in masks),
    )


def mask_dataset(name: str, clips: int, nodes: int) -> Dataset:
    """A mask's data set, the same in shards and in a mask file of its own."""
    return Dataset(f"masks/{name}", "bool", (clips, nodes), (max(1, clips), max(1, nodes)))


def check_columns(columns: Sequence[Column]) -> None:
    """Raise :class:`~slakh_hier.errors.InputError` when columns are no tree with the mix at its root."""
    names = [column.name for column in columns]
    if not columns or columns[0].parent != -1:
        raise InputError("the first node must be the mix, which has no parent")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"node {twice!r} is listed twice")
    for place, column in enumerate(columns):
        if not NODE_NAME.fullmatch(column.name):
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
