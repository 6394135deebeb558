"""Two evaluations in one table: the scores side by side, and the difference clip by clip."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from slakh_hier import wording
from slakh_hier.reporting.document import Table
from slakh_hier.reporting.run_data import RunData
from slakh_hier.wording import with_interval


def score_tables(one: RunData, other: RunData) -> list[Table]:
    """One row per level, coarsest first, then all levels: ``other`` less ``one`` where both have the same clips and levels.

    The second table has what the first one has no room for.
    """
    summaries = {run.name: run.summary for run in (one, other) if run.summary is not None}
    gaps = _differences(one, other)
    levels = sorted(
        {level for found in summaries.values() for level in found["levels"]}, key=int, reverse=True
    )
    first: list[dict[str, Any]] = []
    second: list[dict[str, Any]] = []
    for level in [*levels, "all"]:
        entries = {
            name: found["all"] if level == "all" else found["levels"].get(level, {})
            for name, found in summaries.items()
        }
        first.append(
            {
                "level": level,
                **({f"{other.name} − {one.name}": gaps.get(level)} if gaps else {}),
                **{
                    f"Δ of {name}": with_interval(entry.get("delta"), entry.get("ci95"), 2)
                    for name, entry in entries.items()
                },
            }
        )
        second.append(
            {
                "level": level,
                "mixture": next((entry["mix"] for entry in entries.values() if entry), None),
                **{f"SI-SDR of {name}": entry.get("si_sdr") for name, entry in entries.items()},
                **{f"median Δ of {name}": entry.get("median") for name, entry in entries.items()},
            }
        )
    return [
        Table(f"Improvement Δ of SI-SDR (dB) on {one.split}", first, layout="first", right=tuple(first[0])),
        Table("With SI-SDR and medians (dB)", second, layout="first", folded=True, right=tuple(second[0])),
    ]


def _differences(one: RunData, other: RunData) -> dict[str, str]:
    """By level: the mean difference with its interval over songs, and p of sign flips of songs."""
    from slakh_hier.models.experiments.statistics import difference

    if (
        one.summary is None
        or other.summary is None
        or one.summary["plan_digest"] != other.summary["plan_digest"]
    ):
        return {}
    wide = [_wide(run) for run in (one, other)]
    if list(wide[0].columns) != list(wide[1].columns):
        return {}
    both = wide[0].index.intersection(wide[1].index)
    values = [table.loc[both].to_numpy(float)[None] for table in wide]
    songs = pd.factorize(both.get_level_values("song"), sort=True)[0].astype(np.intp)
    found = {}
    for place, level in enumerate([*map(str, wide[0].columns), "all"]):
        gap = difference(values[1], values[0], songs, -1 if level == "all" else place)
        found[level] = wording.difference(gap.mean, gap.ci95, gap.p)
    return found


def _wide(run: RunData) -> pd.DataFrame:
    """Improvements of the clips that count: (clip, song) by level."""
    assert run.scores is not None
    counted = run.scores[run.scores["counted"].astype(bool)]
    return counted.pivot(index=["clip", "song"], columns="level", values="delta")
