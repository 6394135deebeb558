"""The report of an experiment: its tables, what they say, and the runs behind them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import quote

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from slakh_hier.errors import InputError
from slakh_hier.reporting.document import Block, Facts, Links, Plot, Report, Section, Table
from slakh_hier.reporting.run_data import read_curves
from slakh_hier.reporting.score_figures import Mark, draw_curves, draw_intervals

RESULTS: Final = "results.json"
MOST_CURVES: Final = 6
MAX_BYTES: Final = 64 << 20
PUBLISHED: Final = "published"


class _Loose(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Figures(_Loose):
    """One level of one row: means in dB, the improvement ``delta`` with its interval, and over how many seeds."""

    mix: float | None = None
    si_sdr: float | None = None
    delta: float | None = None
    ci95: tuple[float, float] | None = None
    seeds: int | None = None


class Row(_Loose):
    """A model, and its figures by level (``all`` for the mean of the levels); ``cells`` is None before it has run."""

    model: str
    levels: int | str
    name: str = ""
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
    tables: Annotated[list[ResultTable], Field(max_length=1000)]
    claims: list[Claim] = []
    cells: list[Cell] = []


def experiment_report(folder: Path, page: Path | None = None) -> Report:
    """Look through an experiment.

    Parameters
    ----------
    page
        Where the page will lie, for links to the runs; None: no links.

    Raises
    ------
    InputError
        ``results.json`` cannot be read.
    """
    results = read_results(folder / RESULTS)
    sections = [Section("Claims", [_claims(results)])] if results.claims else []
    for number, table in enumerate(results.tables, 1):
        sections.append(Section(table.title, list(_table_blocks(table, number))))
    if results.cells:
        sections.append(Section("Runs", list(_runs(folder, results.cells, page))))
    done = sum(cell.state == "done" for cell in results.cells)
    lead = f"Preset {results.preset}. " if results.preset else ""
    lead += f"{done:,} of {len(results.cells):,} runs are done." if results.cells else ""
    return Report(results.title or f"Experiment {results.experiment}", sections, lead)


def read_results(path: Path) -> Results:
    """The results of an experiment, checked.

    Raises
    ------
    InputError
        The file is not there, or not what it should be; the message names the place.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{path}: has more than {MAX_BYTES} bytes; it is not ours")
        raw = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    try:
        return Results.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "as a whole"
        raise InputError(
            f"{path}: {where}: {first['msg']}. Run the same slakh-hier experiment command again: it writes it anew"
        ) from None


def _claims(results: Results) -> Table:
    rows = [{"claim": c.claim, "verdict": c.verdict, "why": c.why} for c in results.claims]
    return Table("What the paper claims, and what these figures say", rows)


def _table_blocks(table: ResultTable, number: int) -> Iterator[Block]:
    levels = _levels(table)
    rows: list[dict[str, Any]] = []
    for row in table.rows:
        for source, cells in ((f"{row.model}", row.cells), (f"{row.model}, {PUBLISHED}", row.published)):
            if not cells:
                continue
            entry: dict[str, Any] = {"model": source, "levels": str(row.levels)}
            for level in levels:
                figures = cells.get(level, Figures())
                short = _level(level)
                entry[f"{short}: mix"] = figures.mix
                entry[f"{short}: SI-SDR"] = figures.si_sdr
                entry[f"{short}: Δ"] = figures.delta
                entry[f"{short}: 95 %"] = _interval(figures.ci95)
            rows.append(entry)
    if rows:
        # Columns that nobody has figures for only take room.
        empty = [key for key in rows[0] if all(row[key] is None for row in rows)]
        rows = [{key: value for key, value in row.items() if key not in empty} for row in rows]
    yield Table("SI-SDR (dB), improvement Δ over the mixture, and its 95 % interval", rows)
    if compared := _comparisons(table):
        yield Table("Against the first row, clip by clip (dB)", compared)
    groups = _groups(table, levels)
    if groups:
        yield Plot(
            f"table-{number}",
            "Improvement over the mixture with 95 % intervals; hollow marks are the published figures, from other "
            "data and longer trainings.",
            "Means and intervals of the improvement in dB; the table above has the figures.",
            partial(draw_intervals, groups, "improvement of SI-SDR (dB)"),
        )


def _comparisons(table: ResultTable) -> list[dict[str, Any]]:
    models = {row.name: row.model for row in table.rows}
    return [
        {
            "model": models.get(comparison.row, comparison.row),
            "against": models.get(comparison.than, comparison.than),
            "level": level,
            "difference of Δ": gap.mean,
            "95 %": _interval(gap.ci95),
            "p": None if gap.p is None else f"{gap.p:.3f}",
        }
        for comparison in table.comparisons
        for level, gap in comparison.levels.items()
    ]


def _groups(table: ResultTable, levels: list[str]) -> dict[str, list[Mark]]:
    groups: dict[str, list[Mark]] = {}
    for level in levels:
        for row in table.rows:
            label = f"{row.model} ({row.levels})" if _repeated(table, row.model) else row.model
            for cells, hollow in ((row.cells or {}, False), (row.published or {}, True)):
                figures = cells.get(level)
                if figures is not None and figures.delta is not None:
                    groups.setdefault(_level(level), []).append(
                        Mark(label, figures.delta, figures.ci95, hollow)
                    )
    return groups


def _repeated(table: ResultTable, model: str) -> bool:
    return sum(row.model == model for row in table.rows) > 1


def _levels(table: ResultTable) -> list[str]:
    """Coarsest first, the mean of the levels last."""
    names = {
        level for row in table.rows for cells in (row.cells or {}, row.published or {}) for level in cells
    }
    numbers = sorted((name for name in names if name.isdecimal()), key=int, reverse=True)
    return [*numbers, *sorted(name for name in names if not name.isdecimal())]


def _level(name: str) -> str:
    return f"level {name}" if name.isdecimal() else name


def _interval(ends: tuple[float, float] | None) -> str | None:
    return None if ends is None else f"{ends[0]:.2f} to {ends[1]:.2f}"


def _runs(folder: Path, cells: list[Cell], page: Path | None) -> Iterator[Block]:
    states = pd.Series([cell.state for cell in cells]).value_counts()
    yield Facts({str(state) or "unknown": int(count) for state, count in states.items()})
    links: list[tuple[str, str | None]] = []
    curves: dict[str, pd.DataFrame] = {}
    for cell in cells:
        run = _inside(folder, cell.run)
        seed = "" if cell.seed is None else f", seed {cell.seed}"
        links.append((f"{cell.name}{seed}: {cell.state}", _link(run, page)))
        if run is not None and len(table := read_curves(run / "metrics.csv")):
            curves[f"{cell.name}{seed}"] = table
    names = list(curves)
    for number, first in enumerate(range(0, len(names), MOST_CURVES), 1):
        some = {name: curves[name] for name in names[first : first + MOST_CURVES]}
        yield Plot(
            f"curves-{number}",
            "Loss by epoch: " + "; ".join(some) + ".",
            "Lines of training and validation loss by epoch.",
            partial(draw_curves, some),
        )
    yield Links(links)


def _inside(folder: Path, run: str) -> Path | None:
    """The folder of a run, if there is one inside the experiment's folder or the one above."""
    for above in (folder.resolve(), folder.resolve().parent):
        path = (above / run).resolve()
        if run and path.is_dir() and path != above and path.is_relative_to(above):
            return path
    return None


def _link(run: Path | None, page: Path | None) -> str | None:
    if run is None or page is None:
        return None
    # "./" before it: whatever a folder is called, the address cannot begin with a scheme.
    return "./" + quote(os.path.relpath(run, page.resolve().parent))
