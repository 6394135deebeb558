"""Where every finest node is salient: the windows from which clips and queries are drawn."""

from __future__ import annotations

from dataclasses import dataclass

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
) -> pd.DataFrame:
    """Salient windows of one track.

    Parameters
    ----------
    stems
        Catalog rows of the stems that make up the mixture.

    Returns
    -------
    One row a (finest node, window) in which the node is salient: ``node`` (index among the finest nodes), ``hop``
    (first hop), ``companion`` (another finest node under the same top node is salient too; in a one-level tree any
    other), and ``mix_si_sdr_L`` for each level L: SI-SDR of the mixture against the node's ancestor there, dB.
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
    table = pd.DataFrame(
        {
            "node": node.astype(np.int16),
            "hop": first[window].astype(np.int32),
            "companion": _companions(salient, hierarchy)[window, node],
        }
    )
    for level in range(1, hierarchy.levels + 1):
        nodes = hierarchy.level_nodes(level)
        si_sdr = mixture_si_sdr(gram, sums, samples, membership(stems, [(name, level) for name in nodes]))
        ancestor = np.array([nodes.index(hierarchy.path(name)[level - 1]) for name in finest], np.intp)
        table[f"mix_si_sdr_{level}"] = si_sdr[window, ancestor[node]].astype(np.float32)
    return table


def _companions(salient: NDArray[np.bool_], hierarchy: Hierarchy) -> NDArray[np.bool_]:
    """(windows, finest): is another finest node of the same family salient in the window?"""
    finest = hierarchy.level_nodes(1)
    family = ["" if hierarchy.levels == 1 else hierarchy.top(name) for name in finest]
    same = np.array([[a == b for b in family] for a in family])
    return np.asarray(salient.astype(np.int32) @ same.astype(np.int32) - salient > 0)
