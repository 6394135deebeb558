"""Tables of facts about data sets, each a CSV file beside this module."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import resources

from slakh_hier.importing.layouts.parts import Erratum, Label, label, song_key


@cache
def taxonomy() -> Mapping[str, Label]:
    """MedleyDB's labels (MedleyDB 2.0, with URMP's ``saxophone``) by the instrument as :func:`label` writes it."""
    return {
        label(row["instrument"]): Label(
            tuple(label(row[level]) for level in ("family", "group", "instrument") if row[level]),
            _program(row),
        )
        for row in rows("taxonomy.csv")
    }


@cache
def moisesdb_types() -> Mapping[tuple[str, str], Label]:
    """MoisesDB's types by stem and :func:`type_key`."""
    return {
        (row["stem"], type_key(row["type"])): Label((row["stem"], row["label"]), _program(row))
        for row in rows("moisesdb.csv")
    }


def type_key(text: str) -> str:
    """A type without what stands in brackets, of which there are several spellings."""
    return song_key(text.partition("(")[0])


def instrument(name: str) -> Label | None:
    """MedleyDB's labels for an instrument, however it is written; None for one that it does not have."""
    return taxonomy().get(label(name))


@cache
def errata(layout: str) -> Mapping[str, tuple[Erratum, ...]]:
    """Known faults by :func:`song_key`."""
    found: dict[str, tuple[Erratum, ...]] = {}
    for row in rows("errata.csv"):
        if row["layout"] == layout:
            key = song_key(row["song"])
            erratum = Erratum(row["stem"], f"{row['fault']} ({row['source']})", row["bleed"] == "yes")
            found[key] = (*found.get(key, ()), erratum)
    return found


def shared_songs(names: Iterable[str], other: str) -> list[str]:
    """Notes on a listing of MUSDB18 or MedleyDB: how many of these songs the other one of them has too."""
    shared = sum(song_key(name) in in_musdb_and_medleydb() for name in names)
    if not shared:
        return []
    return [f"{shared} of these songs are in {other} too: train on neither what is tested in the other"]


@cache
def in_musdb_and_medleydb() -> frozenset[str]:
    """The :func:`song_key` of songs that are in MUSDB18 and in MedleyDB."""
    return frozenset(song_key(row["medleydb"]) for row in rows("musdb_of_medleydb.csv"))


def rows(name: str) -> list[dict[str, str]]:
    """The rows of a table."""
    text = resources.files("slakh_hier.importing.layouts").joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _program(row: Mapping[str, str]) -> int | None:
    return int(row["program"]) if row["program"] else None
