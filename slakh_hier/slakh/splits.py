"""Virtual splits and errata of Slakh2100, found by song, so that a renamed track keeps them."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from slakh_hier.errors import InputError
from slakh_hier.slakh.layout import NO_SPLIT
from slakh_hier.wording import counted, did_you_mean, some

SCHEMES = ("orig", "split2", "redux", "folders")
FOLDERS = "folders"
ABSENT = "absent_on_disk"
"""The erratum of a stem that some copies of Slakh2100 have no file for: noted, but not a fault."""

_LEAK_FREE = frozenset({NO_SPLIT, "omitted"})


@dataclass(frozen=True)
class SlakhTrack:
    """A line of the published split lists: name, MIDI md5 (the song), split by scheme."""

    track: str
    song: str
    splits: Mapping[str, str]


@dataclass(frozen=True)
class Erratum:
    """A known fault of a stem; ``exclude`` says whether it is left out by default."""

    track: str
    stem: str
    defect: str
    exclude: bool
    source: str


@dataclass(frozen=True, slots=True)
class Identity:
    """Which of Slakh2100's tracks a track of the data set is, with the others that it cannot be distinguished from.

    ``tracks`` is empty where the song is not Slakh's. Several tracks share a song in 308 cases; then the name
    tells them apart, and where it does not, all are candidates.
    """

    tracks: tuple[SlakhTrack, ...]

    @property
    def known(self) -> bool:
        return bool(self.tracks)


def check_scheme(scheme: str) -> str:
    """Return ``scheme``, or raise InputError with the nearest right name."""
    if scheme not in SCHEMES:
        raise InputError(f"no split scheme is called {scheme!r}: {did_you_mean(scheme, SCHEMES)}")
    return scheme


def identify(track: str, song: str | None) -> Identity:
    """Find a track in the published lists: by its song; by its name only where the song is not known.

    Parameters
    ----------
    track
        The folder's name.
    song
        The song's 32 hex digits, None where neither metadata nor MIDI give it.
    """
    by_name, by_song = _tables()
    if song is None:
        return Identity((by_name[track],) if track in by_name else ())
    candidates = by_song.get(song, ())
    named = tuple(candidate for candidate in candidates if candidate.track == track)
    return Identity(named or candidates)


def split_of(identity: Identity, scheme: str) -> tuple[str, bool]:
    """The split under a published scheme, and whether the lists leave a choice.

    A song that is not in the lists belongs to no split. Where candidates differ, the first by name decides.
    """
    splits = [candidate.splits[scheme] for candidate in identity.tracks]
    if not splits:
        return NO_SPLIT, False
    return splits[0], len(set(splits)) > 1


def errata_of(identity: Identity) -> dict[str, list[Erratum]]:
    """Known faults by stem id, of every track that this one may be."""
    faults: dict[str, list[Erratum]] = defaultdict(list)
    for candidate in identity.tracks:
        for erratum in _errata().get(candidate.track, ()):
            faults[erratum.stem].append(erratum)
    return dict(faults)


def find_leaks(rows: Iterable[tuple[str, str, str]]) -> list[tuple[str, dict[str, list[str]]]]:
    """Songs that lie in more than one split, from (track, song, split): song, and its tracks by split.

    Tracks without a split and omitted ones take no part.
    """
    songs: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for track, song, split in rows:
        if split not in _LEAK_FREE:
            songs[song][split].append(track)
    return [
        (song, {split: sorted(tracks) for split, tracks in by_split.items()})
        for song, by_split in sorted(songs.items())
        if len(by_split) > 1
    ]


def describe_leaks(leaks: Sequence[tuple[str, dict[str, list[str]]]], scheme: str) -> str:
    """One sentence that names the tracks of the first few leaks, and what to do."""
    named = [
        " and ".join(f"{', '.join(tracks)} ({split})" for split, tracks in by_split.items())
        for _, by_split in leaks
    ]
    if scheme in ("orig", "redux"):
        advice = "split2 keeps songs together"
    else:
        advice = "move a song's tracks into one split, in the folders or in a saved catalog"
    count = counted(len(leaks), "song lies", "songs lie")
    return f"{count} in more than one split (splits: {scheme}): {some(named, '; ')}; {advice}"


@cache
def _tables() -> tuple[dict[str, SlakhTrack], dict[str, tuple[SlakhTrack, ...]]]:
    by_name: dict[str, SlakhTrack] = {}
    by_song: dict[str, list[SlakhTrack]] = defaultdict(list)
    for row in _read("splits.csv"):
        splits = {scheme: row[scheme] for scheme in SCHEMES if scheme != FOLDERS}
        entry = SlakhTrack(row["track"], row["midi_md5"], splits)
        by_name[entry.track] = entry
        by_song[entry.song].append(entry)
    return by_name, {song: tuple(entries) for song, entries in by_song.items()}


@cache
def _errata() -> dict[str, list[Erratum]]:
    errata: dict[str, list[Erratum]] = defaultdict(list)
    for row in _read("errata.csv"):
        if row["stem"]:
            errata[row["track"]].append(
                Erratum(
                    row["track"],
                    row["stem"],
                    row["defect"],
                    row["default_action"] == "exclude",
                    row["source"],
                )
            )
    return errata


def _read(name: str) -> list[dict[str, str]]:
    text = resources.files("slakh_hier.slakh").joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))
