"""One clip of a shard set: its signals by node, how they stand, and how a notebook shows and plays it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from slakh_hier.display import player
from slakh_hier.errors import InputError
from slakh_hier.hierarchy import MIX
from slakh_hier.shards.format import ABSENT, SILENT

if TYPE_CHECKING:
    from IPython.display import Audio

    from slakh_hier.shards.read import ShardSet

State = Literal["sounding", "silent", "absent"]


class Clip:
    """One clip: its signals by node name, its states, its masks. Every access reads afresh; keep what you need.

    Attributes
    ----------
    shards : ShardSet
    number : int
        Place in the set.
    """

    __slots__ = ("number", "shards")

    def __init__(self, shards: ShardSet, number: int):
        self.shards, self.number = shards, number

    def __repr__(self) -> str:
        return f"<Clip {self.number}: {self.split}, {self.track} at {self.start:g} s, target {self.target}>"

    def _repr_html_(self) -> str | None:
        return player(self)

    def keys(self) -> tuple[str, ...]:
        """The names of the nodes, mix first."""
        return tuple(column.name for column in self.shards.nodes)

    def __contains__(self, node: object) -> bool:
        return node in self.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.shards.nodes)

    def _ipython_key_completions_(self) -> list[str]:
        return list(self.keys())

    def __getitem__(self, node: str) -> NDArray[np.float32]:
        """A node's signal: float32, shape (channels, samples); zeros where it is silent or absent."""
        return self.shards.audio(self.number, node)

    @property
    def mix(self) -> NDArray[np.float32]:
        """The mixture: float32, shape (channels, samples)."""
        return self.shards.audio(self.number, 0)

    @property
    def query(self) -> NDArray[np.float32] | None:
        """The query, a clip of the target node from another song, or None."""
        return self.shards.query(self.number)

    def play(self, node: str = MIX) -> Audio:
        """A player of a node, for a notebook: at the clip's own level.

        Raises
        ------
        InputError
            There is no such node, or IPython is not installed, which notebooks bring.
        """
        if find_spec("IPython") is None:
            raise InputError("clip.play is for notebooks: it needs IPython (pip install ipython)")
        from IPython.display import Audio

        return Audio(self[node], rate=self.sample_rate, normalize=False)

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.shards.sample_rate

    @property
    def split(self) -> str:
        return self._text("split")

    @property
    def track(self) -> str:
        return self._text("track")

    @property
    def song(self) -> str:
        return self._text("song")

    @property
    def target(self) -> str:
        """The node that the clip was drawn for."""
        return self._text("target")

    @property
    def start(self) -> float:
        """Where the clip begins in its track, s."""
        return float(self.shards.clips["start"].to_numpy()[self.number])

    @property
    def query_track(self) -> str | None:
        return self._text("query_track") or None

    @property
    def query_start(self) -> float | None:
        """Where the query begins in its track, s."""
        start = float(self.shards.clips["query_start"].to_numpy()[self.number])
        return None if math.isnan(start) else start

    def state(self, node: str) -> State:
        """``sounding``, ``silent`` (every sample is zero) or ``absent`` (the track has no such stem)."""
        row = self.shards.row[self.number, self.shards.node(node)]
        return "absent" if row == ABSENT else "silent" if row == SILENT else "sounding"

    def rms(self, node: str) -> float:
        """RMS of a node, dBFS: -inf where silent, NaN where absent."""
        return float(self.shards.rms[self.number, self.shards.node(node)])

    def available(self, mask: str | None = None) -> dict[str, bool]:
        """Whether ground truth is available for each node under a mask; without a mask it is for all."""
        names = self.keys()
        if mask is None:
            return dict.fromkeys(names, True)
        return dict(zip(names, self.shards.mask(mask)[self.number].tolist(), strict=True))

    def _text(self, column: str) -> str:
        return str(self.shards.clips[column].iat[self.number])
