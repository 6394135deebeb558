"""What a layout is: a data set's folder, recognised and read into songs. Each data set has a module of its own here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from pathlib import Path
from typing import ClassVar

from slakh_hier.errors import InputError
from slakh_hier.importing.layouts.parts import inside
from slakh_hier.importing.sources import Listing

UP = 3
"""Levels above a folder at which the whole of a data set is looked for."""


@dataclass(frozen=True)
class LayoutOptions:
    """What only some layouts take; None, where it was not asked for."""

    metadata: Path | None = None
    """MedleyDB: folder with the files ``<id>_METADATA.yaml``, where they are not beside the audio."""
    mixing_coefficients: Path | None = None
    """MedleyDB: file with the gain of each stem."""
    main_system: bool | None = None
    """MedleyDB: take the recordings of the whole room as stems, too."""
    microphone: str | None = None
    """EnsembleSet: which of the microphones."""

    @property
    def given(self) -> list[str]:
        """Names of the options that were asked for."""
        return [item.name for item in fields(self) if getattr(self, item.name) is not None]


class Layout(ABC):
    """A data set's layout."""

    name: ClassVar[str]
    """As given with ``--layout``."""
    title: ClassVar[str]
    """The data set's own name."""
    tree: ClassVar[str]
    """The shipped tree that suits its labels."""
    shape: ClassVar[str]
    """What lies in its folder, for messages."""
    options: ClassVar[frozenset[str]] = frozenset()
    """Names of the options it takes, of :class:`LayoutOptions`."""

    @abstractmethod
    def is_root(self, folder: Path) -> bool:
        """Whether ``folder`` is the data set's; a quick look at a few names."""

    @abstractmethod
    def songs(self, root: Path, options: LayoutOptions) -> Listing:
        """Everything in the data set's folder. Only names, metadata and sizes are looked at.

        Raises
        ------
        InputError
            An option's file cannot be used.
        """

    def why_not(self, folder: Path) -> str | None:
        """What a folder is that belongs to the data set but holds no audio that can be read, and what to do."""
        return None

    def find(self, folder: Path) -> Path:
        """The folder, if it is the data set's.

        Raises
        ------
        InputError
            It is not: a folder around it, a part of it (both with the right folder), or something else.
        """
        if self.is_root(folder):
            return folder
        if whole := self.around(folder):
            raise InputError(f"{folder} is a part of {self.title}: give the whole of it, {whole}")
        if found := self.below(folder):
            raise InputError(f"{folder} is not {self.title} but a folder around it: give {found}")
        if reason := self.why_not(folder):
            raise InputError(reason)
        raise InputError(f"{folder} is not {self.title}, which holds {self.shape}")

    def below(self, folder: Path) -> Path | None:
        """The data set's folder one or two levels below ``folder``."""
        return next((place for place in inside(folder) if self.is_root(place)), None)

    def around(self, folder: Path) -> Path | None:
        """The data set's folder up to :data:`UP` levels above ``folder``."""
        return next((above for above in folder.resolve().parents[:UP] if self.is_root(above)), None)
