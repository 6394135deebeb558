"""The catalog's table: its columns, and how stems are matched to a tree."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from slakh_hier.errors import InputError
from slakh_hier.hierarchy import Hierarchy, StemLabel
from slakh_hier.wording import counted, some

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["audio", "no_audio", "missing", "broken", "excluded", "unassigned"]
STATUSES: tuple[Status, ...] = get_args(Status)
INTEGERS = ("frames", "sample_rate", "channels", "size", "mtime_ns")
KEPT = "known fault, kept: "
"""How ``why`` begins where a stem has a known fault and is used all the same."""
_CHUNK = 256
"""Rows that exist as Python objects at a time: a million of them would fill the memory."""


class StemRow(NamedTuple):
    """A stem before a tree is applied; the fields are the catalog's first columns and its last two.

    ``frames`` to ``mtime_ns`` are 0 and ``path`` is empty where there is no audio. ``content`` is the MD5 of the samples (hex),
    empty where it is not known or the stem is broken. ``status`` is ``audio`` for every stem whose audio can be used.
    """

    track: str
    song: str
    artist: str | None
    split: str
    stem: str
    path: str
    frames: int
    sample_rate: int
    channels: int
    size: int
    mtime_ns: int
    content: str
    patch: str | None
    program: int | None
    is_drum: bool
    midi_program_name: str | None
    inst_class: str | None
    labels: str | None
    bleed: bool
    status: str
    why: str


BASE_COLUMNS = StemRow._fields[:-2]
_LABEL = ("patch", "program", "is_drum", "midi_program_name", "inst_class", "labels")
FLAGS = ("is_drum", "bleed")
_UNIQUE = (*INTEGERS, "path", "content", "program", *FLAGS)
"""Columns in which no text comes again."""


class StemTable:
    """Stems that are collected before a tree is applied: by columns, and each text that comes again held once.

    Parameters
    ----------
    rows
        The first stems.
    """

    def __init__(self, rows: Iterable[StemRow] = ()):
        self._columns: dict[str, Any] = {
            name: array("q") if name in INTEGERS else array("b") if name in FLAGS else []
            for name in StemRow._fields
        }
        self._texts: dict[str | None, str | None] = {}
        self.extend(rows)

    def extend(self, rows: Iterable[StemRow]) -> None:
        """Add stems, in any order."""
        rows, same = iter(rows), self._texts.setdefault
        while chunk := list(islice(rows, _CHUNK)):
            for (name, column), values in zip(self._columns.items(), zip(*chunk, strict=True), strict=True):
                column.extend(values if name in _UNIQUE else map(same, values, values))

    def set_splits(self, splits: Mapping[str, str]) -> None:
        """Give every stem the split of its track."""
        self._columns["split"] = [splits[track] for track in self._columns["track"]]

    def to_frame(self, hierarchy: Hierarchy) -> pd.DataFrame:
        """What :func:`build_frame` returns; the stems go from here into the table, and are not here any more."""
        import pandas as pd

        columns, same = self._columns, self._texts.setdefault
        order = _order(columns["track"], columns["stem"])
        tree, why_lost = _matched(columns, hierarchy, order)
        for name in StemRow._fields:  # one by one, so that at most one of them exists twice
            columns[name] = _array(name, columns[name])[order]
        lost = (columns["status"] == "audio") & (why_lost != "")
        columns["status"][lost] = "unassigned"
        for row in np.flatnonzero(lost):
            why = "; ".join(filter(None, (columns["why"][row], why_lost[row])))
            columns["why"][row] = same(why, why)
        if hierarchy.unassigned == "error" and lost.any():
            _refuse_unassigned(
                hierarchy, *(columns[name][lost].tolist() for name in ("track", "stem", "why"))
            )
        self._columns = {}
        names = [*BASE_COLUMNS, *tree, "status", "why"]
        columns |= tree
        return pd.DataFrame(
            # With their types: pandas 3 would turn None into NaN
            {name: pd.Series(columns[name], dtype=columns[name].dtype, copy=False) for name in names},
            copy=False,
        )


def build_frame(rows: Iterable[StemRow], hierarchy: Hierarchy) -> pd.DataFrame:
    """The catalog's table: ``rows`` in order of (track, stem), matched to the tree.

    Raises
    ------
    InputError
        The tree says ``unassigned: error`` and a stem has no category.
    """
    return StemTable(rows).to_frame(hierarchy)


def stem_rows_of(frame: pd.DataFrame) -> Iterator[StemRow]:
    """The rows of a table, as they were before the tree: it decides which of them are unassigned."""
    for first in range(0, len(frame), _CHUNK):
        columns = []
        for name in StemRow._fields:
            values = frame[name].iloc[first : first + _CHUNK].tolist()
            columns.append([None if type(value).__name__ == "NAType" else value for value in values])
        for row in map(StemRow._make, zip(*columns, strict=True)):
            yield row._replace(status="audio", why="") if row.status == "unassigned" else row


def cells(frame: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The table's rows as texts, the same on every version of pandas; None is empty, bool true or false."""
    for first in range(0, len(frame), _CHUNK):
        part = frame.iloc[first : first + _CHUNK]
        yield from zip(*(_column_cells(part[name]) for name in columns), strict=True)


