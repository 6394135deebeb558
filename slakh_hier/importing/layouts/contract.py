"""What a layout is: a data set's folder, recognised and read into songs. Each data set has a module of its own here."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar

from slakh_hier.errors import InputError
from slakh_hier.hierarchy import DRUM_PROGRAM
from slakh_hier.hierarchy.schema import name_from
from slakh_hier.importing.songs import shown_name
from slakh_hier.importing.sources import Listing, SourceFile

LOOKED_AT = 50
"""Folders on one level that are looked into: enough for any parent, and a folder of thousands of songs takes no time."""
UP = 3
"""Levels above a folder at which the whole of a data set is looked for."""


@dataclass(frozen=True)
class LayoutOptions:
    """What only some layouts take; None, where it was not asked for.

    Attributes
    ----------
    metadata
        MedleyDB: folder with the files ``<id>_METADATA.yaml``, where they are not beside the audio.
    mixing_coefficients
        MedleyDB: file with the gain of each stem.
    main_system
        MedleyDB: take the recordings of the whole room as stems, too.
    microphone
        EnsembleSet: which of the microphones.
    """

    metadata: Path | None = None
    mixing_coefficients: Path | None = None
    main_system: bool | None = None
    microphone: str | None = None

    @property
    def given(self) -> list[str]:
        """Names of the options that were asked for."""
        return [item.name for item in fields(self) if getattr(self, item.name) is not None]


class Layout(ABC):
    """A data set's layout.

    Attributes
    ----------
    name
        As given with ``--layout``.
    title
        The data set's own name.
    tree
        The shipped tree that suits its labels.
    shape
        What lies in its folder, for messages.
    options
        Names of the options it takes, of :class:`LayoutOptions`.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    tree: ClassVar[str]
    shape: ClassVar[str]
    options: ClassVar[frozenset[str]] = frozenset()

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
        if reason := self.why_not(folder):
            raise InputError(reason)
        if whole := self._around(folder):
            raise InputError(f"{folder} is a part of {self.title}: give the whole of it, {whole}")
        if inside := self.below(folder):
            raise InputError(f"{folder} is not {self.title} but a folder around it: give {inside}")
        raise InputError(f"{folder} is not {self.title}, which holds {self.shape}")

    def below(self, folder: Path) -> Path | None:
        """The data set's folder one or two levels below ``folder``."""
        for child in folders(folder):
            if self.is_root(child):
                return child
        for child in folders(folder):
            for grandchild in islice(folders(child), 5):
                if self.is_root(grandchild):
                    return grandchild
        return None

    def _around(self, folder: Path) -> Path | None:
        return next((above for above in folder.parents[:UP] if self.is_root(above)), None)


def folders(folder: Path, most: int | None = LOOKED_AT) -> Iterator[Path]:
    """The folders in a folder, in order of their names, without hidden ones; None: all. Nothing where it cannot be read."""
    yield from (folder / name for name in islice(_names(folder, files=False), most))


def file_names(folder: Path) -> list[str]:
    """The names of the files in a folder, sorted, without hidden ones; empty where it cannot be read."""
    return list(_names(folder, files=True))


def _names(folder: Path, *, files: bool) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            # A Mac's archives leave __MACOSX and ._NAME behind.
            found = [entry for entry in entries if not entry.name.startswith((".", "__MACOSX"))]
            yield from sorted(entry.name for entry in found if (entry.is_file() if files else entry.is_dir()))
    except OSError:
        return


def source_file(folder: Path, name: str) -> SourceFile:
    """A file inside a song's folder, under a name that can be shown."""
    return SourceFile(shown_name(name), str((folder / name).absolute()))


def text_of(value: Any) -> str | None:
    """A text of metadata that can be shown; None for anything else."""
    return shown_name(value).strip() or None if isinstance(value, str) else None


def song_key(*names: str) -> str:
    """A song's names with everything but letters and digits removed, lower case: data sets write them differently."""
    return "".join(char for name in names for char in name.casefold() if char.isalnum())


def uuid_of(key: str) -> str:
    """A song's identity, 32 hex digits."""
    return hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()


def label(text: str) -> str:
    """A label in the form in which trees name it: lower case, letters, digits and underscores."""
    return name_from(text) or "unknown"


def instrument_keys(labels: tuple[str, ...], text: str, program: int | None) -> Mapping[str, Any]:
    """The metadata's keys for trees that go by programs and names.

    Parameters
    ----------
    labels
        Coarse to fine; the coarsest becomes the class.
    text
        The finest as the data set writes it.
    program
        General MIDI's, 128 for drums; None where the label does not say which.
    """
    return {
        "inst_class": labels[0],
        "is_drum": program == DRUM_PROGRAM,
        "midi_program_name": text,
        "plugin_name": "None",
        "program_num": program,
    }
