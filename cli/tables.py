"""How a table fits a terminal: no number, path or heading is ever broken.

Notes are wrapped between words first; then secondary columns are left out; then names are shortened in the middle. What is
still too wide becomes a list: one line per value.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from rich.cells import cell_len

NOTE: Final = 24
"""A column of texts with spaces that is wider may be wrapped, down to this width."""
NAME: Final = 12
"""Names keep at least so many characters."""
GAP: Final = "  "
_WORD: Final = re.compile(r"[^\W\d_]{3,}")


class Column(NamedTuple):
    """A heading and its cells as texts.

    ``least`` is the width that wrapping between words leaves, ``short`` the one that shortening names leaves.
    """

    heading: str
    cells: list[str]
    right: bool
    width: int
    least: int
    short: int

    @classmethod
    def of(cls, heading: str, cells: list[str], right: bool) -> Column:
        head = cell_len(heading)
        width = max([head, *map(cell_len, cells)])
        if right or not any(map(_WORD.search, cells)):  # numbers and intervals
            return cls(heading, cells, right, width, width, width)
        words = [word for cell in cells for word in cell.split()]
        longest = max(map(cell_len, words), default=0)
        indent = max(len(cell) - len(cell.lstrip()) for cell in cells)
        spaced = any(" " in cell.strip() for cell in cells)
        least = max(head, min(width, max(NOTE, longest + indent))) if spaced else width
        path = max((cell_len(word) for word in words if "/" in word), default=0)
        short = max(head, path + indent, min(least, NAME + indent))
        return cls(heading, cells, right, width, least, short)


class Fitted(NamedTuple):
    """What is shown of a table, and the columns that are not."""

    lines: list[str]
    """The first two are the heading and a rule; of a list, none is."""
    left_out: list[str]
    is_list: bool = False


def fit(
    rows: Sequence[Mapping[str, str]],
    right: Sequence[str],
    width: int | None,
    secondary: Sequence[str] = (),
) -> Fitted:
    """Lay out a table.

    Parameters
    ----------
    rows
        Cells as texts, with equal keys.
    right
        Columns that stand to the right: numbers.
    width
        Characters in a line; None: as many as it takes.
    secondary
        Columns to leave out where the room is short, the first one first.
    """
    columns = [
        Column.of(name, [row[name] for row in rows], name in right) for name in (rows[0] if rows else ())
    ]
    if width is None:
        return Fitted(_table(columns, [column.width for column in columns]), [])
    left_out: list[str] = []
    waiting = [name for name in secondary if name in {column.heading for column in columns}]
    while True:
        if _total(column.least for column in columns) <= width:
            return Fitted(_table(columns, _shared(columns, width, wrap=True)), left_out)
        if not waiting:
            break
        left_out.append(waiting.pop(0))
        columns = [column for column in columns if column.heading != left_out[-1]]
    if _total(column.short for column in columns) <= width:
        return Fitted(_table(columns, _shared(columns, width, wrap=False)), left_out)
    return Fitted(_list(columns, len(rows)), left_out, is_list=True)


def _total(widths: Iterable[int]) -> int:
    every = list(widths)
    return sum(every) + len(GAP) * (len(every) - 1)


def _shared(columns: Sequence[Column], width: int, *, wrap: bool) -> list[int]:
    """The widest columns that can give way do so, until the table fits."""
    widths = [column.width if wrap else column.least for column in columns]
    floors = [column.least if wrap else column.short for column in columns]
    while _total(widths) > width:
        place = max(range(len(widths)), key=lambda n: (widths[n] > floors[n], widths[n]))
        widths[place] -= 1
    return widths


def _table(columns: Sequence[Column], widths: Sequence[int]) -> list[str]:
    heads = [
        _padded(column.heading, width, column.right) for column, width in zip(columns, widths, strict=True)
    ]
    lines = [GAP.join(heads).rstrip(), "─" * _total(widths)]
    for cells in zip(*(column.cells for column in columns), strict=True):
        wrapped = [list(_wrapped(cell, width)) for cell, width in zip(cells, widths, strict=True)]
        for number in range(max(map(len, wrapped))):
            parts = [
                _padded(lines_[number] if number < len(lines_) else "", width, column.right)
                for lines_, width, column in zip(wrapped, widths, columns, strict=True)
            ]
            lines.append(GAP.join(parts).rstrip())
    return lines


def _list(columns: Sequence[Column], rows: int) -> list[str]:
    """One line per value, and an empty line between rows."""
    head = max(cell_len(column.heading) for column in columns)
    lines = []
    for row in range(rows):
        lines += [""] if row else []
        lines += [
            f"{_padded(column.heading, head, False)}{GAP}{column.cells[row].strip()}" for column in columns
        ]
    return lines


def _wrapped(cell: str, width: int) -> Iterator[str]:
    """The lines of a cell: broken between words, and words that are too long shortened."""
    if cell_len(cell) <= width:
        yield cell
        return
    indent = cell[: len(cell) - len(cell.lstrip())]
    line = ""
    for word in cell.split():
        word = shorten_middle(word, width - len(indent))
        if line and cell_len(f"{line} {word}") > width:
            yield line
            line = ""
        line = f"{line} {word}" if line else indent + word
    yield line


def shorten_middle(name: str, width: int) -> str:
    """At most so many columns of a name: its beginning, ``…`` and its end, where names differ."""
    if cell_len(name) <= width:
        return name
    kept = width - 1
    while True:
        tail = kept // 2
        short = f"{name[: kept - tail]}…{name[len(name) - tail :]}"
        if cell_len(short) <= width or kept <= 0:
            return short
        kept -= 1  # characters of double width


def _padded(text: str, width: int, right: bool) -> str:
    room = " " * (width - cell_len(text))
    return room + text if right else text + room
