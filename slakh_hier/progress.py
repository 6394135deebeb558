"""How long steps report their progress, without knowing who shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

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


class Silent:
    """Shows nothing."""

    @contextmanager
    def stage(
        self, description: str, total: float, unit: str, *, worth: Worth | None = None
    ) -> Iterator[Advance]:
        yield lambda amount: None
