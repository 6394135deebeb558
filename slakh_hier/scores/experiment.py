"""The results of an experiment, as ``results.json`` holds them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field

from slakh_hier.checked_json import read_model
from slakh_hier.scores.summary import Entry, Loose, MetricAbout

RESULTS: Final = "results.json"
PAIRED: Final = (
    "Two models are compared clip by clip on the same songs and seeds. The interval draws songs and seeds; p flips the "
    "sign of whole songs, with each clip's mean over the seeds: it speaks of other songs, not of other seeds, so that p "
    "can be small where the interval holds 0. No p is corrected for the number of tests."
)
"""What paired differences of an experiment mean."""
State = Literal["done", "incomplete", "missing", "other"]


class Row(Loose):
    """A model of a table."""

    name: str = ""
    model: str
    """``name`` and ``model``: short, for comparisons; for people."""
    levels: int
    """Levels that a model of it estimates at once."""
    mask: str | None = None
    """Of its training data."""
    trainings: tuple[str, ...] = ()
    """Names of the cells behind it."""
    seeds: int = 0
    songs: int = 0
    """``seeds`` and ``songs``: how many the values are over; 0 before it has run."""
    cells: dict[str, Entry] | None = None
    """By level, and ``all`` for the mean of the levels; None before it has run."""
    published: dict[str, Entry] | None = None
    """The published values likewise; None where there are none."""

    def entry(self, level: str, *, published: bool = False) -> Entry:
        """What was measured at a level, or published; empty where nothing was."""
        return ((self.published if published else self.cells) or {}).get(level, Entry())


class Difference(Loose):
    """One row's improvement minus another's, clip by clip."""

    mean: float | None = None
    """In the metric's unit; None where no clip of the level counts."""
    ci95: tuple[float, float] | None = None
    """Over songs and seeds; None with fewer than two songs."""
    p: float | None = None
    """Two-sided, by sign flips of songs; with S songs it cannot be below 2 ** (1 - S)."""
    songs: int = 0
    seeds: int = 0


class Comparison(Loose):
    """A row against another one, both by name, in one metric, by level."""

    row: str
    than: Annotated[str, Field(alias="with")]
    metric: str
    levels: dict[str, Difference] = Field(default_factory=dict)


class Table(Loose):
    """Rows that belong together, and what was compared."""

    title: str
    rows: tuple[Row, ...]
    comparisons: tuple[Comparison, ...] = ()

    def models(self, pair: Comparison) -> tuple[str, str]:
        """What the two rows of a comparison are called; their names where the table has no such row."""
        models = {row.name: row.model for row in self.rows}
        return models.get(pair.row, pair.row), models.get(pair.than, pair.than)


class Claim(Loose):
    """A sentence of the paper, and what these results say about it."""

    claim: str
    verdict: str
    why: str = ""


class Cell(Loose):
    """A training; ``run`` is its folder, relative to the experiment's folder or the one above, which experiments share."""

    name: str
    seed: int | None = None
    run: str = ""
    state: State | Literal[""] = ""


class Results(Loose):
    """All that an experiment says so far; what is not there yet is None."""

    experiment: str
    title: str = ""
    preset: str = ""
    settings: tuple[str, ...] = ()
    metrics: dict[str, MetricAbout] = Field(default_factory=dict)
    tables: Annotated[tuple[Table, ...], Field(max_length=1000)]
    claims: tuple[Claim, ...] = ()
    cells: tuple[Cell, ...] = ()


def read_results(path: Path) -> Results:
    """The results of an experiment, checked.

    Raises
    ------
    InputError
        The file is not there, or not what it should be; the message names the place.
    """
    return read_model(
        path, Results, advice=". Run the same slakh-hier experiment command again: it rewrites it"
    )
