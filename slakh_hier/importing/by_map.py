"""Songs of a folder by a map: which file is which stem, and what cannot be taken and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from slakh_hier.errors import SongError
from slakh_hier.importing.songs import SongFolder, find_songs, shown_name
from slakh_hier.importing.sources import Listing, Song, SourceFile, SourceStem, Unmatched
from slakh_hier.importing.stem_map import StemMap

_CONVERT = "make WAV or FLAC of it, as by ffmpeg -i STEM.m4a STEM.wav"


def list_by_map(folder: Path, stem_map: StemMap) -> Listing:
    """The songs of a folder, of which the map says what each file is.

    Raises
    ------
    InputError
        There is no song.
    """
    found, empty = find_songs(folder, stem_map.songs)
    listing = Listing(notes=_idle(found, stem_map))
    unmatched: dict[str, list[str]] = defaultdict(list)
    for place in found:
        try:
            roles = _roles(place, stem_map)
            for name in roles.unmatched:
                unmatched[name].append(place.name)
            listing.songs.append(_song(place, roles))
        except SongError as error:
            listing.failures.append((place.name, str(error)))
    listing.failures += [
        (name, f"{reason}: {_CONVERT}" if "cannot be read" in reason else reason) for name, reason in empty
    ]
    listing.unmatched = [
        Unmatched(name, tuple(names), stem_map.hint(name)) for name, names in sorted(unmatched.items())
    ]
    return listing


@dataclass
class _Roles:
    stems: list[SourceStem] = field(default_factory=list)
    mixes: list[SourceFile] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)


def _roles(song: SongFolder, stem_map: StemMap) -> _Roles:
    """What each file of a song is: ignored, the mixture, or a stem of the first instrument that fits."""
    roles = _Roles()
    for file in (*song.files, *song.unreadable):
        name = shown_name(file)
        if stem_map.ignores(name):
            continue
        if file in song.unreadable:
            raise SongError(
                f"{name}: this kind of file cannot be read; make it WAV or FLAC, or ignore it in the map"
            )
        source = SourceFile(name, str((song.folder / file).absolute()))
        instrument = stem_map.instrument(name)
        if stem_map.is_mix(name):
            roles.mixes.append(source)
        elif instrument:
            roles.stems.append(SourceStem(name, (source,), instrument.labels()))
        else:
            roles.unmatched.append(name)
    return roles


def _song(folder: SongFolder, roles: _Roles) -> Song:
    if not roles.stems:
        files = ", ".join([*roles.unmatched, *(mix.name for mix in roles.mixes)][:3]) or "only ignored files"
        raise SongError(f"no pattern of the map makes any of its files a stem ({files})")
    if len(roles.mixes) > 1:
        raise SongError(
            f"{', '.join(mix.name for mix in roles.mixes)} all fit mix: in the map; a song has one mixture"
        )
    if reason := _several_songs([stem.name for stem in roles.stems]):
        raise SongError(
            f"{reason}: is this several songs? songs: ['*/*'] in the map looks for songs one level deeper; or ignore one "
            "folder of them"
        )
    return Song(
        folder.name,
        folder.uuid,
        tuple(roles.stems),
        roles.mixes[0] if roles.mixes else None,
        id=folder.name.rpartition("/")[2],
        split=folder.split,
    )


def _several_songs(names: Sequence[str]) -> str | None:
    """Why a song's files look like those of several songs side by side; None where they do not."""
    first: dict[str, str] = {}
    for name in names:
        bare = name.rpartition("/")[2]
        if bare in first:
            return f"{first[bare]} and {name} have one name"
        first[bare] = name
    # Files that are called after their folders, as in Artist_Song/Artist_Song_STEM_01.wav
    alike: dict[str, set[str]] = defaultdict(set)
    for name in names:
        top, slash, rest = name.partition("/")
        if slash and top.casefold() in rest.casefold():
            alike[rest.casefold().replace(top.casefold(), "*")].add(top)
    for tops in alike.values():
        if len(tops) > 1:
            return f"{' and '.join(sorted(tops)[:2])} hold files that are called after them"
    return None


def _idle(songs: Sequence[SongFolder], stem_map: StemMap) -> list[str]:
    """Patterns that fit no file, misspelt perhaps; each with its place."""
    idle = stem_map.idle(set(_names(songs)))
    return [
        f"{stem_map.file}:{pattern.line}: {pattern.text!r} of {owner} fits no file of any song"
        for owner, pattern in idle
    ]


def _names(songs: Sequence[SongFolder]) -> Iterator[str]:
    for song in songs:
        yield from map(shown_name, (*song.files, *song.unreadable))
