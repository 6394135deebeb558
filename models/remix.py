"""Mixtures of several songs: which clips the parts of a mixture come from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from slakh_hier.models.selection import Selection

NOTHING = -1


class Part(NamedTuple):
    """A part of a mixture: one signal of a clip less another one.

    ``place`` is the clip's in the selection. Signals count as 0 for the mixture, then the levels, finest first;
    :data:`NOTHING` is silence.
    """

    place: int
    signal: int
    less: int


class Remix:
    """Cuts mixtures into parts, and draws clips that the parts come from.

    The parts are what each available level adds to the available one below it, and the rest of the mixture. All but the
    lowest source come from clips with the same target, so that the rest never holds it, in which the ground truth that the
    part is made of is available. The lowest source is the clip's own: it is the clip that was drawn, and goes with its query.

    Parameters
    ----------
    selection
        The clips of the training.
    probability
        That a mixture is recombined.
    """

    def __init__(self, selection: Selection, probability: float):
        self._selection, self._probability = selection, probability
        self._targets = selection.finest
        self._alike = {int(node): np.flatnonzero(self._targets == node) for node in np.unique(self._targets)}
        self._pools: dict[tuple[int, tuple[int, ...]], NDArray[np.int64]] = {}

    def draw(self, place: int, rng: np.random.Generator) -> list[Part]:
        """The parts of a clip's mixture: one for each level, finest first, and the rest."""
        target = int(self._targets[place])
        recombined = rng.random() < self._probability
        parts: list[Part] = []
        lower: list[int] = []  # the available level below
        for level, available in enumerate([*self._selection.available[place].tolist(), True]):
            if not available:
                parts.append(Part(place, NOTHING, NOTHING))
                continue
            rest = level == len(self._selection.levels)
            pool = (
                self._pool(target, (*lower, *([] if rest else [level]))) if recombined and lower else [place]
            )
            donor = int(pool[rng.integers(len(pool))])
            parts.append(Part(donor, 0 if rest else 1 + level, 1 + lower[0] if lower else NOTHING))
            lower = [level]
        return parts

    def _pool(self, target: int, levels: tuple[int, ...]) -> NDArray[np.int64]:
        """Clips of a target whose ground truth is available at these levels."""
        if (target, levels) not in self._pools:
            alike = self._alike[target]
            self._pools[target, levels] = alike[self._selection.available[alike][:, list(levels)].all(1)]
        return self._pools[target, levels]
