"""What the commands share: printing, progress, warnings. Heavy imports stay inside functions."""

from __future__ import annotations

import io
import json
import math
import os
import re
import shutil
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TextIO

import click

from slakh_hier.errors import FaultError, SlakhHierWarning
from slakh_hier.progress import Bars
from slakh_hier.wording import cell, escaped

_UNUSUAL = re.compile("[^\n -~]")

MOST_NOTED = 20
"""Stems, songs or tracks that are named one by one: Slakh2100 has thousands of stems that were never rendered."""
WIDE = "slakh_hier.cli.wide"
"""Key of the context's ``meta``: whether --wide was given."""


def print_table(
    rows: Sequence[Mapping[str, Any]],
    output_format: str = "table",
    *,
    title: str | None = None,
    secondary: Sequence[str] = (),
) -> None:
    """Print rows with equal keys on stdout as a table, JSON or CSV.

    Parameters
    ----------
    title
        A line above a table.
    secondary
        Columns that a table lacks where the terminal is too narrow, the first one first.
    """
    if output_format == "json":
        print_json(list(rows))
        return
    columns = list(rows[0]) if rows else []
    if output_format == "csv":
        from slakh_hier.csv_text import csv_lines

        lines = csv_lines([columns, *([row[column] for column in columns] for row in rows)])
        _print(b"".join(lines).decode(), newline=False)
        return
    from slakh_hier.cli.tables import fit

    right = [
        column
        for column in columns
        if all(isinstance(row[column], int | float) or row[column] is None for row in rows)
    ]
    cells = [{escaped(column): _cell(row[column]) for column in columns} for row in rows]
    width = _width()
    shown = fit(cells, [escaped(column) for column in right], width, secondary)
    if title is not None:
        say(title)
    if shown.is_list:
        _print("".join(f"{line}\n" for line in shown.lines))
    else:
        head, *rest = shown.lines
        _print("\n".join([click.style(head, bold=True), *rest, ""]))
    if shown.left_out:
        note(f"not shown in {width} columns: {', '.join(shown.left_out)}; --wide shows all")


def _width() -> int | None:
    """Characters in a line of the terminal; None: no limit, since a pipe has no width and --wide wants none."""
    context = click.get_current_context(silent=True)
    if not sys.stdout.isatty() or (context is not None and context.meta.get(WIDE)):
        return None
    return shutil.get_terminal_size().columns


def print_made(folder: object, row: Mapping[str, Any], output_format: str) -> None:
    """Print what a folder got on stdout: a table below its name, or one row with it."""
    if output_format == "table":
        print_table([row], title=f"{folder}:")
    else:
        print_table([{"folder": str(folder), **row}], output_format)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Print names and values on stdout, one line for each; long values are never broken."""
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        say(f"  {name:{width}}  {_cell(value)}")


def print_rich(shown: Any) -> None:
    """Print a tree of rich on stdout, whose texts are :func:`~slakh_hier.wording.escaped` already."""
    from rich.console import Console

    text, terminal = io.StringIO(), sys.stdout.isatty()
    # A pipe has no width: folding lines there would break grep.
    console = Console(file=text, width=None if terminal else 200, force_terminal=terminal, highlight=False)
    console.print(shown)
    _print(text.getvalue(), newline=False)


def print_json(value: Any) -> None:
    """Print a value as indented JSON on stdout; NaN and infinities become null."""
    text = json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False)
    # What a terminal would obey, or cannot be encoded, stands in strings only, where JSON has another spelling for it.
    _print(
        _UNUSUAL.sub(
            lambda found: found[0] if escaped(found[0]) == found[0] else json.dumps(found[0])[1:-1], text
        )
    )


def say(text: object = "") -> None:
    """Print a line of results on stdout; line breaks in it are our own."""
    _print(escaped(str(text), keep="\n"))


def note(text: object) -> None:
    """Print a line on stderr, which is for messages; where they cannot be written, the work continues."""
    try:
        click.echo(escaped(str(text), keep="\n"), err=True)
    except OSError:
        give_up(sys.stderr)


def note_all(lines: Sequence[str], rest: str) -> None:
    """:func:`note` the first lines of many, and how many more there are, which ``rest`` says where to find."""
    for line in lines[:MOST_NOTED]:
        note(line)
    if len(lines) > MOST_NOTED:
        note(f"... and {len(lines) - MOST_NOTED} more{rest}")


def _print(text: str, *, newline: bool = True) -> None:
    """Write to stdout. This and :func:`note` are the only places that write to the terminal."""
    try:
        click.echo(text, nl=newline)
    except BrokenPipeError:
        raise
    except OSError as error:
        give_up(sys.stdout)
        raise FaultError(
            f"standard output cannot be written: {error.strerror}. Files that the command wrote are complete"
        ) from error


def give_up(stream: TextIO) -> None:
    """Let nothing that is still to be written to a standard stream end in an error."""
    with suppress(OSError, ValueError), open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


@contextmanager
def shown_warnings() -> Iterator[None]:
    """Show slakh-hier's warnings as plain lines on stderr, each once."""
    seen: set[str] = set()

    def show(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
        text = str(message)
        if issubclass(category, SlakhHierWarning) and text not in seen:
            seen.add(text)
            note(f"warning: {text}")

    with warnings.catch_warnings():
        warnings.simplefilter("always", SlakhHierWarning)
        warnings.showwarning = show
        yield


def bars() -> Bars:
    """What shows the progress of a command."""
    return Bars(note)


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    return f"{value:.3g}" if isinstance(value, float) and abs(value) >= 1e6 else escaped(cell(value))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if hasattr(value, "item") and not isinstance(value, str):
        return _plain(value.item())
    return value
