"""What an experiment consists of: cells to train, rows to show, claims to judge; read from YAML in this package."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from slakh_hier.errors import check_choice
from slakh_hier.models.config import Config, Task
from slakh_hier.models.config_file import merge
from slakh_hier.safe_yaml import load
from slakh_hier.scores.summary import ALL


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Row(_Part):
    """A line of a table."""

    name: str
    """Short, for the claims."""
    model: str
    """What it is called in the table."""
    levels: int
    """Levels that a model of it estimates at once (the paper's column)."""
    cells: tuple[str, ...]
    """One that estimates all levels, or several of one level each."""
    mask: str | None = None
    """The mask of its training data."""


class Published(_Part):
    """Where a table's published values are found in ``published.csv``."""

    table: str
    model: str


class Table(_Part):
    """Rows that belong together; the first is what the others are compared with."""

    title: str
    rows: tuple[Row, ...]
    published: Published | None = None


class Claim(_Part):
    """A sentence of the paper as something that values can decide."""

    claim: str
    kind: Literal["not_worse", "better", "keeps"]
    """``not_worse``: the improvement of ``row`` is at most a margin below that of ``than``; ``better``: it is
    above it; ``keeps``: it is at least ``share`` of it."""
    row: str
    than: str
    level: int | Literal["all"] = ALL
    """Whose improvement; ``all``: the mean of the levels."""
    share: Annotated[float, Field(gt=0, le=1)] | None = None

    @model_validator(mode="after")
    def _share_fits(self) -> Self:
        if (self.kind == "keeps") != (self.share is not None):
            raise ValueError("`share` belongs to the kind keeps, and to no other")
        return self


class Grid(_Part):
    """One experiment."""

    title: str
    tables: tuple[Table, ...]
    claims: tuple[Claim, ...]

    @property
    def rows(self) -> dict[str, Row]:
        """All rows by name."""
        return {row.name: row for table in self.tables for row in table.rows}

    @property
    def cells(self) -> tuple[str, ...]:
        """Names of all cells, each once, in the order of the tables."""
        return tuple(dict.fromkeys(cell for row in self.rows.values() for cell in row.cells))

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        names = [row.name for table in self.tables for row in table.rows]
        known = set(cell_settings())
        strange = [cell for cell in self.cells if cell not in known]
        strange += [name for claim in self.claims for name in (claim.row, claim.than) if name not in names]
        if strange or len(set(names)) != len(names):
            raise ValueError(f"unknown or doubled names: {', '.join(strange or names)}")
        return self


def experiments() -> tuple[str, ...]:
    """Names of the shipped experiments, in the paper's order."""
    return ("hc", "levels", "reduction")


def load_grid(name: str) -> Grid:
    """A shipped experiment.

    Raises
    ------
    InputError
        There is none of that name.
    """
    check_choice("the experiment", name, experiments())
    return Grid.model_validate(_read(f"{name}.yaml"))


@cache
def cell_settings() -> Mapping[str, Any]:
    """What each cell changes in the configuration, by the cell's name."""
    cells: dict[str, Any] = _read("cells.yaml")
    return cells


def cell_task(cell: str) -> Task:
    """The task of a cell."""
    task: Task = cell_settings()[cell]["task"]
    return task


def cell_config(cell: str, base: Mapping[Task, Config], seed: int, node: str | None = None) -> Config:
    """The configuration of one training: the base of its task, the cell's values, a seed.

    Parameters
    ----------
    base
        By task: what preset, file and settings of the user come to.
    node
        SSS: the node whose path is separated; None: as the base says.
    """
    settings = cell_settings()[cell]
    values = merge([base[settings["task"]].model_dump(), settings, {"training": {"seed": seed}}])
    if node is not None and settings["task"] == "sss":
        values["node"] = node
    return Config.model_validate(values)


def levels_needed(cells: tuple[str, ...]) -> dict[Task, set[int]]:
    """The levels that the shards of each task must have ground truth of, in every clip."""
    found: dict[Task, set[int]] = {}
    for cell in cells:
        found.setdefault(cell_task(cell), set()).update(cell_settings()[cell]["levels"])
    return found


def masks_needed(cells: tuple[str, ...]) -> dict[Task, tuple[str, ...]]:
    """Names of the masks that the shards of each task must have."""
    found: dict[Task, dict[str, None]] = {}
    for cell in cells:
        name = cell_settings()[cell].get("data", {}).get("mask")
        if name is not None:
            found.setdefault(cell_task(cell), {})[name] = None
    return {task: tuple(masks) for task, masks in found.items()}


def _read(name: str) -> Any:
    return load((files("slakh_hier.models.experiments") / name).read_bytes(), name)
