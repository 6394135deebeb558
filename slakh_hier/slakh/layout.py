"""Finding the tracks of a data set: split folders or none, links that stay inside, names that are safe."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from slakh_hier.errors import InputError
from slakh_hier.output import METADATA

SPLIT_FOLDERS = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "test": "test",
    "omitted": "omitted",
}
"""Folder name to split; some tools write val."""

NO_SPLIT = "none"
LEADS_OUT = "a link that points outside the data set; links are followed inside it only"
STEMS = "stems"
_TRACK_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_SLAKH_NAME = re.compile(r"Track[0-9]{5}")
_ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip", ".tar.xz", ".tar.bz2", ".7z")


@dataclass(frozen=True, slots=True)
class TrackFolder:
    """A folder that holds a track: its id, its split by folder, its place below the root (posix)."""

    track: str
    split: str
    path: str


def resolve_root(root: str | os.PathLike[str]) -> Path:
    """The data set's folder with every link resolved, or an InputError that says what was given instead."""
    given = Path(root).expanduser()
    if given.is_file():
        if _is_archive(given.name):
            raise InputError(f"{given} is an archive. Extract it, then give the folder that comes out")
        raise InputError(f"{given} is a file; give the data set's folder")
    if not given.exists():
        raise InputError(f"{given} does not exist; give the folder that holds train, validation and test")
    try:
        resolved = given.resolve(strict=True)
        os.scandir(resolved).close()
    except OSError as error:
        raise InputError(f"{given} cannot be read: {error.strerror}") from error
    if (resolved / METADATA).is_file():
        raise InputError(
            f"{given} is one track, not a data set; give the folder around it: {resolved.parent}"
        )
    return resolved


def find_tracks(root: Path) -> tuple[list[TrackFolder], list[str]]:
    """Every track of the resolved ``root`` in order of their ids, and what had to be left out.

    A track is a folder with a metadata.yaml, in a split folder or directly below the root.

    Raises
    ------
    InputError
        There is none; the message says what was looked for and what lies there instead.
    """
    tracks: dict[str, TrackFolder] = {}
    problems: list[str] = []
    places = [(name, split) for name, split in SPLIT_FOLDERS.items() if (root / name).is_dir()]
    for folder, split in [*places, ("", NO_SPLIT)]:
        for name in _folders(root, folder, problems):
            path = f"{folder}/{name}" if folder else name
            if not os.path.exists(root / path / METADATA):
                if _SLAKH_NAME.fullmatch(name) or (root / path / STEMS).is_dir():
                    problems.append(f"{path}: has no {METADATA}; skipped")
            elif not _TRACK_NAME.fullmatch(name):
                problems.append(
                    f"{path!r}: not a usable track name; skipped. Rename it: at most 64 letters, digits, . _ or -"
                )
            elif name in tracks:
                problems.append(f"{path}: a track {name} is in {tracks[name].path} too; skipped. Rename one")
            else:
                tracks[name] = TrackFolder(name, split, path)
    if not tracks:
        raise InputError(_nothing_found(root, problems))
    return [tracks[name] for name in sorted(tracks)], problems


def inside(root: Path, path: str | os.PathLike[str]) -> bool:
    """Whether ``path``, with links followed, lies below the resolved ``root``."""
    real = os.path.realpath(path)
    return os.path.commonpath([real, root]) == str(root)


def _folders(root: Path, folder: str, problems: list[str]) -> list[str]:
    """Names of the folders inside ``folder`` that may be looked into, sorted; hidden ones are not."""
    place = root / folder
    if folder and not inside(root, place):
        problems.append(f"{folder}: {LEADS_OUT}; skipped. It points to {os.path.realpath(place)}")
        return []
    names = []
    try:
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not entry.is_dir():
                    continue
                if not folder and entry.name in SPLIT_FOLDERS:
                    continue
                if entry.is_symlink() and not inside(root, entry.path):
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    problems.append(f"{path}: {LEADS_OUT}; skipped")
                    continue
                names.append(entry.name)
    except OSError as error:
        problems.append(f"{folder}: cannot be read: {error.strerror}; skipped")
    return sorted(names)


def _nothing_found(root: Path, problems: list[str]) -> str:
    looked = (
        f"{root} holds no track. Looked for folders with a {METADATA} (Track00001/{METADATA}), directly there and in "
        f"{', '.join(SPLIT_FOLDERS)}"
    )
    entries = sorted(os.listdir(root))
    if problems:
        return f"{looked}. " + "; ".join(problems[:3])
    if not entries:
        return f"{root} is empty. A data set holds train, validation and test folders, or tracks (Track00001)"
    archives = [name for name in entries if _is_archive(name)]
    if archives:
        return f"{looked}. {archives[0]} is not extracted yet: tar -xf {archives[0]}"
    if STEMS in entries:
        return f"{looked}. This looks like one track without its {METADATA}; give the data set's folder"
    for name in entries:
        below = root / name
        if below.is_dir() and inside(root, below) and _looks_like_data_set(below):
            return f"{looked}. The folder below it looks right: {below}"
    return f"{looked}. It holds {', '.join(entries[:5])}{', ...' if len(entries) > 5 else ''}"


def _looks_like_data_set(folder: Path) -> bool:
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    return any(name in SPLIT_FOLDERS or _SLAKH_NAME.fullmatch(name) for name in names)


def _is_archive(name: str) -> bool:
    return name.lower().endswith(_ARCHIVES)
