"""How long steps report their progress, without knowing who shows it; and bars, which show it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.util import find_spec
from typing import Protocol

from slakh_hier.wording import escaped

Advance = Callable[[float], None]
Worth = tuple[float, str]


class Progress(Protocol):
    """What a long step calls. The command line shows a bar or sparse lines; the default shows nothing."""

    def stage(
        self, description: str, total: float, unit: str, *, worth: Worth | None = None
    ) -> AbstractContextManager[Advance]:
        """Enter a stage of ``total`` units; the value is a function that adds finished units.

        With ``worth`` the speed is reported too, in units and in what each is worth: ``(10.0, "s of audio")`` gives
        "3.1 clips/s, 31 s of audio/s".
        """
        ...


Wanted = Progress | bool | None
"""What functions take as ``progress``: True shows bars, None and False show nothing."""


class Silent:
    """Shows nothing."""

    @contextmanager
    def stage(
        self, description: str, total: float, unit: str, *, worth: Worth | None = None
    ) -> Iterator[Advance]:
        yield lambda amount: None


class Bars:
    """A bar on a terminal or in a notebook, one line per minute elsewhere; on stderr.

    Parameters
    ----------
    say
        Writes a line where there is neither a terminal nor a notebook; default: to stderr.
    """

    def __init__(self, say: Callable[[str], None] | None = None):
        self._say = say or _to_stderr

    @contextmanager
    def stage(
        self, description: str, total: float, unit: str, *, worth: Worth | None = None
    ) -> Iterator[Advance]:
        if in_notebook() and find_spec("tqdm") is not None:
            yield from _tqdm(escaped(description), total, unit)
        elif sys.stderr.isatty() or in_notebook():
            yield from _rich(escaped(description), total, unit, worth)
        else:
            yield from self._lines(description, total, unit, worth)

    def _lines(self, description: str, total: float, unit: str, worth: Worth | None) -> Iterator[Advance]:
        done, began = 0.0, time.monotonic()
        last = began

        def advance(amount: float) -> None:
            nonlocal done, last
            done += amount
            if (now := time.monotonic()) - last >= 60:
                last = now
                left = (now - began) * (total - done) / done if done else float("nan")
                speed = f", {_speed(done / (now - began), unit, worth)}" if worth else ""
                self._say(
                    f"{description}: {done:,.0f} of {total:,.0f} {unit}{speed}, about {left / 60:.0f} min left"
                )

        yield advance


def in_notebook() -> bool:
    """Whether a Jupyter kernel runs this process."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


def _tqdm(description: str, total: float, unit: str) -> Iterator[Advance]:
    from tqdm.auto import tqdm

    with tqdm(desc=description, total=total, unit=f" {unit}", leave=False) as bar:
        yield lambda amount: bar.update(amount) and None


def _rich(description: str, total: float, unit: str, worth: Worth | None) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
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
    console = None if in_notebook() else Console(stderr=True)
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(description, total=total)
        yield lambda amount: bar.advance(task, amount)


def _speed(per_second: float, unit: str, worth: Worth) -> str:
    each, what = worth
    return f"{per_second:,.1f} {unit}/s, {per_second * each:,.0f} {what}/s"


def _to_stderr(line: str) -> None:
    print(escaped(line), file=sys.stderr)


def shown(progress: Wanted) -> Progress:
    """Who shows the progress; with True a bar on a terminal or in a notebook, and a line per minute elsewhere."""
    if progress is True:
        return Bars()
    return progress or Silent()
