"""Finding MIDI files: single ones and folders of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from slakh_hier.errors import InputError
from slakh_hier.files import md5
from slakh_hier.paths import StrPath
from slakh_hier.synth.midi_file import MAX_BYTES

SUFFIXES = (".mid", ".midi", ".kar", ".rmi")


@dataclass(frozen=True)
class Found:
    """A MIDI file: its path, its name for the metadata, the md5 of its bytes; or why it cannot be read."""

    path: Path
    name: str
    md5: str = ""
    reason: str = ""


def find_midi(given: Sequence[StrPath]) -> list[Found]:
    """All MIDI files among the given files and, recursively, folders: in the order given, sorted within a folder.

    A file that is met twice counts once. Names are relative to the given folder, which they begin with.

    Raises
    ------
    InputError
        A path does not exist, or there is no MIDI file at all.
    """
    found: dict[str, Found] = {}
    for item in given:
        path = Path(item).expanduser()
        if path.is_dir():
            root = Path(path.resolve().name)
            files = [(file, str(root / file.relative_to(path))) for file in _inside(path)]
        elif path.exists():
            files = [(path, path.name)]
        else:
            raise InputError(f"{path} does not exist; give MIDI files, or folders of them")
        for file, name in files:
            key = os.path.realpath(file)
            if key not in found:
                found[key] = _looked_at(file, name)
    if not found:
        raise InputError(
            f"no MIDI file ({', '.join(SUFFIXES)}) in {', '.join(str(item) for item in given) or 'nothing'}"
        )
    return list(found.values())


def _inside(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield Path(place) / name


def _looked_at(path: Path, name: str) -> Found:
    # Names that are not UTF-8 cannot stand in YAML.
    name = os.fsencode(name).decode("utf-8", "replace").replace(os.sep, "/")
    try:
        if not path.is_file():
            return Found(path, name, reason="is not a regular file")
        if path.stat().st_size > MAX_BYTES:
            return Found(path, name, reason=f"is larger than {MAX_BYTES >> 20} MiB, which no song is")
        return Found(path, name, md5=md5(path.read_bytes()))
    except OSError as error:
        return Found(path, name, reason=f"cannot be read: {error.strerror}")
