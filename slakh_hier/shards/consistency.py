"""What must hold inside a shard beyond its structure: sums, states, levels, rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import h5py
import numpy as np
from numpy.typing import NDArray

from slakh_hier.audio import FULL_SCALE
from slakh_hier.hierarchy import MIX, UNASSIGNED, Column, Hierarchy
from slakh_hier.shards.format import ABSENT, NO_QUERY
from slakh_hier.shards.tables import Tables, clip_place

RMS_TOLERANCE_DB: Final = 0.1
RMS_FLOOR_DBFS: Final = -60.0
"""Below it the quantisation to int16 moves the level by itself."""
RESAMPLING_NOISE: Final = 4e-6
"""Resampling a sum and summing the resampled differ by this part of the peaks (soxr HQ: about 20 bits)."""

Children = Mapping[int, tuple[int, ...]]


class ConsistencyReport:
    """Faults of one shard, counted by kind: the first of each in full."""

    def __init__(self, tables: Tables):
        self._tables = tables
        self._kinds: dict[str, list[str]] = {}

    def add(self, kind: str, detail: str) -> None:
        self._kinds.setdefault(kind, []).append(detail)

    def add_clips(self, kind: str, wrong: NDArray[np.bool_], column: Column) -> None:
        """Note a node in every clip in which it is ``wrong``, shape (clips,)."""
        for clip in np.flatnonzero(wrong).tolist():
            self.add(kind, self.where(column, clip))

    def where(self, column: Column, clip: int) -> str:
        """A node in a clip, in words."""
        return f"{column.name} in {clip_place(self._tables, clip)}"

    def messages(self) -> list[str]:
        """One line per kind: what, how often, and the first case."""
        return [
            f"{kind}: {details[0]}{f' (and {len(details) - 1} more)' if len(details) > 1 else ''}"
            for kind, details in self._kinds.items()
        ]


def complete_children(columns: Sequence[Column], tree: Hierarchy) -> Children:
    """For each column whose children, all of them, are columns too: their places. They must add up to it.

    With ``--target`` only one path is rendered and its children do not add up; the same holds for categories
    where some finest nodes hold their rule themselves.
    """
    complete = {}
    for place, column in enumerate(columns):
        below = [child for child, about in enumerate(columns) if about.parent == place]
        assigned = [columns[child] for child in below if columns[child].name != UNASSIGNED]
        if not assigned:
            continue
        level = assigned[0].level
        whole = tree.categories if level == 0 else tree.level_nodes(level)
        needed = {name for name in whole if column.name == MIX or column.name in tree.path(name)}
        if column.name == MIX and tree.unassigned == "keep":
            needed.add(UNASSIGNED)
        if needed == {columns[child].name for child in below}:
            complete[place] = tuple(below)
    return complete


def check_tables(tables: Tables, columns: Sequence[Column], dtype: str, children: Children) -> list[str]:
    """Faults of the tables alone, beyond what no reader opens (:func:`~slakh_hier.shards.tables.read_tables`)."""
    report, row = ConsistencyReport(tables), tables.row
    there = row != ABSENT
    report.add_clips("the mixture is absent", ~there[:, 0], columns[0])
    for place, column in enumerate(columns):
        if column.parent >= 0:
            lost = there[:, place] & ~there[:, column.parent]
            report.add_clips(f"{columns[column.parent].name} is absent, but not its child", lost, column)
    for place, below in children.items():
        alone = there[:, place] & ~there[:, list(below)].any(axis=1)
        report.add_clips("a node is there, but none of its children", alone, columns[place])
    used = np.union1d(row[row >= 0], tables.query_row[tables.query_row >= 0])
    if unused := sorted(set(range(len(tables.scale))) - set(used.tolist())):
        report.add("a row belongs to no clip", f"row {unused[0]} of /audio")
    least = 1.0 if dtype == "int16" else tables.scale
    if (odd := np.flatnonzero((tables.scale < least) | ((dtype == "float32") & (tables.scale != 1)))).size:
        report.add("a scale is wrong", f"{tables.scale[odd[0]]:g} in row {odd[0]}")
    return report.messages()


def check_audio(
    audio: h5py.Dataset, tables: Tables, columns: Sequence[Column], dtype: str, children: Children
) -> list[str]:
    """Read every row: parents are the sum of their children within quantisation, levels are those of the audio.

    Raises whatever h5py raises for a row whose checksum is wrong.
    """
    report = ConsistencyReport(tables)
    for clip in range(len(tables.row)):
        rows = tables.row[clip]
        wanted = {*rows[rows >= 0].tolist(), *tables.query_row[clip : clip + 1].tolist()} - {NO_QUERY}
        signals = {row: _signal(audio, row, tables) for row in sorted(wanted)}
        if broken := [row for row, samples in signals.items() if not np.isfinite(samples).all()]:
            report.add("a signal holds NaN or Inf", f"row {broken[0]}")
            continue
        if zeros := [row for row, samples in signals.items() if not samples.any()]:
            report.add("a row holds nothing but zeros, and counts as sounding", f"row {zeros[0]}")
        for place, column in enumerate(columns):
            if rows[place] >= 0:
                said, found = float(tables.rms[clip, place]), _level(signals[int(rows[place])])
                if max(said, found) > RMS_FLOOR_DBFS and not abs(found - said) <= RMS_TOLERANCE_DB:
                    report.add(
                        "a level is not that of the audio",
                        f"{report.where(column, clip)} is said to have {said:.2f} dBFS, but has {found:.2f}",
                    )
        for place, below in children.items():
            error, allowed = _sum_error(rows, place, below, signals, tables, dtype)
            if error > allowed:
                report.add(
                    "a node is not the sum of its children",
                    f"{report.where(columns[place], clip)} is off by {error:.2g} of full scale",
                )
    return report.messages()


def _signal(audio: h5py.Dataset, row: int, tables: Tables) -> NDArray[np.float64]:
    samples: NDArray[np.float64] = audio[row].astype(np.float64)
    if audio.dtype.kind == "i":
        samples *= float(tables.scale[row]) / FULL_SCALE
    return samples


def _level(samples: NDArray[np.float64]) -> float:
    with np.errstate(divide="ignore"):
        return float(10 * np.log10(np.mean(samples**2)))


def _sum_error(
    rows: NDArray[np.int32],
    place: int,
    below: Sequence[int],
    signals: Mapping[int, NDArray[np.float64]],
    tables: Tables,
    dtype: str,
) -> tuple[float, float]:
    """Largest difference between a node and the sum of its children, and what rounding can explain."""
    parent = int(rows[place])
    parts = [int(rows[child]) for child in below if rows[child] >= 0]
    if parts == [parent] or (not parts and parent < 0):
        return 0.0, 0.0
    total = np.zeros(signals[(parts or [parent])[0]].shape)
    for part in parts:
        total += signals[part]
    if parent >= 0:
        total -= signals[parent]
    all_rows = [*parts, parent] if parent >= 0 else parts
    half_steps = (
        (sum(float(tables.scale[row]) for row in all_rows) + (parent < 0)) / (2 * FULL_SCALE)
        if dtype == "int16"
        else 0.0
    )
    peaks = sum(float(np.abs(signals[row]).max()) for row in all_rows)
    return float(np.abs(total).max()), half_steps * 1.001 + peaks * RESAMPLING_NOISE
