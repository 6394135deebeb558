"""The catalog: one row a stem, with its song, split, audio, place in the tree, status and reason."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np

from slakh_hier.errors import InputError, Problem, TextError
from slakh_hier.files import publish
from slakh_hier.hierarchy import Hierarchy, Match, StemLabel
from slakh_hier.slakh.layout import resolve_root
from slakh_hier.slakh.splits import find_leaks

if TYPE_CHECKING:
    import pandas as pd

Status = Literal["audio", "no_audio", "broken", "excluded", "unassigned"]
STATUSES: tuple[Status, ...] = get_args(Status)
SPLIT_ORDER = ("train", "validation", "test", "omitted", "none")
FROM_FILE = "catalog"
"""Scheme of a catalog that was read from a file: its column split counts, whoever filled it."""

_INTEGERS = ("frames", "sample_rate", "channels", "size", "mtime_ns")


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


@dataclass(frozen=True)
class Catalog:
    """Every stem of a data set.

    Attributes
    ----------
    root
        The data set's folder, resolved.
    scheme
        Where the column split comes from: orig, split2, redux, folders, or catalog (a file).
    frame
        One row a stem, sorted by (track, stem): track, song, split, stem, path (below root, posix), frames,
        sample_rate (Hz), channels, size (bytes), mtime_ns, patch, program, is_drum, midi_program_name,
        inst_class, category, level_1 to level_N (None where unassigned), status, why.
    problems
        What is wrong with the data set as a whole: tracks and ids left out, songs in two splits.
    skipped
        Those problems that left something out.
    notes
        Choices that were made and that a user may want to make otherwise.
    """

    root: Path
    hierarchy: Hierarchy
    scheme: str
    frame: pd.DataFrame
    problems: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def usable(self) -> pd.DataFrame:
        """The rows whose audio enters mixtures: ``audio``, and ``unassigned`` where the tree keeps such stems."""
        wanted = ["audio", "unassigned"] if self.hierarchy.unassigned == "keep" else ["audio"]
        return self.frame[self.frame["status"].isin(wanted)]

    def with_hierarchy(self, hierarchy: Hierarchy) -> Catalog:
        """The same stems matched to another tree."""
        if hierarchy == self.hierarchy:
            return self
        rows = [
            row._replace(status="audio", why="") if row.status == "unassigned" else row
            for row in _stem_rows(self.frame)
        ]
        return replace(self, hierarchy=hierarchy, frame=build_frame(rows, hierarchy))

    def with_broken(self, reasons: Mapping[tuple[str, str], str]) -> Catalog:
        """The same catalog with stems marked ``broken``, for faults that only decoding shows.

        Parameters
        ----------
        reasons
            Why, by (track, stem); stems without audio are left as they are.
        """
        keys = list(zip(self.frame["track"], self.frame["stem"], strict=True))
        hit = [
            key in reasons and status in ("audio", "unassigned")
            for key, status in zip(keys, self.frame["status"], strict=True)
        ]
        if not any(hit):
            return self
        frame = self.frame.copy()
        frame.loc[hit, "status"] = "broken"
        frame.loc[hit, "why"] = [reasons[key] for key, there in zip(keys, hit, strict=True) if there]
        return replace(self, frame=frame)

    @cached_property
    def digest(self) -> str:
        """Sha256 (hex) of all that decides the audio of a plan; not of the root, sizes and times."""
        columns = [c for c in BASE_COLUMNS if c not in ("size", "mtime_ns")] + ["status"]
        lines = zip(*(map(_cell, self.frame[column]) for column in columns), strict=True)
        text = "\n".join("\x1f".join(line) for line in lines)
        return sha256(text.encode()).hexdigest()

    @property
    def leaks(self) -> list[tuple[str, dict[str, list[str]]]]:
        """Songs in more than one split: song, and its tracks by split."""
        rows = self.frame[["track", "song", "split"]].drop_duplicates()
        return find_leaks(rows.itertuples(index=False, name=None))

    def summary(self) -> list[dict[str, Any]]:
        """Per split, and for all: tracks, songs, stems, hours of mixture, and stems by status."""
        frame, usable = self.frame, self.usable
        rows: list[dict[str, Any]] = []
        splits = [split for split in SPLIT_ORDER if (frame["split"] == split).any()]
        splits += sorted(set(frame["split"]) - set(SPLIT_ORDER))
        for split in [*splits, "all"]:
            part = frame if split == "all" else frame[frame["split"] == split]
            used = usable if split == "all" else usable[usable["split"] == split]
            seconds = (used["frames"] / used["sample_rate"]).groupby(used["track"]).max().sum()
            counts = part["status"].value_counts()
            rows.append(
                {
                    "split": split,
                    "tracks": int(part["track"].nunique()),
                    "songs": int(part["song"].nunique()),
                    "stems": len(part),
                    "hours": round(float(seconds) / 3600, 4),
                }
            )
            rows[-1].update((status, int(counts.get(status, 0))) for status in STATUSES)
        return rows

    def left_out(self) -> list[dict[str, str]]:
        """Every stem whose audio is not used as a source, with its reason: track, stem, status, why."""
        rows = self.frame[self.frame["status"] != "audio"]
        return [
            {"track": track, "stem": stem, "status": status, "why": why}
            for track, stem, status, why in rows[["track", "stem", "status", "why"]].to_numpy()
        ]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the table as CSV (UTF-8, empty cells for None); it appears complete or not at all."""
        buffer = io.StringIO()
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow(self.frame.columns)
        writer.writerows(zip(*(map(_cell, self.frame[column]) for column in self.frame.columns), strict=True))
        path = Path(path)
        publish(path, buffer.getvalue().encode())
        return path

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], root: str | os.PathLike[str], hierarchy: Hierarchy
    ) -> Catalog:
        """Read a saved catalog of the data set ``root`` and match its stems to ``hierarchy``.

        The file's category and level columns are not read, so that any tree may be given; its splits are
        taken as they are.

        Raises
        ------
        TextError
            The file is not a catalog: each wrong line.
        InputError
            It cannot be read, or belongs to another state of the data set.
        """
        resolved = resolve_root(root)
        rows = _read_rows(Path(path))
        _check_files(Path(path), resolved, rows)
        return cls(resolved, hierarchy, FROM_FILE, build_frame(rows, hierarchy))


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
    if hierarchy.unassigned == "error" and "unassigned" in statuses:
        lost_rows = [
            f"{row.track}/{row.stem} ({why})"
            for row, status, why in zip(ordered, statuses, whys, strict=True)
            if status == "unassigned"
        ]
        raise InputError(
            f"the tree {hierarchy.name} says unassigned: error, and {len(lost_rows)} stems have no category: "
            f"{', '.join(lost_rows[:5])}{', ...' if len(lost_rows) > 5 else ''}. Give them a category, or say keep or drop"
        )
    columns: dict[str, Any] = {}
    for place, name in enumerate(BASE_COLUMNS):
        values = [row[place] for row in ordered]
        if name in _INTEGERS:
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


