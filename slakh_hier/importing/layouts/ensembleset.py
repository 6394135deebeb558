"""EnsembleSet: a folder per piece, and in it one per microphone, each with all instruments again.

Facts: Zenodo 6519024; github.com/claritychallenge/clarity (recipes/cad2/task2: pieces are taken from one microphone).
"""

from __future__ import annotations

import re
from pathlib import Path

from slakh_hier.importing.layouts.contract import Layout, LayoutOptions
from slakh_hier.importing.layouts.parts import file_names, folders, source_file, source_stem, unknown, uuid_of
from slakh_hier.importing.layouts.tables import instrument
from slakh_hier.importing.songs import shown_name
from slakh_hier.importing.sources import Listing, Song
from slakh_hier.wording import some

INSTRUMENTS = {
    "Violin": "violin",
    "Viola": "viola",
    "Cello": "cello",
    "Bass": "double bass",
    "Flute": "flute",
    "Clarinet": "clarinet",
    "Oboe": "oboe",
    "Bassoon": "bassoon",
    "Horn": "french horn",
    "Trumpet": "trumpet",
    "Timpani": "timpani",
}
"""Names of files, and MedleyDB's labels for them."""
MICROPHONE = "Mix_1"
"""A mix of several microphones, which the Cadenza challenge takes."""
_MICROPHONE = re.compile(
    "(Mix_[0-9]|Close|Tree|Amb|Balcony|Floor|Out|Outr|Sides|Mids|Mono|Atmos[FR]|Sp[A-Z]).*",
    re.IGNORECASE,
)
_FILE = re.compile(r"(?P<instrument>[A-Za-z]+)(_[0-9]+)?\.(flac|wav)", re.IGNORECASE)


class EnsembleSet(Layout):
    """Families, groups and instruments as MedleyDB has them; one microphone, never two."""

    name = "ensembleset"
    title = "EnsembleSet"
    tree = "medleydb"
    shape = "a folder per piece, with a folder per microphone that holds Violin_1.flac and so on"
    options = frozenset({"microphone"})

    def is_root(self, folder: Path) -> bool:
        return any(_microphones(piece) for piece in folders(folder))

    def songs(self, root: Path, options: LayoutOptions) -> Listing:
        microphone = options.microphone or MICROPHONE
        listing = Listing()
        for piece in folders(root, most=None):
            name = shown_name(piece.name)
            there = _microphones(piece)
            if found := next((each for each in there if each.casefold() == microphone.casefold()), None):
                listing.songs.append(_song(piece, name, found))
            elif there:
                others = some(there, most=8)
                listing.failures.append(
                    (name, f"has no microphone {microphone}: --microphone takes one of {others}")
                )
        return listing


def _microphones(piece: Path) -> list[str]:
    return [
        folder.name
        for folder in folders(piece)
        if _MICROPHONE.fullmatch(folder.name) and _instruments(folder)
    ]


def _instruments(folder: Path) -> dict[str, str]:
    """MedleyDB's label by file."""
    matches = ((name, _FILE.fullmatch(name)) for name in file_names(folder))
    words = {name: found["instrument"].capitalize() for name, found in matches if found}
    return {name: INSTRUMENTS[word] for name, word in words.items() if word in INSTRUMENTS}


def _song(piece: Path, name: str, microphone: str) -> Song:
    folder = piece / microphone
    instruments = _instruments(folder)
    stems = tuple(
        source_stem(piece, f"{microphone}/{file}", instrument(word) or unknown(word), word)
        for file, word in instruments.items()
    )
    others = [file for file in file_names(folder) if _FILE.fullmatch(file) and file not in instruments]
    mix = next((file for file in others if file.lower().startswith("mix")), None)
    strays = [shown_name(file) for file in others if file != mix]
    elsewhere = {file for place in _microphones(piece) for file in _instruments(piece / place)}
    return Song(
        name,
        uuid_of("ensembleset", name),
        stems,
        source_file(piece, f"{microphone}/{mix}") if mix else None,
        id=name,
        title=name,
        missing=tuple(
            (f"{microphone}/{file}", "is with another microphone and not there")
            for file in sorted(elsewhere - instruments.keys())
        ),
        remarks=(f"not taken, since no instrument is called so: {some(strays)}",) if strays else (),
    )
