"""The catalog as a CSV file that a person can open and edit."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

from slakh_hier.csv_text import CsvReader, csv_lines
from slakh_hier.errors import InputError, Problem, TextError
from slakh_hier.files import publish
from slakh_hier.slakh.frame import FLAGS, INTEGERS, STATUSES, StemRow, cells
from slakh_hier.slakh.layout import LEADS_OUT, inside, within
from slakh_hier.wording import counted

if TYPE_CHECKING:
    import pandas as pd

_LARGEST = 2**63 - 1
_MD5 = re.compile("[0-9a-f]{32}")


def write_frame(frame: pd.DataFrame, path: Path) -> None:
    """Write the table as CSV: UTF-8, empty cells for None; the file appears complete or not at all."""
    names = list(frame.columns)
    publish(path, csv_lines(chain([names], cells(frame, names))))


def read_rows(data: BinaryIO, file: str) -> Iterator[StemRow]:
    """The stems of a saved catalog, before a tree; its category and level columns are not read.

    Parameters
    ----------
    data
        The catalog, which may be as large as memory and so is not read at once; it can be searched.
    file
        Its name for messages.

    Raises
    ------
    TextError
        After the last stem: each line that is wrong.
    InputError
        It is not UTF-8, or empty.
    """
    problems: list[Problem] = []
    last, ordered, empty = ("", ""), True, True
    for _, row in _numbered(data, file, problems):
        here = (row.track, row.stem)
        ordered, last, empty = ordered and here > last, here, False
        yield row
    if not ordered:  # else no stem can be there twice, and none need be kept in mind
        problems = _problems(data, file)
    if problems:
        raise TextError(problems)
    if empty:
        raise InputError(f"{file}: the catalog holds no stem")


def _problems(data: BinaryIO, file: str) -> list[Problem]:
    """Each line that is wrong, including those that appear twice."""
    problems: list[Problem] = []
    seen: dict[tuple[str, str], int] = {}
    for number, row in _numbered(data, file, problems):
        first = seen.setdefault((row.track, row.stem), number)
        if first != number:
            problems.append(Problem(file, number, 1, f"{row.track}/{row.stem} is in line {first}, too"))
    return problems


def _numbered(data: BinaryIO, file: str, problems: list[Problem]) -> Iterator[tuple[int, StemRow]]:
    """The stems with the numbers of their lines; what is wrong with other lines is added to ``problems``."""
    data.seek(0)
    text = io.TextIOWrapper(data, "utf-8-sig", newline="")
    reader = CsvReader(text)

    def problem(message: str) -> None:
        problems.append(Problem(file, reader.line, 1, message))

    try:
        if missing := [name for name in StemRow._fields if name not in reader.columns]:
            problem(f"no catalog: the column {missing[0]} is missing; `slakh-hier scan -o` writes one")
            return
        for line in reader:
            try:
                row = _row(line)
            except ValueError as error:
                problem(str(error))
                continue
            yield reader.line, row
    except csv.Error as error:
        problem(f"not CSV: {error}")
    except UnicodeDecodeError as error:
        raise InputError(f"{file}: cannot be read as a catalog: {error}") from error
    finally:
        text.detach()  # else it would close the file


def _row(line: dict[str, str | None]) -> StemRow:
    values: dict[str, Any] = {}
    for name in StemRow._fields:
        cell = line[name]
        if cell is None:
            raise ValueError(f"the line ends before the column {name}")
        values[name] = cell
        if name in (*INTEGERS, "program") and (cell or name != "program"):
            # A file may be from before 1970.
            digits = cell.removeprefix("-") if name == "mtime_ns" else cell
            if not (digits.isascii() and digits.isdigit()):
                raise ValueError(f"{name} is {cell!r}, not a whole number")
            values[name] = int(cell)
            if abs(values[name]) > _LARGEST:
                raise ValueError(f"{name} is {cell}, and {_LARGEST} is the most")
        elif name == "content" and cell and not _MD5.fullmatch(cell):
            raise ValueError(f"content is {cell!r}, not an MD5 in hexadecimal")
        elif name in ("program", "patch", "midi_program_name", "inst_class", "labels", "artist"):
            values[name] = cell or None
        elif name in FLAGS:
            if cell.lower() not in ("true", "false"):
                raise ValueError(f"{name} is {cell!r}, not true or false")
            values[name] = cell.lower() == "true"
    if values["status"] not in STATUSES:
        raise ValueError(f"status is {values['status']!r}, not one of {', '.join(STATUSES)}")
    if not all(values[name] for name in ("track", "song", "split", "stem")):
        raise ValueError("track, song, split and stem must not be empty")
    parts = PurePosixPath(values["path"]).parts
    if values["path"].startswith("/") or ".." in parts or "\0" in values["path"]:
        raise ValueError(f"path {values['path']!r} points outside the data set")
    if values["status"] in ("audio", "unassigned"):
        if not values["path"] or min(values["frames"], values["sample_rate"], values["channels"]) < 1:
            raise ValueError(
                f"a stem with status {values['status']} needs path, frames, sample_rate and channels"
            )
        if values["status"] == "unassigned":
            values.update(status="audio", why="")  # the given tree decides
    return StemRow(**values)


def check_files(
    file: str, root: Path, rows: Iterable[StemRow], *, follow_links: bool = False
) -> Iterator[StemRow]:
    """The rows, and after the last an InputError unless the files are those that were scanned, by size.

    Reading compares their headers. Links lead out of ``root`` with ``follow_links`` only.
    """
    changed, outside = [], []
    bounds, folder, folder_inside = within(root, follow_links), "", True
    for row in rows:
        if row.path:
            path = os.path.join(root, row.path)
            if os.path.dirname(path) != folder:  # of a track's stems it is the same
                folder = os.path.dirname(path)
                folder_inside = inside(bounds, folder)
            if not folder_inside or (os.path.islink(path) and not inside(bounds, path)):
                outside.append(row.path)
            elif row.status == "audio" and _size(path) != row.size:
                changed.append(row.path)
        yield row
    if outside:
        raise InputError(f"{file}: {counted(len(outside), 'stem')}, {outside[0]} first: {LEADS_OUT}")
    if changed:
        raise InputError(
            f"{file} does not fit {root}: {len(changed)} of its files are missing or have changed, {changed[0]} first. "
            "Scan again, or give the data set it was made from"
        )


def _size(path: str) -> int | None:
    try:
        return os.stat(path).st_size
    except OSError:
        return None
