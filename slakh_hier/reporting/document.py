"""What a report consists of, before it is a page or a folder of plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from slakh_hier.wording import is_number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from slakh_hier.reporting.theme import Style

Signal = NDArray[np.float32]
MOST_ROWS: Final = 12
"""Longer tables are folded."""


@dataclass(frozen=True)
class Facts:
    """Pairs of a name and what it is."""

    rows: Mapping[str, Any]
    kind: Literal["facts"] = "facts"


@dataclass(frozen=True)
class Table:
    """Rows with equal keys; a value ``None`` is shown as a dash."""

    title: str
    rows: Sequence[Mapping[str, Any]]
    folded: bool | None = None
    """It opens on a click; None: if it has more than :data:`MOST_ROWS`."""
    layout: Literal["plain", "first", "stacked", "heat"] = "plain"
    """On a phone all columns scroll, all but the ``first``, or rows are ``stacked``. In a ``heat`` table, whose first
    column stays too, percentages have a colour."""
    right: tuple[str, ...] = ()
    """Columns that stand to the right besides numbers."""
    blank: str = ""
    """What stands in a row that has no values."""
    kind: Literal["table"] = "table"

    @property
    def columns(self) -> dict[str, bool]:
        """Each column, and whether it stands to the right."""
        return {
            name: name in self.right or all(is_number(row[name]) for row in self.rows)
            for name in (self.rows[0] if self.rows else ())
        }

    @property
    def opens(self) -> bool:
        """Whether it is folded at first."""
        return len(self.rows) > MOST_ROWS if self.folded is None else self.folded


@dataclass(frozen=True)
class Plot:
    """A figure: ``name`` is its file name, ``alt`` what it shows to those who cannot see it.

    ``draw`` makes it in the given style, since a page, a phone and a paper need different ones. ``table`` is what a page
    shows instead, where a table is easier to read.
    """

    name: str
    title: str
    alt: str
    draw: Callable[[Style], Figure]
    table: Table | None = None
    kind: Literal["plot"] = "plot"


@dataclass(frozen=True)
class Lane:
    """One signal of a clip in the player."""

    name: str
    """What it is."""
    node: str = ""
    """The node it is a signal of, by which it stays soloed or muted in other clips; "": it is not a part of the mixture (a
    query)."""
    depth: int = 0
    """How far it is indented: a lane contains those that follow and are deeper."""
    sounds: tuple[int, ...] = ()
    """Places among the clip's parts, of which it is the sum; none: silent."""
    detail: str = ""
    """A few words on it (level in dBFS, SI-SDR, ...)."""
    withheld: tuple[str, ...] = ()
    """Masks under which its ground truth is not available."""
    version: int | None = None
    """Place in the player's ``versions``, where a node has a target and estimates; None: the same in all of them."""


@dataclass(frozen=True)
class PlayerClip:
    """A clip to see and hear."""

    title: str
    sample_rate: int
    parts: Sequence[Signal]
    """Signals of one length, none of which contains another one (:mod:`~slakh_hier.reporting.parts`): float32,
    (samples,) or (channels, samples), full scale 1.0."""
    lanes: Sequence[Lane]
    """Sums of parts; the first one is the mixture."""
    note: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)
    """Values in dB by which clips can be ordered, by name."""
    target: str = ""
    """The node that the clip was drawn for."""
    appeal: float = 0.0
    """Of all clips, the page opens with the one where this is highest."""


@dataclass(frozen=True)
class Player:
    """Clips to choose from, and by which rule they were chosen."""

    rule: str
    clips: Sequence[PlayerClip]
    masks: Sequence[str] = ()
    """Names of masks to choose from."""
    versions: Sequence[str] = ()
    """What the key A switches between: ``target, estimate, ...``."""
    least: int | None = None
    """Where not all clips fit into a page, as many, evenly spread, are kept before their sound suffers; None: all."""
    kind: Literal["player"] = "player"


@dataclass(frozen=True)
class Links:
    """Names and where they lead, relative to the page (None: nowhere)."""

    rows: Sequence[tuple[str, str | None]]
    kind: Literal["links"] = "links"


Block = Facts | Table | Plot | Player | Links


@dataclass(frozen=True)
class Section:
    """A headline, sentences below it, and what is shown."""

    title: str
    blocks: Sequence[Block] = ()
    text: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True)
class Report:
    """A whole report; ``warnings`` stand above everything else."""

    title: str
    sections: Sequence[Section]
    lead: str = ""
    warnings: Sequence[str] = ()

    @property
    def plots(self) -> list[Plot]:
        """Every figure, in order."""
        return [block for section in self.sections for block in section.blocks if isinstance(block, Plot)]
