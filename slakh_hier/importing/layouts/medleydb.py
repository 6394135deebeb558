"""MedleyDB: a folder per song with its stems, raws and mix, and a metadata file that names the instruments.

Facts: github.com/marl/medleydb (MIT: resources/artist_index.json, taxonomy.yaml, ERRATA.md; mix.py for the coefficients).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from slakh_hier import safe_yaml
from slakh_hier.errors import InputError, SongError, TextError
from slakh_hier.importing.layouts.contract import Layout, LayoutOptions
from slakh_hier.importing.layouts.parts import (
    absence,
    file_names,
    folder_named,
    folders,
    song_key,
    source_file,
    source_stem,
    text_of,
    unknown,
    uuid_of,
)
from slakh_hier.importing.layouts.tables import errata, instrument, shared_songs
from slakh_hier.importing.songs import shown_name
from slakh_hier.importing.sources import Listing, Song, SourceStem
from slakh_hier.plain_files import read_plain

METADATA = "_METADATA.yaml"
MAIN_SYSTEM = "main_system"
"""The room's recording of everything: as a stem it doubles the whole mix."""
_PLACES = ("Audio", "V1", "V2")
_METADATA_PLACES = ("Metadata", "medleydb/data/Metadata")
_STEM = re.compile("STEM_[0-9]+")
_ARTISTS = {
    "BrandonWebster_DontHearAThing": "Caitlin Michelle Remmel & Benjamin Hood",
    "BrandonWebster_YesSirICanFly": "Cameron-Mitchell Ware & Sergi Casanelles",
    "Debussy_LenfantProdigue": "NYU Male Singer 1",
    "Handel_TornamiAVagheggiar": "NYU Female Singer 1",
    "LizNelson_Coldwar": "Liz Nelson & Jennifer Davies",
    "LizNelson_Rainfall": "Liz Nelson & Jennifer Davies",
    "Mozart_BesterJungling": "NYU Female Singer 1",
    "Mozart_DiesBildnis": "NYU Male Singer 1",
    "Schubert_Erstarrung": "NYU Male Singer 1",
    "Schumann_Mignon": "NYU Female Singer 1",
    "Wolf_DieBekherte": "NYU Female Singer 1",
}
"""Who plays, where it is not who the id begins with (artist_index.json)."""


class MedleyDB(Layout):
    """Family > group > instrument; stems, not raws."""

    name = "medleydb"
    title = "MedleyDB"
    tree = "medleydb"
    shape = "Audio (or V1 and V2) with a folder <id> per song, and in it <id>_STEMS"
    options = frozenset({"metadata", "mixing_coefficients", "main_system"})

    def is_root(self, folder: Path) -> bool:
        if any(_has_songs(folder_named(folder, place)) for place in _PLACES):
            return True
        return _has_songs(folder) and folder.name.casefold() != "audio"

    def why_not(self, folder: Path) -> str | None:
        if not any(name.endswith(METADATA) for name in file_names(folder)):
            return None
        return (
            f"{folder} is MedleyDB's metadata without the audio: give the folder that holds Audio, and this one with "
            f"--metadata {folder}"
        )

    def songs(self, root: Path, options: LayoutOptions) -> Listing:
        named = [folder_named(root, place) for place in _PLACES]
        places = [place for place in named if _has_songs(place)] or [root]
        around = [root, root.parent] if root.name in _PLACES else [root]
        beside = [folder_named(place, name) for place in around for name in _METADATA_PLACES]
        if options.metadata and not os.path.isdir(options.metadata):
            raise InputError(
                f"--metadata {options.metadata} is not a folder; it holds <id>{METADATA} for each song"
            )
        metadata = [options.metadata] if options.metadata else beside
        gains = _mixing_coefficients(options.mixing_coefficients) if options.mixing_coefficients else None
        listing = Listing()
        for folder in sorted(
            (song for place in places for song in folders(place, most=None)), key=lambda p: p.name
        ):
            if not _is_song(folder):
                if folder.parent != root:  # beside Audio are other folders
                    name = shown_name(folder.name)
                    listing.failures.append((name, f"has no folder {name}_STEMS"))
                continue
            try:
                song = _song(folder, metadata, keep_main_system=bool(options.main_system))
                listing.songs.append(song if gains is None else _with_gains(song, gains))
            except SongError as error:
                listing.failures.append((shown_name(folder.name), str(error)))
        listing.notes += shared_songs((song.id for song in listing.songs), "MUSDB18")
        if gains is None and listing.songs:
            listing.notes.append(
                "the mixes are not the plain sums of the stems: --mixing-coefficients FILE (mixing_coefficients_version2.yaml of "
                "MedleyDB's repository) comes closer to them"
            )
        return listing


def _has_songs(folder: Path) -> bool:
    return any(_is_song(child) for child in folders(folder))


def _is_song(folder: Path) -> bool:
    return os.path.isdir(folder / f"{folder.name}_STEMS")


