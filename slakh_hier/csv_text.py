"""CSV files that hold texts of unknown origin: written so that no spreadsheet runs them, and read back as they were.

A spreadsheet takes a cell that begins with ``=``, ``+``, ``-`` or ``@`` for a formula. Such a text, unless it is a number, gets
an apostrophe in front, which reading takes away again (OWASP, CSV injection). Control characters are written as in
:func:`~slakh_hier.wording.escaped`.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slakh_hier.errors import InputError
from slakh_hier.plain_files import open_plain
from slakh_hier.wording import escaped

if TYPE_CHECKING:
    import pandas as pd

_FORMULA = re.compile(r"'*[=+\-@]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(inf|nan)")


def guarded(text: str) -> str:
    """A text as a cell."""
    text = escaped(text)
    return f"'{text}" if _is_formula(text) else text


def unguarded(cell: str) -> str:
    """The text of a cell."""
    return cell[1:] if cell.startswith("'") and _is_formula(cell) else cell


def csv_lines(rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    """Lines of a CSV file (UTF-8); None becomes an empty cell."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for row in rows:
        writer.writerow([guarded(cell) if isinstance(cell, str) else cell for cell in row])
        yield buffer.getvalue().encode()
        buffer.seek(0)
        buffer.truncate()


class CsvReader:
    """Rows as dictionaries, their texts as they were before :func:`csv_lines`; raises as :class:`csv.DictReader`."""

    def __init__(self, text: Iterable[str]):
        self._reader = csv.DictReader(text)

    @property
    def columns(self) -> Sequence[str]:
        """Names in the first line; empty where there is none."""
        return self._reader.fieldnames or ()

    @property
    def line(self) -> int:
        """The number of the line that was read last, from 1."""
        return max(self._reader.reader.line_num, 1)

    def __iter__(self) -> Iterator[dict[str, str | None]]:
        for row in self._reader:
            yield {key: unguarded(cell) if isinstance(cell, str) else None for key, cell in row.items()}


def guarded_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """A table whose texts can be written with ``to_csv``."""
    return _map_texts(frame, guarded)


def unguarded_frame(frame: pd.DataFrame) -> pd.DataFrame:
    """What ``read_csv`` read, with its texts as they were."""
    return _map_texts(frame, unguarded)


def read_frame(path: Path, **options: Any) -> pd.DataFrame:
    """A table in a file that may be untrusted, as pandas reads it with these options, its texts as they were.

    Raises
    ------
    InputError
        It cannot be read.
    """
    import pandas as pd

    try:
        with open(open_plain(path, links=True), "rb") as file:
            return unguarded_frame(pd.read_csv(file, **options))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table: {error}") from None


def _map_texts(frame: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    from pandas.api.types import is_numeric_dtype

    def changed(cell: object) -> object:
        return change(cell) if isinstance(cell, str) else cell

    texts = [name for name in frame.columns if not is_numeric_dtype(frame[name])]
    return frame.assign(**{name: frame[name].map(changed) for name in texts})


def _is_formula(text: str) -> bool:
    return bool(_FORMULA.match(text)) and not _NUMBER.fullmatch(text.lstrip("'"))
