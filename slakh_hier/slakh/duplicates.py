"""The same audio in more than one split, whatever the songs are called."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from hashlib import md5
from typing import TYPE_CHECKING

from slakh_hier.slakh.content import UNKNOWN
from slakh_hier.splits import SPLITS
from slakh_hier.wording import some

if TYPE_CHECKING:
    import pandas as pd

Place = tuple[str, str]
"""Split and track."""
_SAMPLE_BYTES = (1, 2, 3, 4)
_BLOCK = bytes(1 << 20)


def shared_audio(frame: pd.DataFrame) -> Counter[tuple[Place, ...]]:
    """Tracks of several splits that hold stems of the same samples, and how many; silence does not count.

    Parameters
    ----------
    frame
        A catalog's table; stems whose content is not known take no part.
    """
    columns = ["split", "track", "content", "frames", "channels"]
    rows = frame[(frame["content"] != UNKNOWN) & frame["split"].isin(SPLITS)]
    rows = rows[rows["content"].isin(rows["content"][rows["content"].duplicated()])]
    places: dict[str, set[Place]] = defaultdict(set)
    lengths: dict[str, int] = {}
    for split, track, content, frames, channels in rows[columns].itertuples(index=False, name=None):
        places[content].add((split, track))
        lengths[content] = frames * channels
    silent = {length: _silences(length) for length in set(lengths.values())}
    return Counter(
        tuple(sorted(found, key=lambda place: (SPLITS.index(place[0]), place[1])))
        for content, found in places.items()
        if len({split for split, _ in found}) > 1 and content not in silent[lengths[content]]
    )


def describe_shared(shared: Mapping[tuple[Place, ...], int]) -> str:
    """One sentence that names the first few tracks, and what to do."""
    named = [
        f"{' and '.join(f'{track} ({split})' for split, track in places)}: {count} stem{'s' * (count > 1)}"
        for places, count in sorted(shared.items())
    ]
    return f"the same audio lies in more than one split: {some(named, '; ')}; move such tracks into one split"


def _silences(samples: int) -> set[str]:
    """MD5 of so many zeros, by the bytes of a sample."""
    found = set()
    for width in _SAMPLE_BYTES:
        digest, left = md5(usedforsecurity=False), samples * width
        while left > 0:
            digest.update(_BLOCK[:left])
            left -= len(_BLOCK)
        found.add(digest.hexdigest())
    return found
