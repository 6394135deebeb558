"""Data reduction: which training clips lose their ground truth, as a function of (seed, clip) alone.

``leaf:50`` withholds the ground truth of level 1 and finer in 50 % of the training clips, ``all:50`` that of
every node. A clip's rank is a hash of (seed, track, start, target), so that reductions nest: what 50 %
withholds, 90 % withholds too, and ``leaf`` and ``all`` choose the same clips.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from slakh_hier.errors import InputError
from slakh_hier.wording import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

ReductionType = Literal["leaf", "all"]
ReductionMode = Literal["exact", "bernoulli"]
DEFAULT_SEED = 588
TRAIN = "train"
LEAF_LEVEL = 1


@dataclass(frozen=True)
class Reduction:
    """How much ground truth a mask withholds.

    Attributes
    ----------
    type
        ``leaf`` withholds level 1 and finer (categories), ``all`` every node.
    percent
        Share of the training clips, 0 to 100.
    mode
        ``exact`` (default): the ``round(percent / 100 * N)`` lowest ranks of the N training clips, so that
        experiments compare equal counts. ``bernoulli``: every clip whose rank is below ``percent / 100``.
    seed
        Another seed ranks the clips differently.
    """

    type: ReductionType
    percent: float
    mode: ReductionMode = "exact"
    seed: int = DEFAULT_SEED

    def __post_init__(self) -> None:
        for what, value, known in (
            ("type", self.type, get_args(ReductionType)),
            ("mode", self.mode, get_args(ReductionMode)),
        ):
            if value not in known:
                raise InputError(f"a reduction has no {what} {value!r}: {did_you_mean(str(value), known)}")
        if not (math.isfinite(self.percent) and 0 <= self.percent <= 100):
            raise InputError(f"a reduction's percentage must lie between 0 and 100, not {self.percent:g}")
        object.__setattr__(self, "percent", float(self.percent))

    @classmethod
    def parse(cls, text: str, *, mode: ReductionMode = "exact", seed: int = DEFAULT_SEED) -> Self:
        """Read ``leaf:50`` or ``all:12.5``.

        Raises
        ------
        InputError
            The text is not TYPE:PERCENT, or a part of it is out of range.
        """
        kind, colon, number = text.strip().partition(":")
        try:
            percent = float(number)
        except ValueError:
            percent = math.nan
        if not colon or math.isnan(percent):
            raise InputError(f"a mask is written TYPE:PERCENT, as in leaf:50 or all:90, not {text!r}")
        return cls(kind, percent, mode, seed)  # type: ignore[arg-type]  # checked by __post_init__

    @property
    def name(self) -> str:
        """Name in shards and files: ``leaf-50`` for ``leaf:50``."""
        return f"{self.type}-{self.percent:.12g}"


def rank(seed: int, track: str, start: float, target: str) -> float:
    """A clip's rank in [0, 1): the higher the percentage, the higher the ranks that are withheld.

    It is the leading 53 bits of the first eight bytes (big-endian) of the BLAKE2b digest of the UTF-8 text
    ``SEED/TRACK/START/TARGET``, START in seconds with six decimals, divided by 2**53.
    """
    text = f"{seed}/{track}/{start:.6f}/{target}"
    first = int.from_bytes(hashlib.blake2b(text.encode()).digest()[:8], "big")
    return (first >> 11) / 2**53  # 53 bits: a float64 holds them exactly, so that the result stays below 1


def withheld(reduction: Reduction, clips: pd.DataFrame) -> NDArray[np.bool_]:
    """Which clips lose ground truth; only training clips do.

    Parameters
    ----------
    clips
        All clips of the set, columns ``split, track, start, target`` (exact mode counts the training clips).

    Returns
    -------
    bool, shape (clips,)
    """
    train = (clips["split"] == TRAIN).to_numpy(dtype=bool)
    ranks = np.full(len(clips), np.inf)
    ranks[train] = [
        rank(reduction.seed, track, start, target)
        for track, start, target in zip(
            clips["track"][train], clips["start"][train], clips["target"][train], strict=True
        )
    ]
    if reduction.mode == "bernoulli":
        return ranks < reduction.percent / 100
    chosen = np.zeros(len(clips), dtype=bool)
    chosen[np.argsort(ranks, kind="stable")[: withheld_count(reduction, int(train.sum()))]] = True
    return chosen


def withheld_count(reduction: Reduction, train_clips: int) -> int:
    """How many of ``train_clips`` an exact reduction withholds: rounded, half to even."""
    return round(reduction.percent * train_clips / 100)


def availability(
    reduction: Reduction, withheld: NDArray[np.bool_], levels: NDArray[np.int8]
) -> NDArray[np.bool_]:
    """Ground truth that is available: the mask as it lies in a shard.

    Parameters
    ----------
    withheld
        From :func:`withheld`, bool, shape (clips,).
    levels
        Level of every rendered node (mix: the highest), int8, shape (nodes,).

    Returns
    -------
    bool, shape (clips, nodes), True = available. It says nothing of what sounds: a node that the track does
    not have is available too, since its ground truth is known.
    """
    hit = np.ones(len(levels), dtype=bool) if reduction.type == "all" else np.asarray(levels) <= LEAF_LEVEL
    return ~(withheld[:, None] & hit[None, :])
