"""How long steps tell their caller how far they are, without knowing who shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

Advance = Callable[[float], None]


class Progress(Protocol):
    """What a long step calls. The command line shows a bar or sparse lines; the default shows nothing."""

    def stage(self, description: str, total: float, unit: str) -> AbstractContextManager[Advance]:
        """Enter a stage of ``total`` units; the value is a function that adds finished units."""
        ...


class Silent:
    """Shows nothing."""

    @contextmanager
    def stage(self, description: str, total: float, unit: str) -> Iterator[Advance]:
        yield lambda amount: None
