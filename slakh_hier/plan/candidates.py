"""Where every finest node is salient: the windows from which clips and queries are drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slakh_hier.hierarchy import Hierarchy
from slakh_hier.plan.activity_file import TrackActivity
from slakh_hier.plan.energy import (
    HOPS_PER_SECOND,
    hop_edge,
    mixture_si_sdr,
    rms_dbfs,
    submix_energy,
    window_sums,
)


@dataclass(frozen=True)
class Grid:
    """Length of a clip, distance of candidate starts, and the level from which a node counts as sounding.

    Attributes
    ----------
    clip_hops, step_hops
        In half-second hops.
    salience_db
        RMS over the clip in dBFS; a node is salient above it.
    """

    clip_hops: int
    step_hops: int
    salience_db: float


@dataclass(frozen=True)
class Windows:
    """Salient windows of one track: an entry for each (finest node, window) in which the node is salient.

    Arrays, and not a table for each track: a table's own memory is many times that of what a short track holds.

    Attributes
    ----------
    node : int16 (windows,)
        Index among the finest nodes.
    hop : int32 (windows,)
        First hop.
    companion : bool (windows,)
        Another finest node under the same top node is salient too; in a one-level tree any other.
    mix_si_sdr : float32 (windows, levels)
        SI-SDR of the mixture against the node's ancestor at each level, finest first, dB.
    """

    node: NDArray[np.int16]
    hop: NDArray[np.int32]
    companion: NDArray[np.bool_]
    mix_si_sdr: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.node)


def membership(stems: pd.DataFrame, nodes: list[tuple[str, int]]) -> NDArray[np.bool_]:
    """Which stems sound in which node: (nodes, stems), for catalog rows and (name, level) pairs."""
    # As lists: comparing pandas' columns takes 7 ms a track when all nodes are rendered, 20 times as long.
    names = {
        level: stems["category" if level == 0 else f"level_{level}"].tolist()
        for level in {n[1] for n in nodes}
    }
    rows = [[found == name for found in names[level]] for name, level in nodes]
    return np.array(rows, bool).reshape(len(nodes), len(stems))


def track_candidates(
    activity: TrackActivity, stems: pd.DataFrame, hierarchy: Hierarchy, grid: Grid
) -> Windows:
    """Salient windows of one track.

    Parameters
    ----------
    stems
        Catalog rows of the stems that make up the mixture.
    """
    finest = hierarchy.level_nodes(1)
    index = [activity.stems.index(stem) for stem in stems["stem"]]
    hops = activity.frames * HOPS_PER_SECOND // activity.sample_rate
    frames = int(stems["frames"].max())
    hops = min(hops, frames * HOPS_PER_SECOND // activity.sample_rate)
    first = np.arange(0, hops - grid.clip_hops + 1, grid.step_hops, dtype=np.int64)
    gram = window_sums(activity.gram[:, index][:, :, index], first, grid.clip_hops)
    sums = window_sums(activity.sums[:, index], first, grid.clip_hops)
    samples = hop_edge(grid.clip_hops, activity.sample_rate)
    energy = submix_energy(gram, membership(stems, [(name, 1) for name in finest]))
    salient = rms_dbfs(energy, samples) > grid.salience_db
    window, node = np.nonzero(salient)
    mix = np.empty((len(node), hierarchy.levels), np.float32)
    for level in range(1, hierarchy.levels + 1):
        nodes = hierarchy.level_nodes(level)
        si_sdr = mixture_si_sdr(gram, sums, samples, membership(stems, [(name, level) for name in nodes]))
        ancestor = np.array([nodes.index(hierarchy.path(name)[level - 1]) for name in finest], np.intp)
        mix[:, level - 1] = si_sdr[window, ancestor[node]]
    return Windows(
        node.astype(np.int16),
        first[window].astype(np.int32),
        _companions(salient, hierarchy)[window, node],
        mix,
    )


def windows_table(tracks: Sequence[str], songs: Sequence[str], found: Sequence[Windows]) -> pd.DataFrame:
    """One row a window of many tracks, in their order: some 30 bytes each.

    Parameters
    ----------
    tracks, songs
        Of each of ``found``.

    Returns
    -------
    ``track`` and ``song`` (categorical), ``node, hop, companion``, and ``mix_si_sdr_L`` for each level L; without a
    track no row and no level.
    """
    counts = [len(windows) for windows in found]
    numbers, names = pd.factorize(np.array(songs, object), sort=True)

    def repeated(codes: NDArray[np.intp], categories: Sequence[str]) -> pd.Categorical[str]:
        return pd.Categorical.from_codes(np.repeat(codes, counts), pd.Index(categories))

    def joined(name: str) -> NDArray[Any]:
        return np.concatenate([getattr(windows, name) for windows in found]) if found else np.empty(0, int)

    mix = joined("mix_si_sdr")
    levels = mix.shape[1] if mix.ndim == 2 else 0
    return pd.DataFrame(
        {
            "track": repeated(np.arange(len(tracks)), list(tracks)),
            "song": repeated(numbers, list(names)),
            **{name: joined(name) for name in ("node", "hop", "companion")},
            **{f"mix_si_sdr_{level + 1}": mix[:, level] for level in range(levels)},
        }
    )


def _companions(salient: NDArray[np.bool_], hierarchy: Hierarchy) -> NDArray[np.bool_]:
    """(windows, finest): is another finest node of the same family salient in the window?"""
    finest = hierarchy.level_nodes(1)
    family = ["" if hierarchy.levels == 1 else hierarchy.top(name) for name in finest]
    same = np.array([[a == b for b in family] for a in family])
    return np.asarray(salient.astype(np.int32) @ same.astype(np.int32) - salient > 0)
