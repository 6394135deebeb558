"""How do layouts read a data set's folders, names and labels into the stems of a song?"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from slakh_hier.files import md5
from slakh_hier.hierarchy.schema import name_from
from slakh_hier.importing.songs import shown_name
from slakh_hier.importing.sources import SourceFile, SourceStem, instrument_keys

LOOKED_AT = 50
"""Folders on one level that are looked into: enough for any parent, and a folder of thousands of songs takes no time."""


class Label(NamedTuple):
    """What a data set's word for an instrument stands for: labels, coarse to fine, and a program (128: drums) or None."""

    path: tuple[str, ...]
    program: int | None


@dataclass(frozen=True)
class Erratum:
    """A known fault of a stem, or of a song's mixture; ``bleed``: others are heard in it."""

    stem: str
    fault: str
    bleed: bool


def folders(folder: Path, most: int | None = LOOKED_AT) -> Iterator[Path]:
    """The folders in a folder, in order of their names, without hidden ones; None: all. Nothing where it cannot be read."""
    yield from (folder / name for name in islice(_names(folder, files=False), most))


def inside(folder: Path) -> Iterator[Path]:
    """The folders in a folder, then some of those in each of them."""
    yield from folders(folder)
    for child in folders(folder):
        yield from islice(folders(child), 5)


def folder_named(folder: Path, name: str) -> Path:
    """The folder of that name in a folder, in upper or lower case: copies over other file systems change it.

    Where there is none, it has the name as it is written.
    """
    there = folder / name
    if os.path.isdir(there):
        return there
    return next((child for child in folders(folder) if child.name.casefold() == name.casefold()), there)


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


def absence(path: Path) -> str | None:
    """Why a file that is named somewhere cannot be taken, in words; None where it is there.

    Of a name out of a damaged list the system may refuse even the question.
    """
    try:
        return None if stat.S_ISREG(os.stat(path).st_mode) else "not a file"
    except (FileNotFoundError, NotADirectoryError, ValueError):
        return "not there"
    except OSError as error:
        return f"unreadable ({error.strerror})"


def source_file(folder: Path, name: str) -> SourceFile:
    """A file inside a song's folder, under a name that can be shown."""
    return SourceFile(shown_name(name), str((folder / name).absolute()))


def text_of(value: Any) -> str | None:
    """A text of metadata that can be shown; None for anything else."""
    return shown_name(value).strip() or None if isinstance(value, str) else None


def song_key(*names: str) -> str:
    """A song's names with everything but letters and digits removed, lower case: data sets write them differently."""
    return "".join(char for name in names for char in name.casefold() if char.isalnum())


def uuid_of(*names: str) -> str:
    """A song's identity, 32 hex digits, from its :func:`song_key`."""
    return md5(song_key(*names).encode())


def label(text: str) -> str:
    """A label in the form in which trees name it: lower case, letters, digits and underscores."""
    return name_from(text) or "unknown"


def unknown(*words: str) -> Label:
    """The labels of an instrument that no table has."""
    return Label(tuple(map(label, words)), None)


def source_stem(
    folder: Path,
    file: str,
    found: Label,
    text: str,
    *,
    bleed: bool | None = None,
    faults: Collection[Erratum] = (),
) -> SourceStem:
    """A stem that is one file.

    Parameters
    ----------
    folder, file
        The song's folder, and the file's path inside it, which is the stem's name.
    found
        What plays. For trees that go by programs and names, its coarsest label becomes the class.
    text
        The instrument as the data set writes it.
    bleed
        Others are heard in it; None where the data set does not say.
    faults
        What is known to be wrong with it; one of them may be bleed.
    """
    return SourceStem(
        shown_name(file),
        (source_file(folder, file),),
        instrument_keys(found.path[0], text, found.program),
        found.path,
        has_bleed=True if any(fault.bleed for fault in faults) else bleed,
        faults=tuple(fault.fault for fault in faults),
    )
