"""An experiment's results as files: JSON with everything, CSV for other programs, Markdown for people."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slakh_hier.csv_text import csv_lines
from slakh_hier.files import publish, publish_json
from slakh_hier.scores.experiment import PAIRED, RESULTS, Results, Row, Table
from slakh_hier.scores.summary import ALL, Entry, MetricAbout, Values, level_name
from slakh_hier.scores.tables import flat_values
from slakh_hier.wording import decibels, interval, p_value, with_interval

STEM, PAIRS = "results", "comparisons"


def write_results(folder: Path, found: Results) -> tuple[Path, ...]:
    """Write ``results.md``, ``results.csv``, ``comparisons.csv`` and ``results.json``; returns their paths."""
    texts = {
        f"{STEM}.md": markdown(found),
        f"{STEM}.csv": _csv(flat_rows(found)),
        f"{PAIRS}.csv": _csv(pair_rows(found)),
    }
    for name, text in texts.items():
        publish(folder / name, text.encode())
    publish_json(folder / RESULTS, found.model_dump(mode="json", by_alias=True))
    return tuple(folder / name for name in (*texts, RESULTS))


def flat_rows(found: Results) -> list[dict[str, Any]]:
    """One row per model, level and metric, with the published values beside it."""
    return [
        {
            "experiment": found.experiment,
            "table": table.title,
            "model": row.model,
            "levels_trained": row.levels,
            "mask": row.mask,
            "level": level,
            "metric": metric,
            **flat_values(entry[metric]),
            "songs": row.songs,
            "seeds": row.seeds,
            "published_mixture": published[metric].mixture,
            "published_estimate": published[metric].estimate,
            "published_improvement": published[metric].improvement,
        }
        for table in found.tables
        for row in table.rows
        for level, entry, published in _entries(row)
        for metric in found.metrics
    ]


def pair_rows(found: Results) -> list[dict[str, Any]]:
    """One row per two models, level and metric: the paired difference of their improvements."""
    rows = []
    pairs = [(table, pair) for table in found.tables for pair in table.comparisons]
    for table, pair in pairs:
        for level, gap in pair.levels.items():
            low, high = gap.ci95 or (None, None)
            model, against = table.models(pair)
            rows.append(
                {
                    "experiment": found.experiment,
                    "table": table.title,
                    "model": model,
                    "against": against,
                    "metric": pair.metric,
                    "level": level,
                    "difference": gap.mean,
                    "difference_low": low,
                    "difference_high": high,
                    "p": gap.p,
                    "songs": gap.songs,
                    "seeds": gap.seeds,
                }
            )
    return rows


def result_tables(found: Results) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Tables for people, with their titles: the values of each table and metric, then what was compared."""
    for table in found.tables:
        for metric, about in found.metrics.items():
            rows = [
                {
                    "model": row.model,
                    "level": level_name(level),
                    **_shown(entry[metric]),
                    "seeds": row.seeds,
                    "published": published[metric].improvement,
                }
                for row in table.rows
                for level, entry, published in _entries(row)
            ]
            yield f"{table.title}: {about.title}", rows
            pairs = [
                {
                    "model": model,
                    "against": against,
                    "level": level_name(level),
                    "difference": gap.mean,
                    "95 % interval": interval(gap.ci95, 2, sign=True),
                    "p": p_value(gap.p),
                }
                for pair in table.comparisons
                if pair.metric == metric
                for model, against in [table.models(pair)]
                for level, gap in pair.levels.items()
            ]
            if pairs:
                yield f"Difference of the improvements, clip by clip ({about.unit or about.heading})", pairs


def markdown(found: Results) -> str:
    """The tables in the paper's shape, the comparisons and the claims."""
    lines = [f"# {found.title}", "", _SCALE, "", PAIRED, ""]
    for table in found.tables:
        lines += [f"## {table.title}", ""]
        for metric, about in found.metrics.items():
            lines += [*_table(table, metric, about), "", *_comparisons(table, metric)]
    lines += ["## Claims", "", "| claim | verdict | values |", "|---|---|---|"]
    lines += [f"| {claim.claim} | *{claim.verdict}* | {claim.why} |" for claim in found.claims]
    states = [cell.state for cell in found.cells]
    lines += ["", f"{states.count('done')} of {len(states)} cells are done."]
    return "\n".join(lines) + "\n"


_SCALE = (
    "Values are means over clips: of the unprocessed mixture (Mix), of the estimate, of the improvement (Δ) with its 95 % "
    "interval over songs and seeds, and the median of the improvement over clips. *Paper*: the published values, on "
    "Slakh2100 and at the paper's size."
)


def _table(table: Table, metric: str, about: MetricAbout) -> Iterator[str]:
    levels = [
        ALL,
        *sorted({level for row in table.rows for level in row.cells or {}} - {ALL}, reverse=True),
    ]
    names = [name[:1].upper() + name[1:] for name in map(level_name, levels)]
    heads = [f"{name}: Mix | {about.title} | Δ | median Δ" for name in names]
    yield f"| model | levels | {' | '.join(heads)} | seeds |"
    yield "|---|---|" + "---|" * (4 * len(levels)) + "---|"
    for row in table.rows:
        cells = [_cells(row.entry(level)[metric]) for level in levels]
        yield f"| {row.model} | {row.levels} | {' | '.join(cells)} | {row.seeds or 'not run'} |"
        if any(entry.metrics.get(metric) for entry in (row.published or {}).values()):
            cells = [_cells(row.entry(level, published=True)[metric]) for level in levels]
            yield f"| *Paper* | {row.levels} | {' | '.join(cells)} | |"


def _cells(values: Values) -> str:
    delta = with_interval(values.improvement, values.ci95)
    return " | ".join([decibels(values.mixture), decibels(values.estimate), delta, decibels(values.median)])


def _comparisons(table: Table, metric: str) -> Iterator[str]:
    pairs = [pair for pair in table.comparisons if pair.metric == metric and pair.levels]
    if not pairs:
        return
    yield "| model | against | level | difference of Δ | 95 % interval | p |"
    yield "|---|---|---|---|---|---|"
    for pair in pairs:
        for level, gap in pair.levels.items():
            model, against = table.models(pair)
            values = f"{decibels(gap.mean, 2, sign=True)} | {interval(gap.ci95, 2, sign=True)}"
            yield f"| {model} | {against} | {level} | {values} | {p_value(gap.p)} |"
    yield ""


def _shown(values: Values) -> dict[str, Any]:
    return {
        "mixture": values.mixture,
        "estimate": values.estimate,
        "improvement": values.improvement,
        "95 % interval": interval(values.ci95, 2),
        "median": values.median,
    }


def _entries(row: Row) -> Iterator[tuple[str, Entry, Entry]]:
    """Level, measured and published values."""
    for level in dict.fromkeys((*(row.cells or {}), *(row.published or {}))):
        yield level, row.entry(level), row.entry(level, published=True)


def _csv(rows: list[dict[str, Any]]) -> str:
    columns = list(rows[0]) if rows else []  # nothing done yet
    return b"".join(csv_lines([columns, *([row[name] for name in columns] for row in rows)])).decode()
