"""From songs and a map to tracks to be made: which file is which stem, and what cannot be taken and why."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

from slakh_hier.errors import SongError
from slakh_hier.importing.songs import SongFolder, shown_name
from slakh_hier.importing.sources import Settings, Song, SourceFile, SourceStem
from slakh_hier.importing.stem_map import StemMap
from slakh_hier.output.items import digest_of
from slakh_hier.output.tracks import MAX_STEMS, TrackTask, check_count, track_name

_RECIPE = 2
"""Raised when the same files and settings give other audio, so that an old folder is not resumed with it."""


@dataclass(frozen=True)
class Unmatched:
    """A file that no pattern of the map fits: its name, the songs that have it, and what to do."""

    file: str
    songs: tuple[str, ...]
    hint: str


@dataclass
class ImportPlan:
    """What is to be made, and what is left out.

    ``tasks`` are tracks by place. ``failures`` are songs that cannot be used with the reason. ``idle`` are the map's patterns
    that fit no file of any song, as text with their place.
    """

    tasks: dict[str, TrackTask] = field(default_factory=dict)
    failures: list[tuple[str, str]] = field(default_factory=list)
    unmatched: list[Unmatched] = field(default_factory=list)
    idle: list[str] = field(default_factory=list)


def plan_tracks(
    songs: Sequence[SongFolder], splits: Mapping[str, str], stem_map: StemMap, settings: Settings
) -> ImportPlan:
    """A task for every song that has a stem. Tracks are numbered by the place of the song among all, in order of names.

    Parameters
    ----------
    splits
        Split by the song's name.
    """
    check_count(len(songs))
    plan = ImportPlan()
    unmatched: dict[str, list[str]] = defaultdict(list)
    for number, folder in enumerate(songs, start=1):
        try:
            roles = _roles(folder, stem_map)
            for name in roles.unmatched:
                unmatched[name].append(folder.name)
            song = _song(folder, roles, settings)
            place = f"{splits[folder.name]}/{track_name(number)}"
            plan.tasks[place] = TrackTask(song.name, song.uuid, _digest(place, song), (song,))
        except SongError as error:
            plan.failures.append((folder.name, str(error)))
    plan.unmatched = [
        Unmatched(name, tuple(names), stem_map.hint(name)) for name, names in sorted(unmatched.items())
    ]
    plan.idle = _idle(songs, stem_map)
    return plan


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
        path = str((song.folder / file).absolute())
        instrument = stem_map.instrument(name)
        if stem_map.is_mix(name):
            roles.mixes.append(SourceFile(name, path))
        elif instrument:
            roles.stems.append(SourceStem(name, (SourceFile(name, path),), instrument.labels()))
        else:
            roles.unmatched.append(name)
    return roles


def _song(folder: SongFolder, roles: _Roles, settings: Settings) -> Song:
    if not roles.stems:
        files = ", ".join([*roles.unmatched, *(mix.name for mix in roles.mixes)][:3]) or "only ignored files"
        raise SongError(f"no pattern of the map makes any of its files a stem ({files})")
    if len(roles.stems) > MAX_STEMS:
        raise SongError(f"{len(roles.stems)} stems are more than the {MAX_STEMS} that a track holds")
    if len(roles.mixes) > 1:
        raise SongError(
            f"{', '.join(mix.name for mix in roles.mixes)} all fit mix: in the map; a song has one mixture"
        )
    if doubled := _same_names_in_folders(roles.stems):
        raise SongError(
            f"{' and '.join(doubled)} have one name: is this several songs? songs: ['*/*'] in the map looks for songs "
            "one level deeper; or ignore one folder of them"
        )
    return Song(
        folder.name, folder.uuid, tuple(roles.stems), roles.mixes[0] if roles.mixes else None, settings
    )


def _same_names_in_folders(stems: Sequence[SourceStem]) -> list[str]:
    """The first two files that have the same name in different folders of a song: takes, or songs side by side."""
    first: dict[str, str] = {}
    for stem in stems:
        name = stem.name.rpartition("/")[2]
        if name in first:
            return [first[name], stem.name]
        first[name] = stem.name
    return []


def _digest(place: str, song: Song) -> str:
    """Digest of all that decides a track: names, labels, settings, and size and time of every file."""
    stamps = []
    for file in (*song.files, *([song.mix] if song.mix else [])):
        try:
            info = os.stat(file.path)
        except OSError as error:
            raise SongError(f"{file.name}: {error.strerror}") from error
        stamps.append((info.st_size, info.st_mtime_ns))
    stems = [(stem.name, [file.name for file in stem.files], dict(stem.labels)) for stem in song.stems]
    mix = song.mix.name if song.mix else None
    return digest_of(_RECIPE, place, song.name, song.uuid, stems, mix, asdict(song.settings), stamps)


def _idle(songs: Sequence[SongFolder], stem_map: StemMap) -> list[str]:
    """Patterns that fit no file, misspelt perhaps; each with its place."""
    names = {shown_name(file) for song in songs for file in (*song.files, *song.unreadable)}
    return [
        f"{stem_map.file}:{pattern.line}: {pattern.text!r} of {owner} fits no file of any song"
        for owner, pattern in stem_map.patterns()
        if not any(pattern.fits(name) for name in names)
    ]
