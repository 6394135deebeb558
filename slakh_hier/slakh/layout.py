"""Finding the tracks of a data set: split folders or none, links that stay inside, names that are safe."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slakh_hier.errors import InputError
from slakh_hier.output import METADATA
from slakh_hier.paths import StrPath
from slakh_hier.wording import counted, some

SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev", "development"), "validation"),
    **dict.fromkeys(("test", "testing", "eval", "evaluation"), "test"),
    "omitted": "omitted",
}
"""Name of a folder, in lower case, to split: those that data sets of music use."""

NO_SPLIT = "none"
LEADS_OUT = "a link that points outside the data set, which is followed with --follow-links only (or copy what it points to: cp -rL)"
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


def resolve_root(root: StrPath) -> Path:
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


def within(root: Path, follow_links: bool) -> Path:
    """The folder that links must not leave."""
    return Path(root.anchor) if follow_links else root


def find_tracks(root: Path, *, follow_links: bool = False) -> tuple[list[TrackFolder], list[str]]:
    """Every track of the resolved ``root`` in order of their ids, and what had to be left out.

    A track is a folder with a metadata.yaml, in a split folder or directly below the root.

    Parameters
    ----------
    follow_links
        Links may lead out of ``root``.

    Raises
    ------
    InputError
        There is none; the message says what was looked for and what lies there instead.
    """
    tracks: dict[str, TrackFolder] = {}
    problems: list[str] = []
    bounds = within(root, follow_links)
    folders = _folders(root, "", bounds, problems)
    places = [(name, SPLIT_FOLDERS[name.lower()]) for name in folders if name.lower() in SPLIT_FOLDERS]
    order = list(SPLIT_FOLDERS.values())
    for folder, split in [*sorted(places, key=lambda place: order.index(place[1])), ("", NO_SPLIT)]:
        for name in _folders(root, folder, bounds, problems) if folder else folders:
            path = f"{folder}/{name}" if folder else name
            if not folder and name.lower() in SPLIT_FOLDERS:
                continue
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
    problems += _other_folders(root, folders, bounds, tracks)
    if not tracks:
        raise InputError(_nothing_found(root, problems))
    return [tracks[name] for name in sorted(tracks)], problems


def inside(bounds: Path, path: StrPath) -> bool:
    """Whether ``path``, with links followed, lies below the resolved folder ``bounds``."""
    real = os.path.realpath(path)
    return os.path.commonpath([real, bounds]) == str(bounds)


def _other_folders(
    root: Path, folders: Sequence[str], bounds: Path, tracks: Mapping[str, TrackFolder]
) -> Iterator[str]:
    """Folders that are not a split's and hold tracks, where no link of a split leads to them."""
    found = {os.path.realpath(root / track.path) for track in tracks.values()}
    for folder in folders:
        place = root / folder
        if folder.lower() in SPLIT_FOLDERS or os.path.realpath(place) in found:
            continue
        names = [
            name for name in _folders(root, folder, bounds, []) if os.path.exists(place / name / METADATA)
        ]
        if count := sum(os.path.realpath(place / name) not in found for name in names):
            what = counted(count, "track is", "tracks are")
            yield f"{folder}: is not the name of a split; {what} skipped. Rename it: {', '.join(SPLIT_FOLDERS)}"


def _folders(root: Path, folder: str, bounds: Path, problems: list[str]) -> list[str]:
    """Names of the folders inside ``folder`` that may be looked into, sorted; hidden ones are not."""
    place = root / folder
    names = []
    try:
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith(".") or not entry.is_dir():
                    continue
                if entry.is_symlink() and not inside(bounds, entry.path):
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    problems.append(
                        f"{path}: {LEADS_OUT}; skipped. It points to {os.path.realpath(entry.path)}"
                    )
                    continue
                names.append(entry.name)
    except OSError as error:
        problems.append(f"{folder or root}: cannot be read: {error.strerror}; skipped")
    return sorted(names)


def _nothing_found(root: Path, problems: list[str]) -> str:
    looked = (
        f"{root} holds no track. Looked for folders with a {METADATA} (Track00001/{METADATA}), directly there and in "
        "folders of splits (train, validation, test, omitted)"
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
    return f"{looked}. It holds {some(entries)}"


def _looks_like_data_set(folder: Path) -> bool:
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    return any(name.lower() in SPLIT_FOLDERS or _SLAKH_NAME.fullmatch(name) for name in names)


def _is_archive(name: str) -> bool:
    return name.lower().endswith(_ARCHIVES)
