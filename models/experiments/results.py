"""From finished cells to what an experiment says: tables beside the published values, comparisons, verdicts."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slakh_hier.models.experiments.cell import Cell
from slakh_hier.models.experiments.grid import Claim, Grid, Published, Row, Table
from slakh_hier.models.experiments.scores import Array, RowScores, row_scores
from slakh_hier.models.metrics import METRICS
from slakh_hier.models.statistics import describe, difference, intervals, known, level_means, share
from slakh_hier.scores import experiment as said
from slakh_hier.scores.summary import ALL, PRIMARY, Entry, Values
from slakh_hier.wording import decibels, interval, p_value

MARGIN: Final = 0.2
"""dB that one row may lie below another and still be called not worse: less than training with another seed moves it."""
HOLDS, FAILS, UNSURE = "holds", "does not hold", "too little data to say"
VACUOUS: Final = "holds, but says little"
"""No worse than models that fail: nobody doubts it, and it is not what the paper means."""
EMPTY: Final = "does not apply"
"""A part of an improvement, where even all the ground truth surely brings none."""


def results(
    name: str, grid: Grid, cells: Sequence[Cell], *, preset: str = "", settings: Sequence[str] = ()
) -> said.Results:
    """All that an experiment says so far.

    Parameters
    ----------
    cells
        All cells with all seeds, done or not.
    preset, settings
        What the trainings were asked for with.
    """
    states = [cell.state() for cell in cells]
    done = [cell for cell, state in zip(cells, states, strict=True) if state == "done"]
    by_row = {row.name: row_scores(row.cells, done) for row in grid.rows.values()}
    return said.Results(
        experiment=name,
        title=grid.title,
        preset=preset,
        settings=tuple(settings),
        metrics={name: metric.about for name, metric in METRICS.items() if metric.where == "sounding"},
        tables=tuple(_table(table, grid.claims, by_row) for table in grid.tables),
        claims=tuple(_judge(claim, by_row[claim.row], by_row[claim.than]) for claim in grid.claims),
        cells=tuple(
            said.Cell(
                name=cell.name, seed=cell.seed, run=cell.run.relative_to(cell.folder).as_posix(), state=state
            )
            for cell, state in zip(cells, states, strict=True)
        ),
    )


def _table(table: Table, claims: Sequence[Claim], by_row: Mapping[str, RowScores | None]) -> said.Table:
    comparisons = []
    for row, than in _pairs(table, claims):
        mine, theirs = by_row[row], by_row[than]
        if mine is not None and theirs is not None and mine.levels == theirs.levels:
            comparisons += [
                said.Comparison(row=row, than=than, metric=metric, levels=_differences(mine, theirs, metric))
                for metric in mine.values
                if metric in theirs.values
            ]
    return said.Table(
        title=table.title,
        rows=tuple(_row(row, by_row[row.name], table.published) for row in table.rows),
        comparisons=tuple(comparisons),
    )


def _pairs(table: Table, claims: Sequence[Claim]) -> list[tuple[str, str]]:
    """What is compared: each row with the first, then the rows that a claim is about."""
    names = [row.name for row in table.rows]
    claimed = [(claim.row, claim.than) for claim in claims if claim.row in names and claim.than in names]
    return list(dict.fromkeys([*((name, names[0]) for name in names[1:]), *claimed]))


def _row(row: Row, scores: RowScores | None, published: Published | None) -> said.Row:
    found = said.Row(
        name=row.name,
        model=row.model,
        levels=row.levels,
        mask=row.mask,
        trainings=row.cells,
        published=None if published is None else _published(row, published),
    )
    if scores is None:
        return found
    songs = _songs(scores.clips["song"])
    described = {name: describe(parts, songs) for name, parts in scores.values.items()}
    entries = {
        level: Entry(
            clips=described[PRIMARY][place].clips,
            metrics={name: values[place] for name, values in described.items()},
        )
        for place, level in enumerate([*map(str, scores.levels), ALL])
    }
    return found.model_copy(
        update={"seeds": len(scores.seeds), "songs": len(np.unique(songs)), "cells": entries}
    )


def _differences(one: RowScores, other: RowScores, metric: str) -> dict[str, said.Difference]:
    mine, theirs, songs = _common(one, other, metric)
    if mine.size == 0:
        return {}
    names = [*map(str, one.levels), ALL]
    return {name: difference(mine, theirs, songs, place) for place, name in enumerate(names)}


def _judge(claim: Claim, row: RowScores | None, than: RowScores | None) -> said.Claim:
    """A verdict only where the whole interval is on one side; else the data do not say."""

    def verdict(found: str, why: str) -> said.Claim:
        return said.Claim(claim=claim.claim, verdict=found, why=why)

    if row is None or than is None or row.levels != than.levels:
        return verdict(UNSURE, "not all of its cells are done")
    mine, theirs, songs = _common(row, than, PRIMARY)
    if mine.size == 0:
        return verdict(UNSURE, "not all of its cells are done")
    place = -1 if claim.level == ALL else row.levels.index(int(claim.level))
    where = "on the mean of all levels" if claim.level == ALL else f"at level {claim.level}"
    of = f"{len(np.unique(songs))} songs, {len(mine)} {'seed' if len(mine) == 1 else 'seeds'}"
    if claim.kind == "keeps":
        assert claim.share is not None
        kept, ci95 = share(mine, theirs, songs, place)
        if kept is None or ci95 is None:
            base = intervals(theirs, songs)[place]
            if base is not None and base[1] <= 0:
                full = f"{decibels(known(level_means(theirs)[place]), sign=True)} dB, 95 % interval {interval(base, sign=True)}"
                return verdict(
                    EMPTY, f"even all the ground truth brings no improvement {where} to keep: {full} ({of})"
                )
            return verdict(UNSURE, f"the full data's improvement {where} is not surely above 0 dB ({of})")
        found = HOLDS if ci95[0] >= claim.share else FAILS if ci95[1] < claim.share else UNSURE
        return verdict(found, f"{kept:.0%} kept {where}, 95 % interval {ci95[0]:.0%} to {ci95[1]:.0%} ({of})")
    gap = difference(mine, theirs, songs, place)
    if gap.ci95 is None:
        return verdict(UNSURE, f"fewer than two songs count {where} ({of})")
    low, high = gap.ci95
    why = (
        f"{decibels(gap.mean, 2, sign=True)} dB {where}, 95 % interval {interval(gap.ci95, 2, sign=True)}, "
        f"p of no difference {p_value(gap.p)} ({of}"
    )
    if claim.kind == "better":
        return verdict(HOLDS if low > 0 else FAILS if high <= 0 else UNSURE, f"{why})")
    found = HOLDS if low > -MARGIN else FAILS if high < 0 else UNSURE
    why += f"; a loss of up to {MARGIN} dB counts as none)"
    base = intervals(theirs, songs)[place]
    if found == HOLDS and (base is None or base[0] <= 0):
        found = VACUOUS
        why += (
            f"; but what it is compared with does not surely improve on the mixture: "
            f"{decibels(known(level_means(theirs)[place]), sign=True)} dB, {interval(base, sign=True)}"
        )
    return verdict(found, why)


def _common(one: RowScores, other: RowScores, metric: str) -> tuple[Array, Array, NDArray[np.intp]]:
    """Improvements of both on the seeds and clips they share, and the clips' songs."""
    seeds = [seed for seed in one.seeds if seed in other.seeds]
    clips = one.clips.merge(other.clips, on=["clip", "song"])
    numbers = clips["clip"].tolist()
    mine, theirs = (row.improvements(metric, seeds, numbers) for row in (one, other))
    return mine, theirs, _songs(clips["song"])


def _songs(names: pd.Series[str]) -> NDArray[np.intp]:
    return pd.factorize(names, sort=True)[0].astype(np.intp)


def _published(row: Row, where: Published) -> dict[str, Entry] | None:
    """The paper's values for a row, by level and ``all``; None where it gives none."""
    wanted = (where.table, where.model, str(row.levels), row.mask or "")
    found = {
        entry["level"]: Entry(
            metrics={
                "si_sdr": Values(
                    mixture=_number(entry["mixture"]),
                    estimate=_number(entry["estimate"]),
                    improvement=_number(entry["improvement"]),
                )
            }
        )
        for entry in _paper()
        if tuple(entry[name] for name in _KEY) == wanted
    }
    return found or None


_KEY = ("table", "model", "levels_trained", "mask")


@cache
def _paper() -> list[dict[str, str]]:
    text = (files("slakh_hier.models.experiments") / "published.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _number(text: str) -> float | None:
    return float(text) if text else None
