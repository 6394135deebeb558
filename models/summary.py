"""From a table of clips and levels to means, intervals and counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from slakh_hier.models.metrics import bootstrap_means, interval

VALUES = ("mix", "si_sdr", "delta")
REFERENCES = {"mixture": "mix", "oracle": "oracle"}
LEAST_SONGS = 2


def summarise(scores: pd.DataFrame, levels: Sequence[int]) -> dict[str, Any]:
    """The results of an evaluation.

    Parameters
    ----------
    scores
        One row a clip and level, columns as :func:`~slakh_hier.models.evaluation.evaluate` documents.
    levels
        Leaf first.

    Returns
    -------
    dict
        ``levels`` (by number), ``all`` (plain mean of the levels), ``nodes`` (by name), ``references``
        (``mixture``, ``oracle``: levels and all). Each entry has the means ``mix``, ``si_sdr`` and ``delta``
        (dB), the ``median`` and the bootstrapped ``ci95`` of ``delta``, the number of ``clips`` that count and
        of those ``dropped`` (silent target or estimate, or nothing else in the mixture); nodes also the ``leak_db`` of clips in which they are
        ``inactive``. A value that no clip supports is None.
    """
    by_level = {level: scores[scores["level"] == level] for level in levels}
    return {
        "levels": {str(level): _entry(part) for level, part in by_level.items()},
        "all": _all(scores, levels, "delta") | {name: _level_mean(by_level, name) for name in VALUES},
        "nodes": {
            str(node): {"level": int(part["level"].iloc[0]), **_entry(part), **_leaks(part)}
            for node, part in scores.groupby("node", sort=False)
        },
        "references": {
            reference: {
                "levels": {str(level): _reference(part, column) for level, part in by_level.items()},
                "all": {
                    "si_sdr": _level_mean(by_level, column),
                    "delta": _difference(_level_mean(by_level, column), _level_mean(by_level, "mix")),
                },
            }
            for reference, column in REFERENCES.items()
        },
    }


def level_rows(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """A row a level, coarsest first, then all levels together; ``ci95`` holds both ends in dB, or None."""
    oracle = summary["references"]["oracle"]
    entries = [
        (f"level {level}", summary["levels"][level], oracle["levels"][level]) for level in summary["levels"]
    ]
    return [
        {"level": name, **_figures(entry), "oracle": reference["si_sdr"], **_counts(entry)}
        for name, entry, reference in [*reversed(entries), ("all", summary["all"], oracle["all"])]
    ]


def node_rows(summary: dict[str, Any]) -> list[dict[str, Any]]:
    """A row a node, coarsest first; ``ci95`` holds both ends in dB, or None."""
    nodes = sorted(summary["nodes"].items(), key=lambda item: -item[1]["level"])
    return [
        {
            "node": name,
            "level": entry["level"],
            **_figures(entry),
            **_counts(entry),
            "leak dB": entry["leak_db"],
            "inactive": entry["inactive"],
        }
        for name, entry in nodes
    ]


def _figures(entry: dict[str, Any]) -> dict[str, Any]:
    return {name: entry[name] for name in (*VALUES, "ci95", "median")}


def _counts(entry: dict[str, Any]) -> dict[str, Any]:
    return {"clips": entry["clips"], "dropped": entry["dropped"]}


def _entry(part: pd.DataFrame) -> dict[str, Any]:
    counted = part[part["counted"]]
    return {
        **{name: _mean(counted[name]) for name in VALUES},
        "median": None if counted.empty else float(counted["delta"].median()),
        "ci95": _ci(counted, ["delta"]),
        "clips": len(counted),
        "dropped": int(part["dropped"].sum()),
    }


def _leaks(part: pd.DataFrame) -> dict[str, Any]:
    leaks = part["leak_db"].dropna()
    return {"leak_db": _mean(leaks), "inactive": len(leaks)}


def _reference(part: pd.DataFrame, column: str) -> dict[str, Any]:
    counted = part[part["counted"]]
    si_sdr, mix = _mean(counted[column]), _mean(counted["mix"])
    return {"si_sdr": si_sdr, "delta": _difference(si_sdr, mix), "clips": len(counted)}


def _all(scores: pd.DataFrame, levels: Sequence[int], column: str) -> dict[str, Any]:
    """Over all levels: each resample of songs gives the mean of its level means."""
    counted = scores[scores["counted"]]
    wide = counted.pivot_table(index=["song", "clip"], columns="level", values=column, aggfunc="first")
    wide = wide.reindex(columns=list(levels)).reset_index()
    clip_means = wide[list(levels)].mean(axis=1)
    return {
        "median": None if wide.empty else float(clip_means.median()),
        "ci95": _ci(wide, list(levels)),
        "clips": len(wide),
        "dropped": int(scores["dropped"].sum()),
    }


def _ci(frame: pd.DataFrame, columns: list[Any]) -> list[float] | None:
    if frame["song"].nunique() < LEAST_SONGS:
        return None  # one song says nothing about others
    return interval(bootstrap_means(frame, columns).mean(axis=1))


def _level_mean(by_level: dict[int, pd.DataFrame], column: str) -> float | None:
    means = [_mean(part.loc[part["counted"], column]) for part in by_level.values()]
    known = [mean for mean in means if mean is not None]
    return float(np.mean(known)) if len(known) == len(means) else None


def _mean(values: pd.Series[float]) -> float | None:
    return float(values.mean()) if len(values) else None


def _difference(one: float | None, other: float | None) -> float | None:
    return None if one is None or other is None else one - other