def _column_cells(column: pd.Series[Any]) -> list[str]:
    if column.dtype == "bool":
        return ["true" if value else "false" for value in column]
    return ["" if missing else str(value) for value, missing in zip(column, column.isna(), strict=True)]


def _order(tracks: Sequence[str], stems: Sequence[str]) -> slice | NDArray[np.intp]:
    """Where the stems are, in order of (track, stem)."""
    if all(one <= other for one, other in pairwise(zip(tracks, stems, strict=True))):
        return slice(None)
    return np.array(sorted(sorted(range(len(stems)), key=stems.__getitem__), key=tracks.__getitem__))


def _array(name: str, values: Any) -> Any:
    import pandas as pd

    if name == "program":
        return pd.array(values, dtype="Int64")
    return np.array(values, "int64" if name in INTEGERS else "bool" if name in FLAGS else "object")


def _matched(
    columns: Mapping[str, Any], hierarchy: Hierarchy, order: slice | NDArray[np.intp]
) -> tuple[dict[str, NDArray[np.object_]], NDArray[np.object_]]:
    """The tree's columns, and why a stem has no category ("" where it has one)."""
    numbers: dict[tuple[Any, ...], int] = {}  # each label is matched once
    labels = zip(*(columns[name] for name in _LABEL), strict=True)
    codes = np.fromiter((numbers.setdefault(label, len(numbers)) for label in labels), np.intp)[order]
    places: list[list[str | None]] = [[] for _ in range(hierarchy.levels + 2)]
    for values in numbers:
        label = StemLabel(*values)
        match = hierarchy.match(label)
        path = hierarchy.path(match.node) if match else (None,) * hierarchy.levels
        category, why = (match.category, "") if match else (None, hierarchy.why_unassigned(label))
        for column, value in zip(places, (category, *path, why), strict=True):
            column.append(value)
    *tree, why_lost = (np.array(column, "object")[codes] for column in places)
    names = ["category", *(f"level_{level}" for level in range(1, hierarchy.levels + 1))]
    return dict(zip(names, tree, strict=True)), why_lost


def _refuse_unassigned(
    hierarchy: Hierarchy, tracks: Sequence[str], stems: Sequence[str], whys: Sequence[str]
) -> None:
    lost = [f"{track}/{stem} ({why})" for track, stem, why in zip(tracks, stems, whys, strict=True)]
    raise InputError(
        f"the tree {hierarchy.name} says unassigned: error, and {counted(len(lost), 'stem has', 'stems have')} no category: "
        f"{some(lost)}. Give them a category, or say keep or drop"
    )
