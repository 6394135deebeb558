"""Tables of facts about data sets, each a CSV file beside this module."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import NamedTuple

from slakh_hier.importing.layouts.contract import label, song_key


class Label(NamedTuple):
    """What a data set's word for an instrument stands for: labels, coarse to fine, and a program (128: drums) or None."""

    path: tuple[str, ...]
    program: int | None


@dataclass(frozen=True)
class Erratum:
    """A known fault of a stem, or of a song's mixture; ``bleed``: others are heard in it."""

    stem: str
    fault: str
    bleed: bool


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
