"""From songs to the tracks that are made of them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Literal

from slakh_hier.errors import SongError
from slakh_hier.importing.sources import Listing, Settings, Song
from slakh_hier.output.items import digest_of
from slakh_hier.output.tracks import MAX_STEMS, TrackTask, check_count, track_name
from slakh_hier.wording import counted, some

Bleed = Literal["keep", "drop-stem", "drop-song"]
_RECIPE = 3
"""Raised when the same files and settings give other audio, so that an old folder is not resumed with it."""


def number_songs(listing: Listing) -> dict[str, int]:
    """A number for every song, from 1 in order of names; songs that cannot be used have one too, and keep it when fixed."""
    names = sorted([*(song.name for song in listing.songs), *(name for name, _ in listing.failures)])
    return {name: number for number, name in enumerate(dict.fromkeys(names), start=1)}


def drop_bleed(listing: Listing, bleed: Bleed) -> None:
    """Leave out stems in which others are heard, or whole songs that have such; what is left out is noted.

    A song that has lost a stem has no mixture of its own any more.
    """
    if bleed == "keep":
        return
    dropped: list[str] = []
    stems, kept = 0, []
    for song in listing.songs:
        clean = tuple(stem for stem in song.stems if not stem.has_bleed)
        if len(clean) == len(song.stems):
            kept.append(song)
        elif bleed == "drop-song" or not clean:
            dropped.append(song.name)
        else:
            lost = [stem.name for stem in song.stems if stem.has_bleed]
            stems += len(lost)
            remark = f"without its stems with bleed: {some(lost, most=3)}"
            kept.append(replace(song, stems=clean, mix=None, remarks=(*song.remarks, remark)))
    listing.songs = kept
    if stems:
        listing.notes.append(
            f"--bleed drop-stem left out {stems} stems; their songs' mixtures are sums of the others"
        )
    if dropped:
        listing.notes.append(f"--bleed {bleed} left out {counted(len(dropped), 'song')}: {some(dropped)}")


def plan_tracks(
    listing: Listing, numbers: Mapping[str, int], splits: Mapping[str, str], settings: Settings
) -> dict[str, TrackTask]:
    """A task for every song, by place; a song of which a file cannot be found becomes a failure of the listing.

    Parameters
    ----------
    numbers, splits
        By the song's name.
    """
    check_count(len(numbers))
    tasks = {}
    for song in listing.songs:
        place = f"{splits[song.name]}/{track_name(numbers[song.name])}"
        try:
            tasks[place] = TrackTask(song.name, song.uuid, _digest(place, song, settings), (song, settings))
        except SongError as error:
            listing.failures.append((song.name, str(error)))
    return tasks


def _digest(place: str, song: Song, settings: Settings) -> str:
    """Digest of all that decides a track: names, labels, settings, and size and time of every file."""
    if len(song.stems) > MAX_STEMS:
        raise SongError(f"{len(song.stems)} stems are more than the {MAX_STEMS} that a track holds")
    files = [*song.files, *([song.mix] if song.mix else [])]
    about = asdict(song)
    for part in (*about["stems"], about):
        part.pop("files", None)  # where they lie does not matter
    about["mix"] = song.mix.name if song.mix else None
    return digest_of(
        _RECIPE, place, about, [_stamp(file.name, file.path) for file in files], asdict(settings)
    )


def _stamp(name: str, path: str) -> Sequence[str | int]:
    try:
        info = os.stat(path)
    except OSError as error:
        raise SongError(f"{name}: {error.strerror}") from error
    return name, info.st_size, info.st_mtime_ns
