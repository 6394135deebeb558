"""What the commands share: options, tables, progress, warnings. Heavy imports stay inside functions."""

from __future__ import annotations

import io
import json
import math
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TextIO, TypeVar

import click

from slakh_hier.errors import FaultError, SlakhHierWarning
from slakh_hier.progress import Advance, Worth
from slakh_hier.wording import escaped

_UNUSUAL = re.compile("[^\n -~]")
F = TypeVar("F", bound=Callable[..., Any])

format_option = click.option(
    "--format",
    "output_format",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="How results are printed on stdout.",
)
jobs_option = click.option(
    "-j",
    "--jobs",
    type=click.IntRange(min=0),
    default=0,
    show_default="one per CPU core",
    help="Parallel workers.",
)


def print_table(
    rows: Sequence[Mapping[str, Any]], output_format: str = "table", *, title: str | None = None
) -> None:
    """Print rows with equal keys on stdout as an aligned table, JSON or CSV."""
    if output_format == "json":
        print_json(list(rows))
        return
    columns = list(rows[0]) if rows else []
    if output_format == "csv":
        from slakh_hier.csv_text import csv_lines

        lines = csv_lines([columns, *([row[column] for column in columns] for row in rows)])
        _print(b"".join(lines).decode(), newline=False)
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    if title is not None:  # rich would fold it at the table's width
        say(title)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        numeric = all(isinstance(row[column], int | float) or row[column] is None for row in rows)
        table.add_column(
            Text(escaped(column)), justify="right" if numeric else "left", overflow="fold", no_wrap=numeric
        )
    for row in rows:
        table.add_row(*(Text(_cell(row[column])) for column in columns))
    print_rich(table)


def print_rich(shown: Any) -> None:
    """Print a table or tree of rich on stdout, whose texts are :func:`~slakh_hier.wording.escaped` already."""
    from rich.console import Console
    from rich.measure import measure_renderables
    from rich.table import Table

    text, terminal = io.StringIO(), sys.stdout.isatty()
    # A pipe has no width: folding lines there would break grep.
    console = Console(file=text, width=None if terminal else 200, force_terminal=terminal, highlight=False)
    wide = console.options.update(width=1000)
    if isinstance(shown, Table) and measure_renderables(console, wide, [shown]).maximum > console.width:
        shown.padding = (0, 0)
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


class TerminalProgress:
    """A bar on a terminal, one line per minute elsewhere (both on stderr)."""

    @contextmanager
    def stage(
        self, description: str, total: float, unit: str, *, worth: Worth | None = None
    ) -> Iterator[Advance]:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import (
                BarColumn,
                Progress,
                ProgressColumn,
                Task,
                TextColumn,
                TimeRemainingColumn,
            )
            from rich.table import Column
            from rich.text import Text

            class SpeedColumn(ProgressColumn):
                def render(self, task: Task) -> Text:
                    return Text(_speed(task.speed or 0.0, unit, worth) if worth else "")

            columns = (
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.completed:,.0f}/{task.total:,.0f} " + unit),
                SpeedColumn(Column(no_wrap=True)),
                TimeRemainingColumn(),
            )
            with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
                task = bar.add_task(escaped(description), total=total)
                yield lambda amount: bar.advance(task, amount)
            return
        done, began = 0.0, time.monotonic()
        last = began

        def advance(amount: float) -> None:
            nonlocal done, last
            done += amount
            if (now := time.monotonic()) - last >= 60:
                last = now
                left = (now - began) * (total - done) / done if done else float("nan")
                speed = f", {_speed(done / (now - began), unit, worth)}" if worth else ""
                note(
                    f"{description}: {done:,.0f} of {total:,.0f} {unit}{speed}, about {left / 60:.0f} min left"
                )

        yield advance


def _speed(per_second: float, unit: str, worth: Worth) -> str:
    each, what = worth
    return f"{per_second:,.1f} {unit}/s, {per_second * each:,.0f} {what}/s"


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, float):
        return f"{value:,.2f}" if abs(value) < 1e6 else f"{value:.3g}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return escaped(str(value))


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
