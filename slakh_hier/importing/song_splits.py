"""Which split each song goes to: drawn with a seed, given in a table, or as the data set has it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from slakh_hier.errors import InputError
from slakh_hier.importing.layouts.parts import song_key
from slakh_hier.importing.sources import Song
from slakh_hier.importing.split_table import read_split_table
from slakh_hier.paths import StrPath
from slakh_hier.slakh.layout import SPLIT_FOLDERS
from slakh_hier.splits import OMITTED, SPLITS, assign_groups, parse_shares
from slakh_hier.wording import counted, some

DEFAULT_SPLITS = "80,10,10"
FOLDERS = "folders"
SplitBy = Literal["artist", "song"]


@dataclass(frozen=True)
class SplitOptions:
    """How songs are split."""

    splits: str | None = None
    """Percentages of train, validation and test as ``80,10,10``, drawn by song; ``folders``: as the data set has it, by the
    folder train, validation or test that the song lies in, or by the published list; or a file: CSV with the columns
    song and split, or YAML with ``song: split``. None: as the data set has it where a known layout splits all of its
    songs, else drawn."""
    seed: int = 588
    """Another seed draws other splits."""
    by: SplitBy = "artist"
    """What a drawing keeps in one split: all songs of an artist, where it is known, or each song."""
    table: StrPath | None = None
    """A file as in ``splits`` that need not name all songs, and may name others; what it says goes before ``splits``. Songs
    that it does not name are omitted, unless ``splits`` is given."""
    names: str | None = None
    """What the words of files stand for, as ``1-3=train,4=validation,5=test``."""


def split_songs(songs: Sequence[Song], options: SplitOptions) -> tuple[dict[str, str], list[str]]:
    """The split of every song, by its name, and what to know of the choice.

    Raises
    ------
    InputError
        The options have none of their forms, songs have no split, or one song would lie in two.
    ConfigError
        A file has problems: all of them, with their lines.
    """
    if options.by not in get_args(SplitBy):
        raise InputError(f"songs are split by {' or '.join(get_args(SplitBy))}, not {options.by!r}")
    notes: list[str] = []
    found: dict[str, str] = {}
    if options.table is not None:
        table = read_split_table(songs, Path(options.table), options.names, partial=True)
        found, notes = table.found, table.notes
    rest = [song for song in songs if song.name not in found]
    if options.table is not None and options.splits is None:
        found.update({song.name: OMITTED for song in rest})
        if rest:
            names = [song.name for song in rest]
            notes.append(
                f"{counted(len(rest), 'song')} not in {options.table} and so omitted: {some(names, most=3)}. --splits says where "
                "such songs go"
            )
    else:
        found |= _all(rest, options, notes)
    _refuse_leaks(songs, found)
    return found, [*notes, *_notes(songs, found, options)]


def own_splits(songs: Sequence[Song]) -> bool:
    """Whether the data set itself says where each of its songs goes."""
    return all(song.split is not None for song in songs)


def _all(songs: Sequence[Song], options: SplitOptions, notes: list[str]) -> dict[str, str]:
    text = options.splits or DEFAULT_SPLITS
    if text == FOLDERS:
        return _own(songs)
    if not _are_shares(text):
        return read_split_table(songs, Path(text), options.names).found
    if options.names is not None and options.table is None:
        raise InputError(
            "--split-map says what the words of a file stand for: give --split-file or --splits FILE"
        )
    groups: dict[str, list[str]] = {}
    for song in songs:
        artist = song_key(song.artist or "") if options.by == "artist" else ""
        group = groups.setdefault(f"artist/{artist}" if artist else song.uuid, [])
        if song.uuid not in group:  # a song that is there twice counts once
            group.append(song.uuid)
    drawn = assign_groups(groups, parse_shares(text), options.seed)
    return {song.name: drawn[song.uuid] for song in songs}


def _are_shares(splits: str) -> bool:
    return "," in splits and not os.path.exists(splits)


def _own(songs: Sequence[Song]) -> dict[str, str]:
    if without := [song.name for song in songs if song.split is None]:
        raise InputError(
            f"splits folders: {some(without)} {'lies' if len(without) == 1 else 'lie'} in no folder called "
            f"{', '.join(SPLIT_FOLDERS)}; draw splits (--splits {DEFAULT_SPLITS}) or give them in a file"
        )
    return {song.name: song.split for song in songs if song.split is not None}


def _refuse_leaks(songs: Sequence[Song], found: Mapping[str, str]) -> None:
    first: dict[str, Song] = {}
    for song in songs:
        other = first.setdefault(song.uuid, song)
        if found[other.name] != found[song.name]:
            raise InputError(
                f"{other.name} ({found[other.name]}) and {song.name} ({found[song.name]}) are the same song by their "
                "names, in two splits. Give both the same split, or rename one"
            )


def _notes(songs: Sequence[Song], found: Mapping[str, str], options: SplitOptions) -> list[str]:
    notes = []
    splits: dict[str, dict[str, str]] = {}
    for song in songs:
        if song.artist and found[song.name] in SPLITS:
            splits.setdefault(song_key(song.artist), {})[found[song.name]] = song.artist
    both = sorted(next(iter(names.values())) for names in splits.values() if len(names) > 1)
    if both:
        notes.append(
            f"{len(both)} artist{'s' * (len(both) > 1)} {'are' if len(both) > 1 else 'is'} in more than one split: {some(both)}"
        )
    if options.table is None and (options.splits is None or _are_shares(options.splits)):
        shares = dict(zip(SPLITS, parse_shares(options.splits or DEFAULT_SPLITS), strict=True))
        empty = [split for split in SPLITS if shares[split] and split not in found.values()]
        if songs and empty:
            notes.append(
                f"{' and '.join(empty)} got no song: there are too few songs or artists; --split-by song splits artists"
            )
    drawn = options.splits is None or _are_shares(options.splits)
    if drawn and options.table is None and songs and own_splits(songs) and options.splits is not None:
        notes.append("splits were drawn, but the data set has its own; --splits folders keeps them")
    return notes
