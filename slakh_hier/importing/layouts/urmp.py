"""URMP: a folder per piece with the recording of each player, beside notes, scores and videos.

Facts: the data set's own description (44 pieces, 13 instruments, 48 kHz, 24 bits).
"""

from __future__ import annotations

import re
from pathlib import Path

from slakh_hier.importing.layouts.contract import Layout, LayoutOptions
from slakh_hier.importing.layouts.parts import file_names, folders, source_file, source_stem, unknown, uuid_of
from slakh_hier.importing.layouts.tables import instrument
from slakh_hier.importing.songs import shown_name
from slakh_hier.importing.sources import Listing, Song

INSTRUMENTS = {
    "vn": "violin",
    "va": "viola",
    "vc": "cello",
    "db": "double bass",
    "fl": "flute",
    "ob": "oboe",
    "cl": "clarinet",
    "sax": "saxophone",
    "bn": "bassoon",
    "tpt": "trumpet",
    "hn": "french horn",
    "tbn": "trombone",
    "tba": "tuba",
}
"""Abbreviations in names, and MedleyDB's labels for them."""
_PIECE = re.compile(r"[0-9]+_(?P<title>[^_]+)(?P<players>(_[a-z]+)+)")
_PLAYER = re.compile(r"AuSep_(?P<place>[0-9]+)_(?P<instrument>[a-z]+)_.*\.(wav|flac)", re.IGNORECASE)
_MIX = re.compile(r"AuMix_.*\.(wav|flac)", re.IGNORECASE)


class Urmp(Layout):
    """Families, groups and instruments as MedleyDB has them."""

    name = "urmp"
    title = "URMP"
    tree = "medleydb"
    shape = "a folder per piece, as 01_Jupiter_vn_vc, with files AuSep_1_vn_01_Jupiter.wav in it"

    def is_root(self, folder: Path) -> bool:
        return any(_PIECE.fullmatch(child.name) and _players(child) for child in folders(folder))

    def songs(self, root: Path, options: LayoutOptions) -> Listing:
        listing = Listing()
        for folder in folders(root, most=None):
            name = shown_name(folder.name)
            if _players(folder):
                listing.songs.append(_song(folder, name))
            elif _PIECE.fullmatch(folder.name):
                listing.failures.append((name, "holds no AuSep_*.wav, the recording of a player"))
        return listing


def _song(folder: Path, name: str) -> Song:
    found = _PIECE.fullmatch(folder.name)
    title = shown_name(found["title"]) if found else name
    listed = found["players"].split("_") if found else []
    stems, remarks = [], []
    players = _players(folder)
    there = {place for place, _ in players.values()}
    for file, (place, word) in players.items():
        told = listed[place] if 0 < place < len(listed) else word
        # 15_Surprise_tpt_tpt_tbn calls its trombone tpt.
        if told != word and {told, word} <= INSTRUMENTS.keys():
            remarks.append(f"{shown_name(file)}: taken as {told}, by the name of its folder")
            word = told
        kind = instrument(INSTRUMENTS.get(word, ""))
        if kind is None:
            remarks.append(f"{shown_name(file)}: no instrument is known as {word}")
            kind = unknown(word)
        text = INSTRUMENTS.get(word, word)
        stems.append(source_stem(folder, file, kind, text))
    mix = next((file for file in file_names(folder) if _MIX.fullmatch(file)), None)
    return Song(
        name,
        # The number is an index: two pieces of one title may be the same music, and then belong into one split.
        uuid_of("urmp", title),
        tuple(stems),
        source_file(folder, mix) if mix else None,
        id=name,
        title=title,
        missing=tuple(
            (f"AuSep_{place}_{word}_*.wav", "is a player in the name of the folder and not there")
            for place, word in enumerate(listed)
            if place and place not in there
        ),
        remarks=tuple(remarks),
    )


def _players(folder: Path) -> dict[str, tuple[int, str]]:
    """The player's place, from 1, and the abbreviation of the instrument, by file."""
    matches = ((name, _PLAYER.fullmatch(name)) for name in file_names(folder))
    return {name: (int(found["place"]), found["instrument"].lower()) for name, found in matches if found}
