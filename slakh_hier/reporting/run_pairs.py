"""Two evaluations in one table: the scores side by side, and the difference clip by clip."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from slakh_hier import wording
from slakh_hier.reporting.document import Table
from slakh_hier.reporting.run_data import RunData
from slakh_hier.scores.summary import ALL, Entry, MetricAbout, column, level_name
from slakh_hier.wording import with_interval


def pair_tables(one: RunData, other: RunData) -> Iterator[Table]:
    """For each metric one row per level, coarsest first, then all levels.

    The first table has the improvements, and ``other`` less ``one`` where both have the same clips and levels; the second
    has what the first one has no room for.
    """
    assert one.summary is not None
    assert other.summary is not None
    for name, metric in one.summary.metrics.items():
        if metric.where == "sounding" and name in other.summary.metrics:
            yield from _tables(one, other, name, metric)


def _tables(one: RunData, other: RunData, name: str, metric: MetricAbout) -> Iterator[Table]:
    gaps = _differences(one, other, name)
    groups = [dict(run.summary.groups) for run in (one, other) if run.summary is not None]
    levels = sorted({level for found in groups for level in found} - {ALL}, key=int, reverse=True)
    first: list[dict[str, Any]] = []
    second: list[dict[str, Any]] = []
    for level in [*levels, ALL]:
        mine, theirs = (found.get(level, Entry())[name] for found in groups)
        values = {one.name: mine, other.name: theirs}
        first.append(
            {
                "level": level_name(level),
                **({f"{other.name} − {one.name}": gaps.get(level)} if gaps else {}),
                **{f"Δ of {run}": with_interval(v.improvement, v.ci95, 2) for run, v in values.items()},
            }
        )
        second.append(
            {
                "level": level_name(level),
                "mixture": theirs.mixture if mine.mixture is None else mine.mixture,
                **{f"{metric.heading} of {run}": v.estimate for run, v in values.items()},
                **{f"median Δ of {run}": v.median for run, v in values.items()},
            }
        )
    title = f"Improvement Δ of {metric.title} on {one.split}"
    yield Table(title, first, layout="first", right=tuple(first[0]))
    title = f"With {metric.title} and medians"
    yield Table(title, second, layout="first", folded=True, right=tuple(second[0]))


def _differences(one: RunData, other: RunData, metric: str) -> dict[str, str]:
    """By level: the mean difference with its interval over songs, and p of sign flips of songs."""
    from slakh_hier.models.statistics import difference

    if one.summary is None or other.summary is None or one.summary.plan_digest != other.summary.plan_digest:
        return {}
    wide = [_wide(run, metric) for run in (one, other)]
    if list(wide[0].columns) != list(wide[1].columns):
        return {}
    both = wide[0].index.intersection(wide[1].index)
    values = [table.loc[both].to_numpy(float)[None] for table in wide]
    songs = pd.factorize(both.get_level_values("song"), sort=True)[0].astype(np.intp)
    found = {}
    for place, level in enumerate([*map(str, wide[0].columns), ALL]):
        gap = difference(values[1], values[0], songs, -1 if level == ALL else place)
        found[level] = wording.difference(gap.mean, gap.ci95, gap.p)
    return found


def _wide(run: RunData, metric: str) -> pd.DataFrame:
    """Improvements of the clips that count: (clip, song) by level."""
    assert run.scores is not None
    counted = run.scores[run.scores["counted"].astype(bool)]
    return counted.pivot(index=["clip", "song"], columns="level", values=column(metric, "improvement"))
