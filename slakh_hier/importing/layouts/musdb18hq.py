"""MUSDB18-HQ: ``train`` and ``test`` with a folder per song, four stems and the mixture.

Facts: github.com/sigsep/sigsep-mus-db (configs/mus.yaml), sigsep/website (musdb.md, tracklist.csv).
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from slakh_hier.importing.layouts.contract import Layout, LayoutOptions
from slakh_hier.importing.layouts.parts import (
    Label,
    file_names,
    folder_named,
    folders,
    inside,
    song_key,
    source_file,
    source_stem,
    uuid_of,
)
from slakh_hier.importing.layouts.tables import errata, shared_songs
from slakh_hier.importing.songs import STEM_MP4, shown_name, unpacking
from slakh_hier.importing.sources import Listing, Song

STEMS = {"vocals": None, "drums": 128, "bass": 33, "other": None}
"""The four, with General MIDI's program."""
MIXTURE = "mixture"
VALIDATION = frozenset(
    song_key(name)
    for name in (
        "Actions - One Minute Smile",
        "Alexander Ross - Goodbye Bolero",
        "ANiMAL - Rockshow",
        "Clara Berry And Wooldog - Waltz For My Victims",
        "Fergessen - Nos Palpitants",
        "James May - On The Line",
        "Johnny Lokke - Promises & Lies",
        "Leaf - Summerghost",
        "Meaxic - Take A Step",
        "Patrick Talbot - A Reason To Leave",
        "Skelpolu - Human Mistakes",
        "Traffic Experiment - Sirens",
        "Triviul - Angelsaint",
        "Young Griffo - Pennies",
    )
)
"""Songs of the folder ``train`` that validate by convention."""
_SPLITS = ("train", "test")
_DERIVED = frozenset({"accompaniment", "linear_mixture", "instrumental"})
"""Sums that some tools leave beside the stems."""
_SUFFIXES = (".wav", ".flac")


class Musdb18HQ(Layout):
    """Vocals, and drums, bass and other under ``accompaniment``."""

    name = "musdb18hq"
    title = "MUSDB18-HQ"
    tree = "musdb"
    shape = "the folders train and test, with a folder per song that holds vocals.wav, drums.wav and so on"

    def is_root(self, folder: Path) -> bool:
        return any(
            set(STEMS) <= set(_stems(song))
            for split in _SPLITS
            for song in islice(folders(folder_named(folder, split)), 3)
        )

    def why_not(self, folder: Path) -> str | None:
        for place in (folder, *inside(folder)):
            name = next((name for name in file_names(place) if name.lower().endswith(STEM_MP4)), None)
            if name is not None:
                return f"{place}: {unpacking(shown_name(name))}"
        return None

    def songs(self, root: Path, options: LayoutOptions) -> Listing:
        listing = Listing()
        for split in _SPLITS:
            found = list(folders(folder_named(root, split), most=None))
            if not found:
                listing.notes.append(
                    f"{root} has no songs in a folder {split} that can be read: those of the data set are missing"
                )
            for folder in found:
                files = _stems(folder)
                name = shown_name(folder.name)
                if set(files) & set(STEMS):
                    listing.songs.append(_song(folder, name, split, files))
                else:
                    listing.failures.append(
                        (name, f"holds none of {', '.join(f'{stem}.wav' for stem in STEMS)}")
                    )
        listing.songs.sort(key=lambda song: song.name)
        listing.notes += shared_songs((song.name for song in listing.songs), "MedleyDB")
        return listing


def _song(folder: Path, name: str, split: str, files: dict[str, str]) -> Song:
    artist, dash, title = name.partition(" - ")
    key = song_key(name)
    faults = errata("musdb18hq").get(key, ())
    stems = []
    for stem, program in STEMS.items():
        if stem in files:
            labels = (stem,) if stem == "vocals" else ("accompaniment", stem)
            known = [fault for fault in faults if fault.stem == stem]
            kind = Label(labels, program)
            stems.append(source_stem(folder, files[stem], kind, stem, bleed=False, faults=known))
    others = set(files) - {*STEMS, MIXTURE, *_DERIVED}
    remarks = [f"its mixture: {fault.fault}" for fault in faults if fault.stem == MIXTURE]
    if others:
        remarks.append(f"not taken: {', '.join(files[other] for other in sorted(others))}")
    return Song(
        name,
        uuid_of(name),
        tuple(stems),
        source_file(folder, files[MIXTURE]) if MIXTURE in files else None,
        id=name,
        title=title if dash else name,
        artist=artist if dash else None,
        split="validation" if split == "train" and key in VALIDATION else split,
        missing=tuple(
            (f"{stem}.wav", "is one of the four stems and not there") for stem in STEMS if stem not in files
        ),
        remarks=tuple(remarks),
    )


def _stems(folder: Path) -> dict[str, str]:
    """The song's files by their names without suffix, in lower case."""
    found: dict[str, str] = {}
    for name in file_names(folder):
        stem, dot, suffix = name.lower().rpartition(".")
        if f"{dot}{suffix}" in _SUFFIXES:
            found.setdefault(stem, name)
    return found
