"""The catalog's table: its columns, and how stems are matched to a tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from slakh_hier.errors import InputError
from slakh_hier.hierarchy import Hierarchy, Match, StemLabel

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["audio", "no_audio", "broken", "excluded", "unassigned"]
STATUSES: tuple[Status, ...] = get_args(Status)
INTEGERS = ("frames", "sample_rate", "channels", "size", "mtime_ns")


class StemRow(NamedTuple):
    """A stem before a tree is applied; the fields are the catalog's first columns and its last two.

    ``frames`` to ``mtime_ns`` are 0 and ``path`` is empty where there is no audio. ``status`` is ``audio`` for
    every stem whose audio can be used.
    """

    track: str
    song: str
    split: str
    stem: str
    path: str
    frames: int
    sample_rate: int
    channels: int
    size: int
    mtime_ns: int
    patch: str | None
    program: int | None
    is_drum: bool
    midi_program_name: str | None
    inst_class: str | None
    status: str
    why: str


BASE_COLUMNS = StemRow._fields[:-2]


def build_frame(rows: Iterable[StemRow], hierarchy: Hierarchy) -> pd.DataFrame:
    """The catalog's table: ``rows`` in order of (track, stem), matched to the tree.

    Raises
    ------
    InputError
        The tree says ``unassigned: error`` and a stem has no category.
    """
    import pandas as pd

    ordered = sorted(rows, key=lambda row: (row.track, row.stem))
    matches: dict[StemLabel, tuple[Match | None, tuple[str | None, ...]]] = {}
    categories: list[str | None] = []
    nodes: list[tuple[str | None, ...]] = []
    statuses: list[str] = []
    whys: list[str] = []
    for row in ordered:
        label = StemLabel(row.patch, row.program, row.is_drum, row.midi_program_name, row.inst_class)
        if label not in matches:
            found = hierarchy.match(label)
            levels = hierarchy.path(found.node) if found else (None,) * hierarchy.levels
            matches[label] = (found, tuple(levels))
        match, path = matches[label]
        categories.append(match.category if match else None)
        nodes.append(path)
        lost = match is None and row.status == "audio"
        statuses.append("unassigned" if lost else row.status)
        whys.append("; ".join(filter(None, [row.why, hierarchy.why_unassigned(label) if lost else ""])))
    if hierarchy.unassigned == "error":
        _refuse_unassigned(hierarchy, ordered, statuses, whys)
    columns: dict[str, Any] = {}
    for place, name in enumerate(BASE_COLUMNS):
        values = [row[place] for row in ordered]
        if name in INTEGERS:
            columns[name] = pd.Series(values, dtype="int64")
        elif name == "program":
            columns[name] = pd.Series(values, dtype="Int64")
        elif name == "is_drum":
            columns[name] = pd.Series(values, dtype="bool")
        else:
            columns[name] = _texts(values)
    columns["category"] = _texts(categories)
    for level in range(1, hierarchy.levels + 1):
        columns[f"level_{level}"] = _texts([path[level - 1] for path in nodes])
    columns["status"] = _texts(statuses)
    columns["why"] = _texts(whys)
    return pd.DataFrame(columns)


def stem_rows_of(frame: pd.DataFrame) -> list[StemRow]:
    """The rows of a table, as they were before the tree."""
    columns = []
    for name in StemRow._fields:
        values = frame[name].tolist()
        columns.append([None if type(value).__name__ == "NAType" else value for value in values])
    return [StemRow(*values) for values in zip(*columns, strict=True)]


def cells(frame: pd.DataFrame, columns: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The table's rows as texts, the same on every version of pandas; None is empty, bool true or false."""
    return zip(*(_column_cells(frame[name]) for name in columns), strict=True)


def _column_cells(column: pd.Series[Any]) -> list[str]:
    if column.dtype == "bool":
        return ["true" if value else "false" for value in column]
    return ["" if missing else str(value) for value, missing in zip(column, column.isna(), strict=True)]


def _refuse_unassigned(
    hierarchy: Hierarchy, rows: Sequence[StemRow], statuses: Sequence[str], whys: Sequence[str]
) -> None:
    lost = [
        f"{row.track}/{row.stem} ({why})"
        for row, status, why in zip(rows, statuses, whys, strict=True)
        if status == "unassigned"
    ]
    if lost:
        raise InputError(
            f"the tree {hierarchy.name} says unassigned: error, and {len(lost)} stems have no category: "
            f"{', '.join(lost[:5])}{', ...' if len(lost) > 5 else ''}. Give them a category, or say keep or drop"
        )


def _texts(values: Sequence[Any]) -> pd.Series[Any]:
    import pandas as pd

    # object: pandas 3 would turn None into NaN
    return pd.Series(values, dtype="object")