def _stem_rows(frame: pd.DataFrame) -> list[StemRow]:
    """The rows of a table, as they were before the tree."""
    columns = []
    for name in StemRow._fields:
        values = frame[name].tolist()
        columns.append([None if type(value).__name__ == "NAType" else value for value in values])
    return [StemRow(*values) for values in zip(*columns, strict=True)]


def _texts(values: Sequence[Any]) -> pd.Series[Any]:
    import pandas as pd

    # object: pandas 3 would turn None into NaN
    return pd.Series(values, dtype="object")


def _cell(value: Any) -> str:
    import pandas as pd

    if pd.isna(value):
        return ""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    return str(value)


def _read_rows(path: Path) -> list[StemRow]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as a catalog: {error}") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    missing = [name for name in StemRow._fields if name not in (reader.fieldnames or ())]
    if missing:
        raise TextError(
            [
                Problem(
                    str(path),
                    1,
                    1,
                    f"no catalog: the column {missing[0]} is missing. slakh-hier scan -o writes one",
                )
            ]
        )
    rows: list[StemRow] = []
    problems: list[Problem] = []
    seen: dict[tuple[str, str], int] = {}
    for cells in reader:
        try:
            row = _row(cells)
            if (first := seen.setdefault((row.track, row.stem), reader.line_num)) != reader.line_num:
                raise ValueError(f"{row.track}/{row.stem} is in line {first} too")
            rows.append(row)
        except ValueError as error:
            problems.append(Problem(str(path), reader.line_num, 1, str(error)))
    if problems:
        raise TextError(problems)
    if not rows:
        raise InputError(f"{path}: the catalog holds no stem")
    return rows


def _row(cells: dict[str, str | None]) -> StemRow:
    values: dict[str, Any] = {}
    for name in StemRow._fields:
        cell = cells[name]
        if cell is None:
            raise ValueError(f"the line ends before the column {name}")
        values[name] = cell
        if name in (*_INTEGERS, "program") and (cell or name != "program"):
            if not (cell.isascii() and cell.isdigit()):
                raise ValueError(f"{name} is {cell!r}, not a whole number")
            values[name] = int(cell)
        elif name in ("program", "patch", "midi_program_name", "inst_class"):
            values[name] = cell or None
        elif name == "is_drum":
            if cell.lower() not in ("true", "false"):
                raise ValueError(f"is_drum is {cell!r}, not true or false")
            values[name] = cell.lower() == "true"
    if values["status"] not in STATUSES:
        raise ValueError(f"status is {values['status']!r}, not one of {', '.join(STATUSES)}")
    if not all(values[name] for name in ("track", "song", "split", "stem")):
        raise ValueError("track, song, split and stem must not be empty")
    parts = PurePosixPath(values["path"]).parts
    if values["path"].startswith("/") or ".." in parts or "\0" in values["path"]:
        raise ValueError(f"path {values['path']!r} leads out of the data set")
    if values["status"] in ("audio", "unassigned"):
        if not values["path"] or min(values["frames"], values["sample_rate"], values["channels"]) < 1:
            raise ValueError(
                f"a stem with status {values['status']} needs path, frames, sample_rate and channels"
            )
        if values["status"] == "unassigned":
            values.update(status="audio", why="")  # the tree given decides anew
    return StemRow(**values)


def _check_files(path: Path, root: Path, rows: Sequence[StemRow]) -> None:
    """The files must be those that were scanned; reading compares their headers again."""
    changed = []
    for row in rows:
        if row.status == "audio":
            try:
                if os.stat(root / row.path).st_size != row.size:
                    changed.append(row.path)
            except OSError:
                changed.append(row.path)
    if changed:
        raise InputError(
            f"{path} does not fit {root}: {len(changed)} of its files are missing or have changed, {changed[0]} first. "
            "Scan again, or give the data set it was made from"
        )