def _song(folder: Path, metadata: list[Path], *, keep_main_system: bool) -> Song:
    id = folder.name
    about = _read(id, [folder, *metadata])
    bleeds = about.get("has_bleed") == "yes"
    stem_folder = f"{id}_STEMS"
    faults = errata("medleydb").get(song_key(id), ())
    stems: list[SourceStem] = []
    missing: list[tuple[str, str]] = []
    remarks: list[str] = []
    there = set(file_names(folder / stem_folder))
    for number, entry in _entries(about):
        file = f"{id}_STEM_{number:02d}.wav"
        words = entry.get("instrument")
        words = [word for word in (words if isinstance(words, list) else [words]) if isinstance(word, str)]
        if not words:
            raise SongError(f"{id}{METADATA}: the stem S{number:02d} has no instrument")
        if len(words) > 1:
            remarks.append(f"S{number:02d} is {' and '.join(words)}: taken as {words[0]}")
        found = instrument(words[0])
        if found is None:
            remarks.append(f"S{number:02d}: {words[0]!r} is not in the taxonomy")
            found = unknown(words[0])
        if found.path[-1] == MAIN_SYSTEM and not keep_main_system:
            there.discard(file)
            remarks.append(f"S{number:02d} is the whole room (Main System), and left out")
            continue
        if file not in there:
            missing.append((f"{stem_folder}/{file}", f"is listed in {id}{METADATA} and not there"))
            continue
        there.discard(file)
        known = [fault for fault in faults if fault.stem == f"STEM_{number:02d}"]
        place = f"{stem_folder}/{file}"
        stems.append(source_stem(folder, place, found, words[0], bleed=bleeds, faults=known))
    if not stems:
        raise SongError("none of its stems is there" if missing else "it has no stem but the whole room")
    if strays := sorted(name for name in there if _STEM.search(name)):
        remarks.append(f"not in its metadata and not taken: {', '.join(map(shown_name, strays))}")
    mix = f"{id}_MIX.wav"
    return Song(
        shown_name(id),
        uuid_of(id),
        tuple(stems),
        None if absence(folder / mix) else source_file(folder, mix),
        id=shown_name(id),
        title=text_of(about.get("title")),
        artist=_artist(id, text_of(about.get("artist"))),
        genre=text_of(about.get("genre")),
        missing=tuple(missing),
        remarks=tuple(remarks),
    )


def _artist(id: str, given: str | None) -> str:
    """Who plays, as artist_index.json groups songs: splits go by it, and the metadata's own artist is often a label."""
    if id in _ARTISTS:
        return _ARTISTS[id]
    prefix, _, title = id.partition("_")
    if prefix == "MusicDelta":  # session musicians; each song counts as an artist, the Chinese ones together
        return "Music Delta Chinese" if title.startswith("Chinese") else f"Music Delta ({title})"
    return given if given and song_key(given) == song_key(prefix) else shown_name(prefix)


def _read(id: str, places: list[Path]) -> Mapping[str, Any]:
    for place in places:
        path = place / f"{id}{METADATA}"
        if absence(path) is None:
            return _load(path)
    raise SongError(
        f"{id}{METADATA} is neither beside it nor in {places[1]}; --metadata names the folder (medleydb/data/Metadata of "
        "MedleyDB's repository)"
    )


def _load(path: Path) -> Mapping[str, Any]:
    try:
        found = safe_yaml.load(read_plain(path, safe_yaml.MAX_BYTES, links=True), path.name)
    except OSError as error:
        raise SongError(f"{path.name}: {error.strerror}") from error
    except TextError as error:
        raise SongError(str(error)) from error
    if not isinstance(found, dict) or not isinstance(found.get("stems"), dict):
        raise SongError(f"{path.name}: has no stems")
    return found


def _entries(about: Mapping[str, Any]) -> list[tuple[int, Mapping[str, Any]]]:
    entries = []
    for key, entry in about["stems"].items():
        number = re.fullmatch("S([0-9]{1,3})", str(key))
        if number is None or not isinstance(entry, dict):
            raise SongError(f"its metadata hold {shown_name(str(key))[:40]!r} in place of a stem")
        entries.append((int(number[1]), entry))
    return sorted(entries, key=lambda item: item[0])


def _mixing_coefficients(path: Path) -> Mapping[str, Mapping[int, float]]:
    """Gain by song and stem: the coefficients set by hand, else the mean of the two estimates."""
    try:
        content = safe_yaml.load(read_plain(path, safe_yaml.MAX_BYTES, links=True), str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    found: dict[str, Mapping[int, float]] = {}
    wrong = "it is not a mapping"
    try:
        for id, entry in content.items():
            wrong = f"{shown_name(str(id))[:60]} is not written so, or has a gain that is not above 0"
            found[str(id)] = _gains(entry)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: is not a file of mixing coefficients (<id>: {{audio: {{1: 0.9}}, stft: {{1: 0.8}}}}): {wrong}"
        ) from error
    return found


def _gains(entry: Mapping[str, Any]) -> Mapping[int, float]:
    if manual := entry.get("manual"):
        found = {int(stem): float(gain) for stem, gain in manual.items()}
    else:
        audio, stft = entry["audio"], entry["stft"]
        found = {int(stem): (float(gain) + float(stft[stem])) / 2 for stem, gain in audio.items()}
    if not all(0 < gain < 1000 for gain in found.values()):
        raise ValueError(f"a gain is not above 0: {found}")
    return found


def _with_gains(song: Song, gains: Mapping[str, Mapping[int, float]]) -> Song:
    mine = gains.get(song.id)
    if mine is None:
        return replace(
            song, remarks=(*song.remarks, "has no mixing coefficients: its stems are taken as they are")
        )
    numbers = [int(stem.name.rpartition("_")[2].partition(".")[0]) for stem in song.stems]
    if lacking := [number for number in numbers if number not in mine]:
        raise SongError(f"the mixing coefficients have none for its stem {lacking[0]}")
    stems = (replace(stem, gain=mine[number]) for stem, number in zip(song.stems, numbers, strict=True))
    return replace(song, stems=tuple(stems))
