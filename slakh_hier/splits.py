"""The splits, and which songs go to which: by what a song is, so that no song is in two, and by one seed."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence

from slakh_hier.errors import InputError

SPLITS = ("train", "validation", "test")
OMITTED = "omitted"
"""Songs that are kept aside, as Slakh2100 does with doubled ones."""
DEFAULT_SHARES = (75.0, 15.0, 10.0)
_PAIR = 2
"""A query is drawn from another song of its split: a split of one song has none."""


def parse_shares(text: str) -> tuple[float, float, float]:
    """Percentages written ``75,15,10`` (train, validation, test); raises InputError, as :func:`check_shares`."""
    try:
        return check_shares([float(share) for share in text.split(",")])
    except ValueError:
        raise InputError(
            f"splits are three percentages for {', '.join(SPLITS)}, as 75,15,10; not {text!r}"
        ) from None


def check_shares(shares: Sequence[float]) -> tuple[float, float, float]:
    """Three percentages, train, validation and test, that add up to 100; else an InputError."""
    text = ",".join(f"{share:g}" for share in shares)
    if len(shares) != len(SPLITS):
        raise InputError(f"splits are three percentages for {', '.join(SPLITS)}, as 75,15,10; not {text}")
    if not all(math.isfinite(share) and share >= 0 for share in shares) or not math.isclose(sum(shares), 100):
        raise InputError(f"the splits {text} are not three percentages that add up to 100")
    return float(shares[0]), float(shares[1]), float(shares[2])


def assign_splits(songs: Iterable[str], shares: Sequence[float], seed: int) -> dict[str, str]:
    """The split of every song, given by its identity (32 hex digits).

    The distinct songs are ordered by a hash of (seed, song) and cut at the shares, so that names and order of the
    files do not matter. Where there are songs enough, every split that has a share gets at least two.
    """
    return assign_groups({song: [song] for song in set(songs)}, shares, seed)


def assign_groups(groups: Mapping[str, Sequence[str]], shares: Sequence[float], seed: int) -> dict[str, str]:
    """The split of every song, where songs of a group (an artist's) stay together; a song is in one group only.

    Groups are ordered by a hash of (seed, group). From its end the smaller splits take those that their shares have room
    for, the smallest first; the largest split takes the rest.

    Parameters
    ----------
    groups
        Songs by their group.
    """
    waiting = sorted(
        groups, key=lambda group: hashlib.blake2b(f"{seed}/{group}".encode()).digest(), reverse=True
    )
    room = dict(zip(SPLITS, _counts(sum(map(len, groups.values())), shares), strict=True))
    *smaller, largest = sorted(SPLITS, key=lambda split: (room[split], -SPLITS.index(split)))
    split_of: dict[str, str] = {}
    for split in smaller:
        left = []
        for group in waiting:
            if len(groups[group]) <= room[split]:
                room[split] -= len(groups[group])
                split_of.update(dict.fromkeys(groups[group], split))
            else:
                left.append(group)
        waiting = left
    split_of.update((song, largest) for group in waiting for song in groups[group])
    return split_of


def _counts(total: int, shares: Sequence[float]) -> list[int]:
    """Whole numbers by largest remainders, then songs moved from the largest split to those too small."""
    quotas = [total * share / 100 for share in shares]
    counts = [math.floor(quota + 1e-9) for quota in quotas]
    by_remainder = sorted(range(len(quotas)), key=lambda i: counts[i] - quotas[i])
    for i in by_remainder[: total - sum(counts)]:
        counts[i] += 1
    used = [i for i, share in enumerate(shares) if share > 0]
    least = min(_PAIR, total // len(used))
    for i in used:
        while counts[i] < least:
            counts[counts.index(max(counts))] -= 1
            counts[i] += 1
    return counts
