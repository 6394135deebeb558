"""What a plan is asked for: checked before any work starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, get_args

from slakh_hier.errors import InputError, check_choice
from slakh_hier.hierarchy import DEFAULT_SALIENCE_DB, Companion, Hierarchy
from slakh_hier.plan.candidates import Grid, Salience
from slakh_hier.plan.energy import HOPS_PER_SECOND
from slakh_hier.splits import SPLITS
from slakh_hier.wording import did_you_mean

DEFAULT_CLIPS = {"train": 10_000, "validation": 5_000, "test": 3_000}
"""The paper's numbers."""
MAX_SECONDS = 3600
QueryArtist = Literal["any", "different"]


@dataclass(frozen=True)
class Parameters:
    """Parameters of a plan."""

    target: str | None = None
    """The node, of any level, that every clip shows (one path, SSS); None draws among all nodes of ``query_levels``."""
    query_levels: tuple[int, ...] | None = (1,)
    """The levels of the nodes that are drawn, 1 the finest; None where ``target`` names the node."""
    clips: Mapping[str, int] = field(default_factory=lambda: dict(DEFAULT_CLIPS))
    """How many clips to draw, by split."""
    clip_seconds: float = 10.0
    step: float = 2.5
    """``clip_seconds`` and ``step``: length of a clip and distance of candidate starts, s; multiples of the half-second
    hop."""
    salience_db: float | None = DEFAULT_SALIENCE_DB
    """RMS in dBFS above which a node counts as sounding; None where it is relative to the mixture."""
    salience_below_mix: float | None = None
    """How far below the mixture's RMS a node still counts as sounding, dB; None where the threshold is absolute."""
    companion: Companion = "family"
    """Which other node of the target's level must be salient in a clip too: one under the same top node (``family``; for a
    top node any other one), ``any``, or ``none``."""
    queries: bool = True
    """Draw a query for each clip."""
    query_artist: QueryArtist = "any"
    """Whose: ``any`` artist's other song, or that of a ``different`` one, as far as artists are known."""
    channels: int = 1
    """Of the clips: 1 (stereo stems are folded down to their mid) or 2."""
    seed: int = 588
    """Another seed, another draw."""

    def __post_init__(self) -> None:
        if self.query_levels is not None:
            object.__setattr__(self, "query_levels", tuple(sorted(set(self.query_levels))))

    def check(self, hierarchy: Hierarchy) -> None:
        """Raise :class:`InputError` for values that cannot be used with this tree."""
        for name, value in (("clip length", self.clip_seconds), ("step", self.step)):
            if not 0 < value <= MAX_SECONDS or value * HOPS_PER_SECOND != int(value * HOPS_PER_SECOND):
                raise InputError(
                    f"the {name} must be a multiple of 0.5 s above 0 and up to {MAX_SECONDS} s, not {value:g} s"
                )
        if (self.salience_db is None) == (self.salience_below_mix is None):
            raise InputError(
                "salience is either absolute (dBFS) or relative to the mixture: give one of both"
            )
        if self.salience_db is not None and not -200 <= self.salience_db <= 0:
            raise InputError(
                f"the salience threshold must lie between -200 and 0 dBFS, not {self.salience_db:g}"
            )
        if self.salience_below_mix is not None and not 0 <= self.salience_below_mix <= 200:
            raise InputError(
                f"the salience threshold must lie 0 to 200 dB below the mixture, not {self.salience_below_mix:g}"
            )
        if self.channels not in (1, 2):
            raise InputError(f"clips have 1 or 2 channels, not {self.channels}")
        check_choice("companion", self.companion, get_args(Companion))
        check_choice("query_artist", self.query_artist, get_args(QueryArtist))
        for split, count in self.clips.items():
            if split not in SPLITS:
                raise InputError(f"no clips can be drawn for {split!r}: {did_you_mean(split, SPLITS)}")
            if count < 0:
                raise InputError(f"the number of clips for {split} must be 0 or more, not {count}")
        if not any(self.clips.values()):
            raise InputError("no clips were asked for; write for example train=100,validation=20,test=20")
        if (self.target is None) == (self.query_levels is None):
            raise InputError("clips are of one target, or of nodes of the query levels: give one of both")
        if self.query_levels == ():
            raise InputError("no query level was chosen: write for example 1,2")
        for level in self.query_levels or ():
            if level not in range(1, hierarchy.levels + 1):
                raise InputError(
                    f"the tree {hierarchy.name} has no query level {level}: it has 1 (finest) to {hierarchy.levels} (coarsest)"
                )
        self.targets(hierarchy)

    def targets(self, hierarchy: Hierarchy) -> dict[str, int]:
        """The level of each node that clips are drawn for, fine to coarse.

        Raises
        ------
        InputError
            The tree has no such target.
        """
        if self.target is not None:
            return {self.target: hierarchy.target_level(self.target)}
        return {name: level for level in self.query_levels or () for name in hierarchy.level_nodes(level)}

    @property
    def salience(self) -> Salience:
        """From which level a node sounds."""
        if self.salience_db is not None:
            return Salience(self.salience_db)
        assert self.salience_below_mix is not None  # checked
        return Salience(self.salience_below_mix, below_mix=True)

    @property
    def grid(self) -> Grid:
        """The same in half-second hops."""
        return Grid(
            int(self.clip_seconds * HOPS_PER_SECOND),
            int(self.step * HOPS_PER_SECOND),
            self.salience,
            self.companion,
            self.channels,
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for YAML and digests."""
        return {
            **asdict(self),
            "query_levels": None if self.query_levels is None else list(self.query_levels),
            "clips": {split: self.clips[split] for split in SPLITS if split in self.clips},
        }


def targets_text(target: str | None, query_levels: Iterable[int] | None) -> str:
    """What clips are drawn for, in words: ``guitars``, ``any node of level 1``."""
    if target is not None:
        return target
    levels = [str(level) for level in query_levels or ()]
    return f"any node of level{'s' * (len(levels) > 1)} {', '.join(levels)}" if levels else "any node"


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
