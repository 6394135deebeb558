"""Songs that two imported data sets share, by their identities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from slakh_hier.errors import InputError
from slakh_hier.paths import StrPath
from slakh_hier.plain_files import parse_json, read_plain
from slakh_hier.wording import some

RECORD = "import.json"
_MAX_BYTES = 256 << 20


def shared_songs(songs: Mapping[str, str], others: Sequence[StrPath]) -> list[str]:
    """A note for each other data set that holds songs of this one.

    Layouts take the letters and digits of artist and title, in lower case, as a song's identity, so that the same recording has
    the same in all of them.

    Parameters
    ----------
    songs
        Name by UUID.
    others
        Folders that ``import`` made.

    Raises
    ------
    InputError
        A folder is not a data set that ``import`` made.
    """
    notes = []
    for other in others:
        there = _uuids(Path(other))
        both = sorted(name for uuid, name in songs.items() if uuid in there)
        if both:
            notes.append(
                f"{len(both)} of these songs are in {other} too: {some(both, most=3)}. Do not train on one what the other tests"
            )
    return notes


def _uuids(folder: Path) -> set[str]:
    path = folder / RECORD
    try:
        tracks = parse_json(read_plain(path, _MAX_BYTES))["tracks"]
        return {str(track["UUID"]) for track in tracks}
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or "is damaged"
        raise InputError(
            f"{path}: {reason}. Give the folder of a data set that `slakh-hier import` made"
        ) from error
