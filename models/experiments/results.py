"""From finished cells to what an experiment says: tables beside the published figures, comparisons, verdicts."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import cache
from importlib.resources import files
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slakh_hier.models.experiments.cell import Cell
from slakh_hier.models.experiments.grid import ALL, Claim, Grid, Published, Row, Table
from slakh_hier.models.experiments.scores import FIGURES, RowScores, row_scores
from slakh_hier.models.experiments.statistics import (
    difference,
    intervals,
    known,
    level_means,
    level_medians,
    share,
)
from slakh_hier.wording import decibels, interval, p_value

MARGIN: Final = 0.2
"""dB that one row may lie below another and still be called not worse: less than training with another seed moves it."""
HOLDS, FAILS, UNSURE = "holds", "does not hold", "too little data to say"
HOLLOW: Final = "holds, but says little"
"""No worse than models that fail: nobody doubts it, and it is not what the paper means."""


PAIRED: Final = (
    "Two models are compared clip by clip on the same songs and seeds. The interval draws songs and seeds; p flips the "
    "sign of whole songs, with each clip's mean over the seeds: it speaks of other songs, not of other seeds, so that p "
    "can be small where the interval holds 0. No p is corrected for the number of tests."
)
"""What paired differences of an experiment mean."""


def results(name: str, grid: Grid, cells: Sequence[Cell]) -> dict[str, Any]:
    """All that an experiment says so far, as plain values for JSON.

    Parameters
    ----------
    cells
        All cells with all seeds, done or not.

    Returns
    -------
    dict
        ``experiment``, ``title``, ``paired`` (what paired differences mean); ``tables``: a list of ``title``, ``rows`` (``name, model, levels, mask,
        trainings, seeds, songs, cells``: by level and ``all`` the means ``mix, si_sdr, delta`` in dB, ``ci95`` and
        ``median`` of the improvement, ``clips, seeds``; ``published`` likewise) and ``comparisons`` of each row with
        the first, and of the two rows of each claim (by level: ``mean, ci95, p, songs, seeds``); ``claims``: a list of ``claim, verdict, why``; ``cells``: a list of
        ``name, seed, run, state``. What is not there yet is None.
    """
    states = [cell.state() for cell in cells]
    done = [cell for cell, state in zip(cells, states, strict=True) if state == "done"]
    by_row = {row.name: row_scores(row.cells, done) for row in grid.rows.values()}
    return {
        "experiment": name,
        "title": grid.title,
        "paired": PAIRED,
        "tables": [_table(table, grid.claims, by_row) for table in grid.tables],
        "claims": [_judge(claim, by_row[claim.row], by_row[claim.than]) for claim in grid.claims],
        "cells": [
            {
                "name": cell.name,
                "seed": cell.seed,
                "run": cell.run.relative_to(cell.folder).as_posix(),
                "state": state,
            }
            for cell, state in zip(cells, states, strict=True)
        ],
    }


def _table(table: Table, claims: Sequence[Claim], by_row: Mapping[str, RowScores | None]) -> dict[str, Any]:
    comparisons = []
    for row, than in _pairs(table, claims):
        mine, theirs = by_row[row], by_row[than]
        if mine is not None and theirs is not None and mine.levels == theirs.levels:
            comparisons.append({"row": row, "with": than, "levels": _differences(mine, theirs)})
    return {
        "title": table.title,
        "rows": [_row(row, by_row[row.name], table.published) for row in table.rows],
        "comparisons": comparisons,
    }


def _pairs(table: Table, claims: Sequence[Claim]) -> list[tuple[str, str]]:
    """What is compared: each row with the first, then the rows that a claim is about."""
    names = [row.name for row in table.rows]
    claimed = [(claim.row, claim.than) for claim in claims if claim.row in names and claim.than in names]
    return list(dict.fromkeys([*((name, names[0]) for name in names[1:]), *claimed]))


def _row(row: Row, scores: RowScores | None, published: Published | None) -> dict[str, Any]:
    found = None if published is None else _published(row, published)
    about = {
        "name": row.name,
        "model": row.model,
        "levels": row.levels,
        "mask": row.mask,
        "trainings": list(row.cells),
    }
    if scores is None:
        return {**about, "seeds": 0, "songs": 0, "cells": None, "published": found}
    means = [level_means(scores.values[place]) for place in range(len(FIGURES))]
    songs = _songs(scores.clips["song"])
    ci95, medians = intervals(scores.delta, songs), level_medians(scores.delta)
    clips = [int(np.isfinite(scores.delta[0, :, place]).sum()) for place in range(len(scores.levels))]
    names = [*map(str, scores.levels), ALL]
    entries = {
        name: {
            **{figure: known(values[place]) for figure, values in zip(FIGURES, means, strict=True)},
            "ci95": ci95[place],
            "median": known(medians[place]),
            "clips": (*clips, max(clips))[place],
            "seeds": len(scores.seeds),
        }
        for place, name in enumerate(names)
    }
    return {
        **about,
        "seeds": len(scores.seeds),
        "songs": len(np.unique(songs)),
        "cells": entries,
        "published": found,
    }


def _differences(one: RowScores, other: RowScores) -> dict[str, Any]:
    mine, theirs, songs = _common(one, other)
    if mine.size == 0:
        return {}
    names = [*map(str, one.levels), ALL]
    return {name: asdict(difference(mine, theirs, songs, place)) for place, name in enumerate(names)}


def _judge(claim: Claim, row: RowScores | None, than: RowScores | None) -> dict[str, Any]:
    """A verdict only where the whole interval is on one side; else the data do not say."""
    said: dict[str, Any] = {"claim": claim.claim, "verdict": UNSURE, "why": "not all of its cells are done"}
    if row is None or than is None or row.levels != than.levels:
        return said
    mine, theirs, songs = _common(row, than)
    if mine.size == 0:
        return said
    place = -1 if claim.level == ALL else row.levels.index(int(claim.level))
    where = "on the mean of all levels" if claim.level == ALL else f"at level {claim.level}"
    of = f"{len(np.unique(songs))} songs, {len(mine)} {'seed' if len(mine) == 1 else 'seeds'}"
    if claim.kind == "keeps":
        assert claim.share is not None
        kept, ci95 = share(mine, theirs, songs, place)
        if kept is None or ci95 is None:
            return {**said, "why": f"the full data's improvement {where} is not surely above 0 dB ({of})"}
        verdict = HOLDS if ci95[0] >= claim.share else FAILS if ci95[1] < claim.share else UNSURE
        why = f"{kept:.0%} kept {where}, 95 % interval {ci95[0]:.0%} to {ci95[1]:.0%} ({of})"
        return {**said, "verdict": verdict, "why": why}
    gap = difference(mine, theirs, songs, place)
    if gap.ci95 is None:
        return {**said, "why": f"fewer than two songs count {where} ({of})"}
    low, high = gap.ci95
    why = (
        f"{decibels(gap.mean, 2, sign=True)} dB {where}, 95 % interval {interval(gap.ci95, 2, sign=True)}, "
        f"p of no difference {p_value(gap.p)} ({of}"
    )
    if claim.kind == "better":
        verdict = HOLDS if low > 0 else FAILS if high <= 0 else UNSURE
        return {**said, "verdict": verdict, "why": f"{why})"}
    verdict = HOLDS if low > -MARGIN else FAILS if high < 0 else UNSURE
    why += f"; a loss of up to {MARGIN} dB counts as none)"
    base = intervals(theirs, songs)[place]
    if verdict == HOLDS and (base is None or base[0] <= 0):
        verdict = HOLLOW
        why += (
            f"; but what it is compared with does not surely improve on the mixture: "
            f"{decibels(known(level_means(theirs)[place]), sign=True)} dB, {interval(base, sign=True)}"
        )
    return {**said, "verdict": verdict, "why": why}


def _common(
    one: RowScores, other: RowScores
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Improvements of both on the seeds and clips they share, and the clips' songs."""
    seeds = [seed for seed in one.seeds if seed in other.seeds]
    clips = one.clips.merge(other.clips, on=["clip", "song"])
    numbers = clips["clip"].tolist()
    return one.of(seeds, numbers), other.of(seeds, numbers), _songs(clips["song"])


def _songs(names: pd.Series[str]) -> NDArray[np.intp]:
    return pd.factorize(names, sort=True)[0].astype(np.intp)


def _published(row: Row, where: Published) -> dict[str, Any] | None:
    """The paper's figures for a row, by level and ``all``; None where it gives none."""
    wanted = (where.table, where.model, str(row.levels), row.mask or "")
    found = {
        entry["level"]: {
            "mix": _number(entry["mix_si_sdr"]),
            "si_sdr": _number(entry["si_sdr"]),
            "delta": _number(entry["delta"]),
        }
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
