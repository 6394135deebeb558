"""What nodes of stereo tracks lose when they are folded down to mono, which the sides of their stems tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from slakh_hier.hierarchy import Column
from slakh_hier.plan.activity_file import TrackActivity
from slakh_hier.plan.energy import submix_energy, total_gram
from slakh_hier.plan.membership import column_membership

HEAVY_LOSS_DB: Final = 6.0
"""Sources that are panned to one side, or whose channels have nothing in common, lose 3 dB; more is lost where the channels
are opposed to each other."""


@dataclass(frozen=True)
class FoldingLoss:
    """A node that loses more than :data:`HEAVY_LOSS_DB` of its level in some tracks."""

    node: str
    tracks: int
    """Tracks in which the node sounds."""
    heavy: int
    """Those in which it loses so much."""
    worst_db: float | None
    worst_track: str
    """``worst_db`` and ``worst_track``: the greatest loss, dB, and where it is; None: nothing is left."""


class FoldingLosses:
    """Losses over many tracks, added one after another.

    Parameters
    ----------
    columns
        The nodes.
    """

    def __init__(self, columns: Sequence[Column]):
        self._columns = columns
        self._tracks = np.zeros(len(columns), int)
        self._heavy = np.zeros(len(columns), int)
        self._worst = np.full(len(columns), HEAVY_LOSS_DB)
        self._worst_track = [""] * len(columns)

    def add(self, track: str, stems: pd.DataFrame, activity: TrackActivity) -> None:
        """Add a track; ``stems`` are the catalog rows of those that make up its mixture."""
        index = [activity.stems.index(stem) for stem in stems["stem"]]
        members = column_membership(stems, self._columns)
        parts = [part.of_stems(index) for part in activity.moments]
        whole, mid = (
            submix_energy(gram.sum(axis=0)[None], members)[0] for gram in (total_gram(parts), parts[0].gram)
        )
        self._tracks += whole > 0
        with np.errstate(divide="ignore", invalid="ignore"):
            losses = np.where(whole > 0, 10 * np.log10(whole / mid), 0.0)
        self._heavy += losses > HEAVY_LOSS_DB
        for place in np.flatnonzero(losses > self._worst):
            self._worst[place], self._worst_track[place] = losses[place], track

    def heavy(self) -> tuple[FoldingLoss, ...]:
        """The nodes that lose much in at least one track."""
        return tuple(
            FoldingLoss(
                node=column.name,
                tracks=int(self._tracks[place]),
                heavy=int(self._heavy[place]),
                worst_db=round(float(self._worst[place]), 1) if np.isfinite(self._worst[place]) else None,
                worst_track=self._worst_track[place],
            )
            for place, column in enumerate(self._columns)
            if self._heavy[place]
        )
