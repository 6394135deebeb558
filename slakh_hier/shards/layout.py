"""Which clips lie in which shard: a function of the plan and the render options, known before any decoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from slakh_hier.hierarchy import Column
from slakh_hier.plan.membership import distinct_signals


@dataclass(frozen=True)
class ShardPlan:
    """One shard to be: clips ``first`` to ``first + count - 1`` of a split, and an upper bound of its bytes."""

    split: str
    number: int
    first: int
    count: int
    bytes: int

    @property
    def name(self) -> str:
        return f"{self.split}-{self.number:05d}"

    @property
    def file(self) -> str:
        return f"{self.name}.h5"


def shard_layout(
    clips: pd.DataFrame,
    usable: Mapping[str, pd.DataFrame],
    columns: Sequence[Column],
    clip_bytes_per_signal: int,
    shard_mb: float,
) -> list[ShardPlan]:
    """Cut the clips of every split into shards of at most ``shard_mb`` MB (one clip at least).

    Parameters
    ----------
    clips
        The plan's clips, sorted.
    usable
        Catalog rows whose audio enters mixtures, by track.
    clip_bytes_per_signal
        Bytes of one stored signal.
    """
    signals = {track: distinct_signals(stems, columns) for track, stems in usable.items()}
    limit = shard_mb * 1e6
    shards: list[ShardPlan] = []
    for split, part in clips.groupby("split", sort=False):
        has_query = part["query_track"].ne("").to_numpy()
        sizes = (part["track"].map(signals).to_numpy() + has_query) * clip_bytes_per_signal
        first, total, number = 0, 0, 0
        for index, size in enumerate([*sizes.tolist(), None]):
            if size is None or (index > first and total + size > limit):
                if index > first:
                    shards.append(ShardPlan(str(split), number, first, index - first, int(total)))
                first, total, number = index, 0, number + 1
            total += size or 0
    return shards
