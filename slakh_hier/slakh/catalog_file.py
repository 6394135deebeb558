"""The catalog as a CSV file that a person can open and edit."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from slakh_hier.errors import InputError, Problem, TextError
from slakh_hier.files import publish
from slakh_hier.slakh.frame import INTEGERS, STATUSES, StemRow, cells

if TYPE_CHECKING:
    import pandas as pd


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write the table as CSV: UTF-8, empty cells for None; the file appears complete or not at all."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(frame.columns)
    writer.writerows(cells(frame, list(frame.columns)))
    publish(path, buffer.getvalue().encode())


def read_rows(data: bytes, file: str) -> list[StemRow]:
    """The stems of a saved catalog, before a tree; its category and level columns are not read.

    Raises
    ------
    TextError
        Each line that is wrong.
    InputError
        It is not UTF-8, or empty.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: cannot be read as a catalog: {error}") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    rows: list[StemRow] = []
    problems: list[Problem] = []
    seen: dict[tuple[str, str], int] = {}

    def problem(message: str) -> None:
        problems.append(Problem(file, max(reader.reader.line_num, 1), 1, message))

    try:
        if missing := [name for name in StemRow._fields if name not in (reader.fieldnames or ())]:
            problem(f"no catalog: the column {missing[0]} is missing; `slakh-hier scan -o` writes one")
            raise TextError(problems)
        for line in reader:
            try:
                row = _row(line)
            except ValueError as error:
                problem(str(error))
                continue
            first = seen.setdefault((row.track, row.stem), reader.line_num)
            if first != reader.line_num:
                problem(f"{row.track}/{row.stem} is in line {first} too")
            rows.append(row)
    except csv.Error as error:
        problem(f"not CSV: {error}")
    if problems:
        raise TextError(problems)
    if not rows:
        raise InputError(f"{file}: the catalog holds no stem")
    return rows


def _row(line: dict[str, str | None]) -> StemRow:
    values: dict[str, Any] = {}
    for name in StemRow._fields:
        cell = line[name]
        if cell is None:
            raise ValueError(f"the line ends before the column {name}")
        values[name] = cell
        if name in (*INTEGERS, "program") and (cell or name != "program"):
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


def check_files(file: str, root: Path, rows: Sequence[StemRow]) -> None:
    """Raise InputError unless the files are those that were scanned, by size; reading compares their headers."""
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
            f"{file} does not fit {root}: {len(changed)} of its files are missing or have changed, {changed[0]} first. "
            "Scan again, or give the data set it was made from"
        )
