"""Where nodes are salient: the windows from which clips and queries are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slakh_hier.hierarchy import MIX, Companion, Hierarchy
from slakh_hier.plan.activity_file import TrackActivity
from slakh_hier.plan.energy import (
    HOPS_PER_SECOND,
    hop_edge,
    mixture_si_sdr,
    rms_dbfs,
    submix_energy,
    total_gram,
)
from slakh_hier.plan.membership import membership

LEAST_DBFS = -80.0
"""Below lie dither and the noise of converters: relative to a mixture that has faded out, they would sound."""


@dataclass(frozen=True)
class Salience:
    """From which level a node counts as sounding: above ``level`` dBFS, or down to ``level`` dB below the mixture."""

    level: float
    below_mix: bool = False

    def __str__(self) -> str:
        return (
            f"down to {self.level:g} dB below the mixture" if self.below_mix else f"above {self.level:g} dBFS"
        )

    def found(self, rms: NDArray[np.floating[Any]], mix: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
        """Which nodes sound.

        Parameters
        ----------
        rms : (windows, nodes)
            dBFS; -inf is silence.
        mix : (windows,)
            Of the mixture, dBFS.
        """
        if not self.below_mix:
            return np.asarray(rms > self.level)
        return np.asarray(rms > np.maximum(mix - self.level, LEAST_DBFS)[:, None])


@dataclass(frozen=True)
class Grid:
    """Length of a clip, distance of candidate starts, and what must sound in it."""

    clip_hops: int
    step_hops: int
    """``clip_hops`` and ``step_hops``: in half-second hops."""
    salience: Salience
    """From which RMS over the clip a node is salient."""
    companion: Companion
    """Which other node of the same level must be salient too."""
    channels: int
    """Of the clips: 1 or 2."""


@dataclass(frozen=True)
class Windows:
    """Salient windows of one track: an entry for each (target, window) in which the target is salient.

    Arrays, and not a table for each track: a table's own memory is many times that of what a short track holds.
    """

    node: NDArray[np.int16]
    """Index among the targets."""
    hop: NDArray[np.int32]
    """First hop."""
    companion: NDArray[np.bool_]
    """The other node that the grid's ``companion`` asks for is salient too."""
    mix_si_sdr: NDArray[np.float32]
    """SI-SDR of the mixture against the node or its ancestor at each level, finest first, dB; NaN at levels below the node."""

    def __len__(self) -> int:
        return len(self.node)


class WindowsTable:
    """The windows of many tracks, added one after another: 7 bytes a window and 4 a level, and little for a track.

    Parameters
    ----------
    levels
        Of the tree.
    """

    def __init__(self, levels: int):
        self._levels = levels
        self._tracks: list[str] = []
        self._songs: list[str] = []
        self._counts: list[int] = []
        # Bytes and not arrays: they grow where they are, and the table is made of them without a copy.
        self._bytes = {name: bytearray() for name in _DTYPES}

    def add(self, track: str, song: str, windows: Windows) -> None:
        """Add the windows of a track."""
        self._tracks.append(track)
        self._songs.append(song)
        self._counts.append(len(windows))
        for name, dtype in _DTYPES.items():
            self._bytes[name] += getattr(windows, name).astype(dtype).tobytes()

    def frame(self) -> pd.DataFrame:
        """One row per window, in the order of the tracks; nothing can be added any more.

        Returns
        -------
        ``track`` and ``song`` (categorical), ``node, hop, companion``, and ``mix_si_sdr_L`` for each level L.
        """
        numbers, songs = pd.factorize(np.array(self._songs, object), sort=True)
        columns = {name: np.frombuffer(self._bytes[name], dtype) for name, dtype in _DTYPES.items()}
        mix = columns.pop("mix_si_sdr").reshape(-1, self._levels)
        return pd.DataFrame(
            {
                "track": self._repeated(np.arange(len(self._tracks)), self._tracks),
                "song": self._repeated(numbers, list(songs)),
                **columns,
                **{f"mix_si_sdr_{level + 1}": mix[:, level] for level in range(self._levels)},
            },
            copy=False,
        )

    def _repeated(self, codes: NDArray[np.intp], categories: list[str]) -> pd.Categorical[str]:
        each_window = np.repeat(codes.astype(np.int32), self._counts)
        return pd.Categorical.from_codes(each_window, pd.Index(categories))


_DTYPES: dict[str, type[np.generic]] = {
    "node": np.int16,
    "hop": np.int32,
    "companion": np.bool_,
    "mix_si_sdr": np.float32,
}


def track_candidates(
    activity: TrackActivity,
    stems: pd.DataFrame,
    hierarchy: Hierarchy,
    grid: Grid,
    targets: Mapping[str, int],
) -> Windows:
    """Salient windows of one track.

    Parameters
    ----------
    stems
        Catalog rows of the stems that make up the mixture.
    targets
        The level of each node whose windows are wanted.
    """
    index = [activity.stems.index(stem) for stem in stems["stem"]]
    hops = activity.frames * HOPS_PER_SECOND // activity.sample_rate
    frames = int(stems["frames"].max())
    hops = min(hops, frames * HOPS_PER_SECOND // activity.sample_rate)
    first = np.arange(0, hops - grid.clip_hops + 1, grid.step_hops, dtype=np.int64)
    parts = [part.of_stems(index).windows(first, grid.clip_hops) for part in activity.parts(grid.channels)]
    gram = total_gram(parts)
    samples = hop_edge(grid.clip_hops, activity.sample_rate)
    mix = rms_dbfs(submix_energy(gram, np.ones((1, len(index)), bool))[:, 0], samples)
    number = {name: place for place, name in enumerate(targets)}
    found = []
    for level in sorted(set(targets.values())):
        names = hierarchy.level_nodes(level)
        energy = submix_energy(gram, membership(stems, [(name, level) for name in names]))
        salient = grid.salience.found(rms_dbfs(energy, samples), mix)
        accompanied = _accompanied(salient, [_family(hierarchy, name) for name in names], grid.companion)
        numbers = np.array([number.get(name, -1) for name in names])
        window, place = np.nonzero(salient & (numbers >= 0))
        found.append((window, numbers[place], accompanied[window, place]))
    window, node, companion = (np.concatenate(column) for column in zip(*found, strict=True))
    mix_si_sdr = np.full((len(node), hierarchy.levels), np.nan, np.float32)
    for level in range(min(targets.values()), hierarchy.levels + 1):
        names = hierarchy.level_nodes(level)
        si_sdr = mixture_si_sdr(parts, samples, membership(stems, [(name, level) for name in names]))
        above = np.array(
            [
                names.index(hierarchy.path(name)[level - own]) if own <= level else -1
                for name, own in targets.items()
            ]
        )[node]
        mix_si_sdr[:, level - 1] = np.where(above >= 0, si_sdr[window, above], np.nan)
    return Windows(node.astype(np.int16), first[window].astype(np.int32), companion, mix_si_sdr)


def _family(hierarchy: Hierarchy, node: str) -> str:
    """The top node above a node; top nodes are all of one family, that of the mixture."""
    return hierarchy.top(node) if hierarchy.nodes[node].parent else MIX


def _accompanied(
    salient: NDArray[np.bool_], families: Sequence[str], companion: Companion
) -> NDArray[np.bool_]:
    """(windows, nodes of a level): is the other node that is asked for salient in the window?"""
    if companion == "none":
        return np.ones_like(salient)
    same = np.array([[companion == "any" or a == b for b in families] for a in families])
    return np.asarray(salient.astype(np.int32) @ same.astype(np.int32) - salient > 0)
