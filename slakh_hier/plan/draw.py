"""Drawing clips and queries from the salient windows: a function of the candidates and one seed.

Orders come from hashes of (seed, what is drawn), never from a generator's state, so that every machine and every
version of NumPy draws the same clips.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slakh_hier.hierarchy import Companion
from slakh_hier.plan.energy import HOPS_PER_SECOND
from slakh_hier.plan.other_songs import OtherSongs

_COMPANIONS: dict[Companion, str] = {"family": "no other node of its family", "any": "no other node"}


@dataclass(frozen=True)
class NodeReport:
    """What a node had to offer in one split, and what was drawn."""

    split: str
    node: str
    level: int
    """Of the node."""
    windows: int
    """Windows in which the node is salient."""
    alone: int
    """Those kept out because the companion that is asked for is not salient."""
    candidates: int
    """The others, where there is a query if one is asked for."""
    songs: int
    """Songs with a salient window."""
    drawn: int
    """Clips in the plan."""
    reason: str
    """Why not more, in words; empty when nothing held the drawing back."""


@dataclass(frozen=True)
class Drawn:
    """Clips drawn in one split: rows of the candidate table in the order of drawing, and their queries."""

    rows: NDArray[np.int64]
    queries: NDArray[np.int64]
    reports: list[NodeReport]


def draw_split(
    table: pd.DataFrame,
    targets: Mapping[str, int],
    *,
    split: str,
    count: int,
    queries: bool,
    seed: int,
    companion: Companion = "family",
    artists: Mapping[str, str | None] | None = None,
) -> Drawn:
    """Draw ``count`` clips of one split without replacement.

    A level is drawn uniformly, since coarse levels have few nodes, then a node of it, then one of its clips; levels and
    nodes without clips left are out. The query of a clip is a salient window of the same node in
    another song, drawn uniformly.

    Parameters
    ----------
    table
        Candidates of the split: ``track, song, node, hop, companion``.
    targets
        The level of each node that may be drawn; ``node`` in the table counts in them.
    companion
        The rule that the table's column of that name was made by: for the reports.
    artists
        By track, where they are known: a query is then of another artist, not only of another song. None: of any.

    Returns
    -------
    Row numbers in ``table`` of clips and of queries (-1 without), and a report for every target.
    """
    columns = _Columns.of(table, artists)
    pools = [
        _Pool(columns, number, name, level, queries, seed)
        for number, (name, level) in enumerate(targets.items())
    ]
    with_clips = [
        [pool for pool in pools if pool.level == level and len(pool.order)]
        for level in sorted(set(targets.values()))
    ]
    levels = [level for level in with_clips if level]
    rows: list[int] = []
    while levels and len(rows) < count:
        chosen = _hash(seed, "draw", split, len(rows))
        level = levels[chosen % len(levels)]
        pool = level[chosen // len(levels) % len(level)]
        rows.append(pool.take())
        if pool.taken == len(pool.order):
            level.remove(pool)
            levels = [level for level in levels if level]
    drawn = np.array(rows, np.int64)
    found = [pools[columns.node[row]].query(row) if queries else -1 for row in rows]
    kin = "song" if artists is None else "artist"
    reports = [pool.report(split, count, companion, kin) for pool in pools]
    return Drawn(drawn, np.array(found, np.int64), reports)


@dataclass(frozen=True)
class _Columns:
    """The candidate table's columns as arrays: names once, and their numbers for each row."""

    node: NDArray[np.int16]
    hop: NDArray[np.int32]
    companion: NDArray[np.bool_]
    song: NDArray[Any]  # integers, in the order of the songs' names
    kin: NDArray[Any]  # integers: no query comes from the same one; the song, or its artist
    track: NDArray[Any]  # integers
    tracks: list[str]

    @classmethod
    def of(cls, table: pd.DataFrame, artists: Mapping[str, str | None] | None) -> _Columns:
        track, song = (table[name].astype("category").cat for name in ("track", "song"))
        kin = song.codes.to_numpy()
        if artists is not None:
            songs = dict(zip(table["track"], table["song"], strict=True))
            known = [
                f"artist {who}"
                if isinstance(who := artists.get(name), str) and who
                else f"song {songs.get(name)}"
                for name in track.categories
            ]
            kin = pd.factorize(np.array(known, object))[0][track.codes.to_numpy()]
        return cls(
            node=table["node"].to_numpy(),
            hop=table["hop"].to_numpy(),
            companion=table["companion"].to_numpy(bool),
            song=song.codes.to_numpy(),
            kin=kin,
            track=track.codes.to_numpy(),
            tracks=[str(name) for name in track.categories],
        )


class _Pool:
    """The windows of one node in one split."""

    def __init__(self, columns: _Columns, node: int, name: str, level: int, queries: bool, seed: int):
        self.columns, self.name, self.level, self.seed = columns, name, level, seed
        # 32 bits: the pools together have a row for every window of the split.
        rows = np.flatnonzero(columns.node == node).astype(np.int32)
        self.windows = OtherSongs(rows, columns.kin[rows])
        self.songs = len(np.unique(columns.song[rows]))
        accompanied = rows[columns.companion[rows]]
        self.accompanied = len(accompanied)
        drawable = accompanied if not queries or len(self.windows.songs) > 1 else accompanied[:0]
        keys = np.fromiter((self._key(row, "clip") for row in drawable), np.uint64, len(drawable))
        self.order = drawable[np.argsort(keys, kind="stable")]
        self.taken = 0

    def take(self) -> int:
        """The next window that is drawn."""
        self.taken += 1
        return int(self.order[self.taken - 1])

    def query(self, row: int) -> int:
        """A window of another song or artist, uniformly."""
        kin = int(self.columns.kin[row])
        return self.windows.pick(kin, self._key(row, "query") % self.windows.count(kin))

    def report(self, split: str, asked: int, companion: Companion, kin: str) -> NodeReport:
        reason = ""
        alone = len(self.windows) - self.accompanied
        if len(self.windows) == 0:
            reason = "no window in which it is loud enough"
        elif self.accompanied == 0:
            reason = f"{_COMPANIONS[companion]} sounds with it"
        elif len(self.order) == 0:
            reason = f"1 {kin} only, so that no query can be drawn"
        elif self.taken == len(self.order) and self.taken < asked:
            reason = "all its clips are drawn"
        return NodeReport(
            split,
            self.name,
            self.level,
            len(self.windows),
            alone,
            len(self.order),
            self.songs,
            self.taken,
            reason,
        )

    def _key(self, row: int, purpose: str) -> int:
        start = self.columns.hop[row] / HOPS_PER_SECOND
        track = self.columns.tracks[self.columns.track[row]]
        return _hash(self.seed, purpose, clip_text(track, start, self.name))


def clip_text(track: str, start: float, target: str) -> str:
    """A clip as hashes know it: ``TRACK/START/TARGET``, START in seconds with six decimals."""
    return f"{track}/{start:.6f}/{target}"


def _hash(*parts: object) -> int:
    text = "/".join(map(str, parts))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
