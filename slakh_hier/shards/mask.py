"""Masks: which training clips lose which ground truth, as a function of (seed, clip) alone.

``leaf-50`` withholds the ground truth of level 1 and finer in 50 % of the training clips, ``all-50`` that of
every node. A clip's rank is a hash of (seed, track, start, target), so that masks nest: what 50 % withholds,
90 % withholds too, and all kinds choose the same clips.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from slakh_hier.errors import InputError
from slakh_hier.plan.draw import clip_text
from slakh_hier.wording import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from slakh_hier.hierarchy import Column

MaskMode = Literal["exact", "bernoulli"]
DEFAULT_SEED: Final = 588
TRAIN: Final = "train"
_TEXT: Final = re.compile(r"\s*(?P<kind>[A-Za-z][\w-]*?)[-:](?P<percent>[0-9.]+(?:[eE][-+]?[0-9]+)?)\s*")


@dataclass(frozen=True)
class MaskKind:
    """What masks of a kind withhold."""

    withholds: Callable[[Column], bool]
    """Whether a clip without its ground truth lacks that of a node."""
    reads: str
    """The nodes that it lacks, in words."""


MASK_KINDS: dict[str, MaskKind] = {
    "leaf": MaskKind(lambda node: node.level <= 1, "level 1 and finer"),
    "all": MaskKind(lambda node: True, "every node"),
}
"""All kinds by name; a new kind is a new entry."""


@dataclass(frozen=True)
class Mask:
    """How much ground truth is withheld."""

    kind: str
    """A name in :data:`MASK_KINDS`."""
    percent: float
    """Share of the training clips, 0 to 100."""
    mode: MaskMode = "exact"
    """``exact`` (default): the ``round(percent / 100 * N)`` lowest ranks of the N training clips, so that
    experiments compare equal counts. ``bernoulli``: every clip whose rank is below ``percent / 100``."""
    seed: int = DEFAULT_SEED
    """Another seed ranks the clips differently."""

    def __post_init__(self) -> None:
        for what, value, known in (
            ("kind", self.kind, tuple(MASK_KINDS)),
            ("mode", self.mode, get_args(MaskMode)),
        ):
            if value not in known:
                raise InputError(
                    f"masks have no {what} {str(value)[:80]!r}: {did_you_mean(str(value)[:80], known)}"
                )
        if not (math.isfinite(self.percent) and 0 <= self.percent <= 100):
            raise InputError(f"a mask's percentage must lie between 0 and 100, not {self.percent:g}")
        object.__setattr__(self, "percent", float(self.percent))

    @classmethod
    def parse(cls, text: str, *, mode: MaskMode = "exact", seed: int = DEFAULT_SEED) -> Self:
        """Read ``leaf-50`` or ``all-12.5``; a colon does in place of the hyphen.

        Raises
        ------
        InputError
            The text is not KIND-PERCENT, or a part of it is out of range.
        """
        found = _TEXT.fullmatch(text)
        try:
            percent = float(found["percent"]) if found else math.nan
        except ValueError:
            percent = math.nan
        if found is None or math.isnan(percent):
            raise InputError(f"a mask is written KIND-PERCENT, as in leaf-50 or all-90, not {text[:80]!r}")
        return cls(found["kind"], percent, mode, seed)

    @property
    def name(self) -> str:
        """``leaf-50``: its name in files, options and messages."""
        return f"{self.kind}-{self.percent:.12g}"

    @property
    def reads(self) -> str:
        """The nodes whose ground truth it withholds, in words."""
        return MASK_KINDS[self.kind].reads


def mask_name(text: str) -> str:
    """A mask's name as somebody typed it: ``leaf-50``, also for ``leaf:50``."""
    return text.strip().replace(":", "-")


def rank(seed: int, track: str, start: float, target: str) -> float:
    """A clip's rank in [0, 1): the higher the percentage, the higher the ranks that are withheld.

    It is the leading 53 bits of the first eight bytes (big-endian) of the BLAKE2b digest of the UTF-8 text
    ``SEED/TRACK/START/TARGET``, START in seconds with six decimals, divided by 2**53.
    """
    text = f"{seed}/{clip_text(track, start, target)}"
    first = int.from_bytes(hashlib.blake2b(text.encode()).digest()[:8], "big")
    return (first >> 11) / 2**53  # 53 bits: a float64 holds them exactly, so that the result stays below 1


def withheld(mask: Mask, clips: pd.DataFrame) -> NDArray[np.bool_]:
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
        rank(mask.seed, track, start, target)
        for track, start, target in zip(
            clips["track"][train], clips["start"][train], clips["target"][train], strict=True
        )
    ]
    if mask.mode == "bernoulli":
        return ranks < mask.percent / 100
    chosen = np.zeros(len(clips), dtype=bool)
    chosen[np.argsort(ranks, kind="stable")[: withheld_count(mask, int(train.sum()))]] = True
    return chosen


def withheld_count(mask: Mask, train_clips: int) -> int:
    """How many of ``train_clips`` an exact mask withholds: rounded, half to even."""
    return round(mask.percent * train_clips / 100)


def availability(mask: Mask, withheld: NDArray[np.bool_], columns: Sequence[Column]) -> NDArray[np.bool_]:
    """Ground truth that is available: the mask as it lies in a shard.

    Parameters
    ----------
    withheld
        From :func:`withheld`, bool, shape (clips,).
    columns
        The rendered nodes.

    Returns
    -------
    bool, shape (clips, nodes), True = available. It says nothing of what sounds: a node that the track does
    not have is available too, since its ground truth is known.
    """
    hit = np.array([MASK_KINDS[mask.kind].withholds(column) for column in columns], bool)
    available: NDArray[np.bool_] = ~(withheld[:, None] & hit[None, :])
    return available
