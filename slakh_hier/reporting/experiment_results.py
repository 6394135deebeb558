"""``results.json`` of an experiment, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slakh_hier.errors import InputError
from slakh_hier.plain_files import parse_json, read_plain

RESULTS: Final = "results.json"
MAX_BYTES: Final = 64 << 20


class _Loose(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Figures(_Loose):
    """One level of one row: means in dB, the improvement ``delta`` with its interval, and over how many seeds."""

    mix: float | None = None
    si_sdr: float | None = None
    delta: float | None = None
    ci95: tuple[float, float] | None = None
    median: float | None = None
    seeds: int | None = None


class Row(_Loose):
    """A model, and its figures by level (``all`` for the mean of the levels); ``cells`` is None before it has run.

    ``trainings`` are the names of the cells behind it.
    """

    model: str
    levels: int | str
    name: str = ""
    mask: str | None = None
    trainings: list[str] = []
    cells: dict[str, Figures] | None = None
    published: dict[str, Figures] | None = None


class Difference(_Loose):
    """Of two rows' improvements, clip by clip (dB)."""

    mean: float | None = None
    ci95: tuple[float, float] | None = None
    p: float | None = None


class Comparison(_Loose):
    """A row against another one, by level; both by name."""

    row: str
    than: Annotated[str, Field(alias="with")]
    levels: dict[str, Difference] = {}


class ResultTable(_Loose):
    title: str
    rows: list[Row]
    comparisons: list[Comparison] = []


class Claim(_Loose):
    claim: str
    verdict: str
    why: str = ""


class Cell(_Loose):
    """A training; ``run`` is its folder, relative to the experiment's folder or the one above, which experiments share."""

    name: str
    seed: int | None = None
    run: str = ""
    state: str = ""


class Results(_Loose):
    """What ``results.json`` must hold; further keys are left alone."""

    experiment: str
    title: str = ""
    preset: str = ""
    paired: str = ""
    tables: Annotated[list[ResultTable], Field(max_length=1000)]
    claims: list[Claim] = []
    cells: list[Cell] = []


def read_results(path: Path) -> Results:
    """The results of an experiment, checked.

    Raises
    ------
    InputError
        The file is not there, or not what it should be; the message names the place.
    """
    try:
        raw = parse_json(read_plain(path, MAX_BYTES, links=True))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    try:
        return Results.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "as a whole"
        raise InputError(
            f"{path}: {where}: {first['msg']}. Run the same slakh-hier experiment command again: it recreates the file"
        ) from None
