"""What a plan is asked for: checked before any work starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from slakh_hier.errors import InputError
from slakh_hier.hierarchy import Hierarchy
from slakh_hier.plan.candidates import Grid
from slakh_hier.plan.energy import HOPS_PER_SECOND
from slakh_hier.plan.layout import SPLITS
from slakh_hier.wording import did_you_mean

DEFAULT_CLIPS = {"train": 10_000, "validation": 5_000, "test": 3_000}
"""The paper's numbers."""
MAX_SECONDS = 3600


@dataclass(frozen=True)
class Parameters:
    """Parameters of a plan.

    Attributes
    ----------
    target
        The finest node that every clip shows (one path, SSS); None draws among all finest nodes.
    clips
        How many clips to draw, by split.
    clip_seconds, step
        Length of a clip and distance of candidate starts, s; multiples of the half-second hop.
    salience_db
        RMS in dBFS above which a node counts as sounding.
    queries
        Draw a query for each clip.
    seed
        Another seed, another draw.
    """

    target: str | None = None
    clips: Mapping[str, int] = field(default_factory=lambda: dict(DEFAULT_CLIPS))
    clip_seconds: float = 10.0
    step: float = 2.5
    salience_db: float = -30.0
    queries: bool = True
    seed: int = 588

    def check(self, hierarchy: Hierarchy) -> None:
        """Raise :class:`InputError` for values that cannot be used with this tree."""
        for name, value in (("clip length", self.clip_seconds), ("step", self.step)):
            if not 0 < value <= MAX_SECONDS or value * HOPS_PER_SECOND != int(value * HOPS_PER_SECOND):
                raise InputError(
                    f"the {name} must be a multiple of 0.5 s above 0 and up to {MAX_SECONDS} s, not {value:g} s"
                )
        if not -200 <= self.salience_db <= 0:
            raise InputError(
                f"the salience threshold must lie between -200 and 0 dBFS, not {self.salience_db:g}"
            )
        for split, count in self.clips.items():
            if split not in SPLITS:
                raise InputError(f"no clips can be drawn for {split!r}: {did_you_mean(split, SPLITS)}")
            if count < 0:
                raise InputError(f"the number of clips for {split} must be 0 or more, not {count}")
        if not any(self.clips.values()):
            raise InputError("no clips were asked for; write for example train=100,validation=20,test=20")
        if self.target is not None:
            hierarchy.finest(self.target)

    @property
    def grid(self) -> Grid:
        """The same in half-second hops."""
        return Grid(
            int(self.clip_seconds * HOPS_PER_SECOND), int(self.step * HOPS_PER_SECOND), self.salience_db
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for YAML and digests."""
        return {
            **asdict(self),
            "clips": {split: self.clips[split] for split in SPLITS if split in self.clips},
        }


def parse_clips(text: str) -> dict[str, int]:
    """Read ``train=10000,validation=5000,test=3000``."""
    clips: dict[str, int] = {}
    for item in text.split(","):
        split, equals, number = (part.strip() for part in item.partition("="))
        if not equals or not number.isascii() or not number.isdigit():
            raise InputError(
                f"clips are written train=10000,validation=5000,test=3000; {item.strip()!r} is not"
            )
        if split in clips:
            raise InputError(f"clips names the split {split} twice")
        clips[split] = int(number)
    return clips
