"""MoisesDB: a folder per song with ``data.json``, which lists files by stem and type.

Facts: github.com/moises-ai/moises-db (README, issues 3 and 10), arXiv 2307.15913. There is no mixture on disk: it is the sum of
all files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from slakh_hier.errors import SongError
from slakh_hier.importing.layouts.contract import Layout, LayoutOptions
from slakh_hier.importing.layouts.parts import (
    absence,
    file_names,
    folders,
    source_stem,
    text_of,
    unknown,
    uuid_of,
)
from slakh_hier.importing.layouts.tables import moisesdb_types, type_key
from slakh_hier.importing.songs import shown_name
from slakh_hier.importing.sources import Listing, Song, SourceStem
from slakh_hier.plain_files import parse_json, read_plain
from slakh_hier.wording import counted, some

DATA = "data.json"
_MAX_BYTES = 4 << 20


class MoisesDB(Layout):
    """Stems > types; several files of a type are a stem each."""

    name = "moisesdb"
    title = "MoisesDB"
    tree = "moisesdb"
    shape = f"a folder per song with {DATA} in it"

    def is_root(self, folder: Path) -> bool:
        return any(_is_song(child) for child in islice(folders(folder), 5))

    def songs(self, root: Path, options: LayoutOptions) -> Listing:
        listing = Listing()
        for folder in folders(root, most=None):
            if why := absence(folder / DATA):
                listing.failures.append((shown_name(folder.name), f"its {DATA} is {why}"))
                continue
            try:
                listing.songs.append(_song(folder))
            except SongError as error:
                listing.failures.append((shown_name(folder.name), str(error)))
        return listing


def _is_song(folder: Path) -> bool:
    """Whether its data.json lists stems: training runs and others have files of that name, too."""
    try:
        return absence(folder / DATA) is None and bool(_read(folder / DATA))
    except SongError:
        return False


def _song(folder: Path) -> Song:
    data = _read(folder / DATA)
    title, artist, genre = (text_of(data.get(key)) for key in ("song", "artist", "genre"))
    name = shown_name(folder.name)
    stems: list[SourceStem] = []
    missing: list[tuple[str, str]] = []
    untabled: set[str] = set()
    listed = set()
    # A stem may be listed twice: its tracks belong together, and are stems of their own here anyhow.
    for stem_name, track in _tracks(data):
        kind = text_of(track.get("trackType")) or ""
        file = f"{stem_name}/{_part(track.get('id'), 'id')}.{_part(track.get('extension') or 'wav', 'extension')}"
        if file in listed:
            continue
        listed.add(file)
        found = moisesdb_types().get((stem_name, type_key(kind)))
        if found is None:
            untabled.add(f"{shown_name(stem_name)}/{kind or 'nothing'}")
            found = unknown(stem_name, kind)
        if why := absence(folder / file):
            missing.append((f"{shown_name(file)} ({kind})", f"is listed in {DATA} and {why}"))
            continue
        stems.append(source_stem(folder, file, found, kind, bleed=track.get("has_bleed") is True))
    if not stems:
        raise SongError(f"none of the files that {DATA} lists is there ({len(listed)})")
    remarks = [f"types that are not in the taxonomy: {some(sorted(untabled))}"] if untabled else []
    strays = sorted(map(shown_name, _audio(folder) - listed))
    if strays:
        remarks.append(
            f"{counted(len(strays), 'file is', 'files are')} not listed in {DATA} and not taken: {some(strays, most=2)}"
        )
    return Song(
        f"{artist} - {title} ({name[:8]})" if artist and title else name,
        uuid_of(artist, title) if artist and title else uuid_of(name),
        tuple(stems),
        id=name,
        title=title,
        artist=artist,
        genre=genre,
        missing=tuple(missing),
        remarks=tuple(remarks),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        data = parse_json(read_plain(path, _MAX_BYTES, links=True))
    except OSError as error:
        raise SongError(f"{DATA} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SongError(f"{DATA} is not JSON: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get("stems"), list):
        raise SongError(f"{DATA} has no list of stems")
    return data


def _tracks(data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for stem in data["stems"]:
        tracks = stem.get("tracks") if isinstance(stem, dict) else None
        if not isinstance(tracks, list) or not all(isinstance(track, dict) for track in tracks):
            raise SongError(f"{DATA}: a stem has no list of tracks")
        name = _part(stem.get("stemName"), "stemName")
        yield from ((name, track) for track in tracks)


def _part(value: Any, what: str) -> str:
    """A part of a path out of data.json: nothing may lead out of the song's folder."""
    if not isinstance(value, str) or not value or value in (".", "..") or set(value) & {"/", "\\", "\0"}:
        raise SongError(f"{DATA}: {what} is {shown_name(repr(value))[:60]}, not a file's name")
    return value


def _audio(folder: Path) -> set[str]:
    return {
        f"{child.name}/{name}"
        for child in folders(folder, most=None)
        for name in file_names(child)
        if os.path.splitext(name)[1].lower() in (".wav", ".flac")
    }
