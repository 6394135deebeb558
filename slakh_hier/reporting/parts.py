"""Signals of a tree as sums of parts that do not overlap: without a part, a mixture is without it once and exactly."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Final, TypeVar

import numpy as np

from slakh_hier.reporting.document import Signal

ROUNDING: Final = 2**-14
"""A parent and the sum of its children may differ by so much per child: each was rounded to 16 bits."""

Key = TypeVar("Key", bound=Hashable)


def disjoint(
    signals: Mapping[Key, Signal], parents: Mapping[Key, Key | None], first: int = 0
) -> tuple[list[Signal], dict[Key, tuple[int, ...]]]:
    """The finest signals, and of every parent what its children leave of it.

    A parent is the sum of its children where all of them were rendered (not with ``--target``, which renders one path);
    else the rest of it is a part of its own.

    Parameters
    ----------
    signals
        All of one shape, children after their parents.
    parents
        The parent of each key among the keys; None: it has none.
    first
        The place that the first part will have.

    Returns
    -------
    parts
        float32, in the shape of the signals; none is silent.
    places
        By key, the places of its parts; none where it is silent.
    """
    below: dict[Key, list[Key]] = {key: [] for key in signals}
    for key, parent in parents.items():
        if parent is not None:
            below[parent].append(key)
    parts: list[Signal] = []
    places: dict[Key, tuple[int, ...]] = {}
    for key in reversed(list(signals)):
        signal, children = signals[key], below[key]
        rest = signal - np.sum([signals[child] for child in children], axis=0) if children else signal
        own = np.abs(rest).max(initial=0) > (ROUNDING * (len(children) + 1) if children else 0)
        inner = sorted(place for child in children for place in places[child])
        places[key] = (*inner, first + len(parts)) if own else tuple(inner)
        if own:
            parts.append(rest.astype(np.float32, copy=False))
    return parts, places
