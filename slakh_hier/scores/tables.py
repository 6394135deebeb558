"""The results of an evaluation as tables for people and for programs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from slakh_hier.scores.summary import Entry, MetricAbout, Summary, Values, level_name

INTERVAL = "95 % interval"


@dataclass(frozen=True)
class ScoreTable:
    """One metric by level or by node, coarsest first."""

    title: str
    """``SI-SDR (dB) on test``."""
    rows: list[dict[str, Any]]
    """``level`` or ``node``, the means of the metric's parts, the interval (both ends, or None) under :data:`INTERVAL`,
    the median, and numbers of clips."""
    by_node: bool
    """One row per node, else one per level and one for all levels."""


def score_tables(summary: Summary) -> list[ScoreTable]:
    """For each metric a table by level and one by node; those without any value are left out."""
    tables = []
    nodes = sorted(summary.nodes.items(), key=lambda item: -item[1].level)
    for name, metric in summary.metrics.items():
        where = f"whole songs of {summary.split}" if summary.whole_songs else summary.split
        title = f"{metric.title} on {where}"
        by_level = [
            {"level": level_name(level), **_row(summary, metric, entry, entry[name])}
            for level, entry in summary.groups
        ]
        by_node = [
            {"node": node, "level": entry.level, **_row(summary, metric, entry, entry[name])}
            for node, entry in nodes
        ]
        tables += [
            ScoreTable(title, by_level, by_node=False),
            ScoreTable(f"{title}, by node", by_node, by_node=True),
        ]
    return [table for table in tables if any(row[_counted(summary)] for row in table.rows)]


def flat_rows(summary: Summary) -> list[dict[str, Any]]:
    """For programs: one row per metric and level, all levels together, and node."""
    groups = [("", level, entry) for level, entry in summary.groups]
    groups += [(node, str(entry.level), entry) for node, entry in summary.nodes.items()]
    return [
        {"metric": name, "unit": metric.unit, "node": node, "level": level, **flat_values(entry[name])}
        for name, metric in summary.metrics.items()
        for node, level, entry in groups
    ]


def flat_values(values: Values) -> dict[str, Any]:
    """A metric's values with the ends of the interval apart."""
    found = values.model_dump(exclude={"ci95"})
    found["ci95_low"], found["ci95_high"] = values.ci95 or (None, None)
    return found


def _counted(summary: Summary) -> str:
    return "songs" if summary.whole_songs else "clips"


def _row(summary: Summary, metric: MetricAbout, entry: Entry, values: Values) -> dict[str, Any]:
    row: dict[str, Any] = {part: getattr(values, part) for part in metric.parts}
    row |= {INTERVAL: values.ci95, "median": values.median, _counted(summary): values.clips}
    return row | ({"dropped": entry.dropped} if metric.where == "sounding" else {})
