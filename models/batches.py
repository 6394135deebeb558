"""Which clips each optimizer step sees: a function of (seed, epoch, step), whatever the number of devices."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from slakh_hier.errors import InputError
from slakh_hier.models.data import Key

ORDER = 0x0B57
"""Keeps the order of clips apart from other draws of the same seed."""


class Batches:
    """Shuffled batches of an epoch, cut for accumulation and devices.

    The epoch's clips are a chain of random permutations. A step takes the next ``batch_size`` of them, cuts them
    into ``parts`` (processed one after another) and gives each of ``world`` devices every world-th clip of a part.
    So the clips of a step do not depend on how it is shared out.

    Parameters
    ----------
    clips
        Examples in the data set.
    batch_size
        Clips of a step, all parts and devices together. With fewer clips than that and without ``steps``, a step
        takes all.
    seed
        Of the order.
    steps
        Steps per epoch; None: the whole batches in one permutation.
    parts, rank, world
        Accumulated parts; this device and the number of them.
    groups
        int64, (clips,): draw as many clips of each group, whatever their number. None: each permutation holds all clips.

    Attributes
    ----------
    epoch : int
        Which epoch the next iterator belongs to.
    start : int
        Batches (steps x parts) that the next iterator leaves out, because they were done before a resumption.
    """

    def __init__(
        self,
        clips: int,
        batch_size: int,
        *,
        seed: int,
        steps: int | None = None,
        parts: int = 1,
        rank: int = 0,
        world: int = 1,
        groups: NDArray[np.int64] | None = None,
    ):
        self.clips = clips
        self._groups = None if groups is None else [np.flatnonzero(groups == x) for x in np.unique(groups)]
        if steps is None:
            batch_size = min(batch_size, clips)
        self.batch_size = batch_size // parts * parts  # parts of equal size weigh the same
        if self.batch_size < parts * world:
            raise InputError(
                f"{clips} clips are too few for {parts} accumulated parts on {world} devices: each needs one per step"
            )
        self.seed, self.steps, self.parts = seed, steps or clips // self.batch_size, parts
        self.rank, self.world = rank, world
        self.epoch = self.start = 0

    def __len__(self) -> int:
        return self.steps * self.parts

    def __iter__(self) -> Iterator[list[Key]]:
        epoch, start, self.start = self.epoch, self.start, 0
        order, passes = self._order(epoch)
        number = 0
        for step in range(self.steps):
            batch = range(step * self.batch_size, (step + 1) * self.batch_size)
            for part in np.array_split(batch, self.parts):
                if number >= start:
                    yield [Key(int(passes[at]), int(order[at])) for at in part[self.rank :: self.world]]
                number += 1

    def _order(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The epoch's chain of clips, and the number of the pass over all clips that each place belongs to."""
        rng = np.random.default_rng((self.seed, ORDER, epoch))
        if self._groups is not None:
            return self._balanced(epoch, rng)
        rounds = math.ceil(self.steps * self.batch_size / self.clips)
        order = np.concatenate([rng.permutation(self.clips) for _ in range(rounds)])
        return order, epoch * rounds + np.arange(len(order)) // self.clips

    def _balanced(self, epoch: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """:meth:`_order` in turns: one clip of each group, in a new order of groups each turn."""
        assert self._groups is not None
        turns = math.ceil(self.steps * self.batch_size / len(self._groups))
        passes = max(math.ceil(turns / len(group)) for group in self._groups)
        order = np.empty((turns, len(self._groups)), np.int64)
        number = np.empty_like(order)
        for column, group in enumerate(self._groups):
            rounds = math.ceil(turns / len(group))
            order[:, column] = np.concatenate([rng.permutation(group) for _ in range(rounds)])[:turns]
            number[:, column] = epoch * passes + np.arange(turns) // len(group)
        within = rng.permuted(np.tile(np.arange(len(self._groups)), (turns, 1)), axis=1)
        return tuple(np.take_along_axis(x, within, 1).ravel() for x in (order, number))  # type: ignore[return-value]


class InOrder:
    """All clips once, in order, for validation; each of ``world`` devices takes every world-th clip."""

    def __init__(self, clips: int, batch_size: int, *, rank: int = 0, world: int = 1):
        if clips < world:
            raise InputError(f"{clips} validation clips are too few for {world} devices")
        self.indices = list(range(rank, clips, world))
        self.batch_size = max(1, batch_size // world)

    def __len__(self) -> int:
        return math.ceil(len(self.indices) / self.batch_size)

    def __iter__(self) -> Iterator[list[Key]]:
        for begin in range(0, len(self.indices), self.batch_size):
            yield [Key(0, index) for index in self.indices[begin : begin + self.batch_size]]
