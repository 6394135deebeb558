"""What each term of the loss counts: weights of levels and nodes, from a configuration."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from slakh_hier.errors import InputError
from slakh_hier.models.registry import LossOptions
from slakh_hier.models.selection import Selection
from slakh_hier.shards.read import ShardSet
from slakh_hier.wording import did_you_mean


def term_weights(shards: ShardSet, selection: Selection, loss: LossOptions) -> NDArray[np.float32] | None:
    """Weight of each clip and level of a selection.

    Returns
    -------
    array or None
        float32, (clips, levels), finest first: the level's weight times that of the node that is the target there; 0 at levels
        below a clip's target, which are not terms of the loss. None: all are 1.

    Raises
    ------
    InputError
        The configuration weighs a level or a node that the shards do not have.
    """
    if not loss.level_weights and not loss.node_weights and selection.there.all():
        return None
    names = [node.name for node in shards.nodes]
    _refuse_unknown("loss.node_weights", loss.node_weights, names, str(shards.folder))
    levels = list(map(str, selection.levels))
    _refuse_unknown("loss.level_weights", {str(x): 1.0 for x in loss.level_weights}, levels, "the training")
    by_node = np.array([loss.node_weights.get(name, 1.0) for name in names], np.float32)
    by_level = np.array([loss.level_weights.get(level, 1.0) for level in selection.levels], np.float32)
    weights: NDArray[np.float32] = by_node[selection.columns] * by_level * selection.there
    return weights


def _refuse_unknown(key: str, weights: Mapping[str, float], known: list[str], where: str) -> None:
    for name in weights:
        if name not in known:
            raise InputError(f"{key}: {where} has no {name}; {did_you_mean(name, known)}")
