"""The results of an evaluation, as its JSON file holds them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from slakh_hier.checked_json import read_model

PRIMARY: Final = "si_sdr"
"""The metric that decides which clips count, which clips a page shows, and what claims are about."""
ALL: Final = "all"
"""The plain mean of the levels, as in the paper's tables."""
Part = Literal["mixture", "estimate", "improvement", "oracle"]
PARTS: Final[tuple[Part, ...]] = ("mixture", "estimate", "improvement", "oracle")
Number = TypeVar("Number", float, NDArray[np.float64])


class Loose(BaseModel):
    """A part of a results file; unknown keys are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True)


class MetricAbout(Loose):
    """What a metric is, for people."""

    heading: str
    """``SI-SDR``."""
    unit: str = ""
    """``dB``; empty: none."""
    better: Literal["higher", "lower"] = "higher"
    """Whether ``higher`` or ``lower`` values are better."""
    where: Literal["sounding", "silent"] = "sounding"
    """It is taken where the node is ``sounding`` (of the estimate, the mixture and the oracle), or where it is
    ``silent`` or absent (of the estimate alone)."""
    oracle: bool = True
    """Whether it is taken of the oracle too."""

    @property
    def parts(self) -> tuple[Part, ...]:
        """What it is taken of."""
        if self.where == "silent":
            return ("estimate",)
        return PARTS if self.oracle else tuple(part for part in PARTS if part != "oracle")

    @property
    def title(self) -> str:
        """``SI-SDR (dB)``."""
        return f"{self.heading} ({self.unit})" if self.unit else self.heading

    def improvement(self, estimate: Number, mixture: Number) -> Number:
        """By how much an estimate is better than the mixture."""
        return estimate - mixture if self.better == "higher" else mixture - estimate


class Values(Loose):
    """One metric on a group of clips: means, and of the improvement (or else the estimate) interval and median."""

    mixture: float | None = None
    estimate: float | None = None
    improvement: float | None = None
    oracle: float | None = None
    """``mixture`` to ``oracle``: means over clips, in the metric's unit; None: no clip has a value."""
    ci95: tuple[float, float] | None = None
    """95 % interval of the mean; None with fewer than two songs."""
    median: float | None = None
    """Over clips."""
    clips: int = 0
    """Clips with a value."""


class Entry(Loose):
    """A group of clips: those of a level, a node, or all levels together."""

    clips: int = 0
    dropped: int = 0
    """Clips without a value: the target or the estimate is silent, or the mixture is the target."""
    metrics: dict[str, Values] = Field(default_factory=dict)
    """By the metric's name."""

    def __getitem__(self, metric: str) -> Values:
        return self.metrics.get(metric, Values())


class NodeEntry(Entry):
    """The clips of a node."""

    level: int


class Summary(Loose):
    """An evaluation."""

    split: str
    shards: str
    """What was evaluated, as it was named: a shard set, or the data set of whole songs."""
    task: str
    step: int
    """Training steps of the separator."""
    plan_digest: str
    songs: int
    whole_songs: bool = False
    """What counts as a clip is a whole song."""
    metrics: dict[str, MetricAbout]
    """All metrics that were taken, by name."""
    levels: dict[Annotated[str, Field(pattern=r"^[0-9]{1,3}$")], Entry]
    """By number, finest first; ``all_levels``: their plain mean."""
    all_levels: Annotated[Entry, Field(alias=ALL)]
    nodes: dict[str, NodeEntry]

    @property
    def groups(self) -> Iterator[tuple[str, Entry]]:
        """Levels by number, coarsest first, then :data:`ALL`."""
        yield from sorted(self.levels.items(), key=lambda item: -int(item[0]))
        yield ALL, self.all_levels


def read_summary(path: Path) -> Summary:
    """The results that an evaluation wrote as JSON.

    Raises
    ------
    InputError
        The file is not there, or not what it should be.
    """
    return read_model(path, Summary, advice=". Evaluate the run again")


def column(metric: str, part: Part = "estimate") -> str:
    """Where the table of an evaluation's clips has a metric: ``si_sdr_improvement``."""
    return f"{metric}_{part}"


def level_name(level: str) -> str:
    """``level 3`` for people; ``all levels`` for :data:`ALL`."""
    return "all levels" if level == ALL else f"level {level}" if level.isdecimal() else level
