"""How are files that a reader keeps open closed at the end of a ``with`` block?"""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Closing(ABC):
    """Something with ``close``: leaving its ``with`` block closes it, whatever was raised there."""

    @abstractmethod
    def close(self) -> None:
        """Free what is held; harmless when called again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
