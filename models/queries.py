"""Drawing a query afresh: the same node in another song."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slakh_hier.hierarchy import DEFAULT_SALIENCE_DB
from slakh_hier.models.selection import Selection
from slakh_hier.plan.candidates import Salience
from slakh_hier.plan.other_songs import OtherSongs
from slakh_hier.shards.read import ShardSet


class QueryPool:
    """Clips in which one node can be heard alone.

    Parameters
    ----------
    clips
        Numbers in the shard set.
    songs
        A number for each song, of every clip in the shard set.
    """

    def __init__(self, clips: NDArray[np.int64], songs: NDArray[np.int64]):
        self._songs = songs
        self._clips = OtherSongs(clips, songs[clips])

    def draw(self, clip: int, rng: np.random.Generator) -> int | None:
        """A clip of another song than that of ``clip``, each with equal chance; None where there is none."""
        song = int(self._songs[clip])
        others = self._clips.count(song)
        return self._clips.pick(song, int(rng.integers(others))) if others else None


def query_pools(shards: ShardSet, selection: Selection, mask: str | None) -> dict[int, QueryPool]:
    """A pool for each target of a QBE selection, by column.

    A clip serves as a query when the node is salient in it and, under ``mask``, available.
    """
    assert selection.query_column is not None
    songs, _ = pd.factorize(shards.clips["song"])
    usable = _salience(shards).found(shards.rms, shards.rms[:, 0])
    if mask is not None:
        usable &= shards.mask(mask)
    return {
        int(column): QueryPool(np.flatnonzero(usable[:, column]), songs.astype(np.int64))
        for column in np.unique(selection.query_column)
    }


def _salience(shards: ShardSet) -> Salience:
    """From which level a node sounds, like every clip's target: as the shards say, else the paper's threshold."""
    made = shards.index.parameters
    numbers = {name: value for name, value in made.items() if isinstance(value, int | float)}
    if "salience_below_mix" in numbers:
        return Salience(float(numbers["salience_below_mix"]), below_mix=True)
    return Salience(float(numbers.get("salience_db", DEFAULT_SALIENCE_DB)))
