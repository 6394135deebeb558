"""An experiment's results as files: JSON with everything, CSV for other programs, Markdown for people."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slakh_hier.files import publish, publish_json
from slakh_hier.models.experiments.grid import ALL
from slakh_hier.models.experiments.scores import FIGURES
from slakh_hier.wording import decibels, interval, p_value, with_interval

STEM, PAIRS = "results", "comparisons"


def write_results(folder: Path, found: dict[str, Any]) -> tuple[Path, ...]:
    """Write ``results.md``, ``results.csv``, ``comparisons.csv`` and ``results.json``; returns their paths."""
    texts = {
        f"{STEM}.md": markdown(found),
        f"{STEM}.csv": _csv(flat_rows(found)),
        f"{PAIRS}.csv": _csv(pair_rows(found)),
    }
    for name, text in texts.items():
        publish(folder / name, text.encode())
    publish_json(folder / f"{STEM}.json", found)
    return tuple(folder / name for name in (*texts, f"{STEM}.json"))


def flat_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each model and level, with the published figures beside it."""
    return [
        {
            "experiment": found["experiment"],
            "table": table["title"],
            "model": row["model"],
            "levels_trained": row["levels"],
            "mask": row["mask"],
            "level": level,
            **{figure: entry.get(figure) for figure in FIGURES},
            **_ends("ci95", entry.get("ci95")),
            "median_delta": entry.get("median"),
            "clips": entry.get("clips"),
            "songs": row["songs"],
            "seeds": row["seeds"],
            **{f"published_{figure}": published.get(figure) for figure in FIGURES},
        }
        for table in found["tables"]
        for row in table["rows"]
        for level, entry, published in _entries(row)
    ]


def pair_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each two models and level: the paired difference of their improvements (dB)."""
    return [
        {
            "experiment": found["experiment"],
            "table": table["title"],
            "model": models[pair["row"]],
            "against": models[pair["with"]],
            "level": level,
            "difference": gap["mean"],
            **_ends("difference", gap["ci95"]),
            "p": gap["p"],
            "songs": gap["songs"],
            "seeds": gap["seeds"],
        }
        for table in found["tables"]
        for models in [{row["name"]: row["model"] for row in table["rows"]}]
        for pair in table["comparisons"]
        for level, gap in pair["levels"].items()
    ]


def _ends(name: str, ci95: list[float] | None) -> dict[str, float | None]:
    low, high = ci95 or (None, None)
    return {f"{name}_low": low, f"{name}_high": high}


def _csv(rows: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]) if rows else [], lineterminator="\n")  # nothing done yet
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def markdown(found: dict[str, Any]) -> str:
    """The tables in the paper's shape, the comparisons and the claims."""
    lines = [f"# {found['title']}", "", _SCALE, "", found["paired"], ""]
    for table in found["tables"]:
        lines += [f"## {table['title']}", "", *_table(table), "", *_comparisons(found, table)]
    lines += ["## Claims", "", "| claim | verdict | figures |", "|---|---|---|"]
    lines += [f"| {claim['claim']} | *{claim['verdict']}* | {claim['why']} |" for claim in found["claims"]]
    states = [cell["state"] for cell in found["cells"]]
    lines += ["", f"{states.count('done')} of {len(states)} cells are done."]
    return "\n".join(lines) + "\n"


_SCALE = (
    "SI-SDR in dB: of the untouched mixture (Mix), of the estimate, the mean improvement (Δ) with its 95 % interval "
    "over songs and seeds, and its median over clips. *Paper*: the published figures, on Slakh2100 and at the paper's "
    "size."
)


def _table(table: dict[str, Any]) -> Iterator[str]:
    levels = [
        ALL,
        *sorted({level for row in table["rows"] for level in row["cells"] or {}} - {ALL}, reverse=True),
    ]
    heads = [
        f"{'All' if level == ALL else f'Level {level}'}: Mix | SI-SDR | Δ | median Δ" for level in levels
    ]
    yield f"| model | levels | {' | '.join(heads)} | seeds |"
    yield "|---|---|" + "---|" * (4 * len(levels)) + "---|"
    for row in table["rows"]:
        cells = [_cells((row["cells"] or {}).get(level, {})) for level in levels]
        yield f"| {row['model']} | {row['levels']} | {' | '.join(cells)} | {row['seeds'] or 'not run'} |"
        if row["published"]:
            cells = [_cells(row["published"].get(level, {})) for level in levels]
            yield f"| *Paper* | {row['levels']} | {' | '.join(cells)} | |"


def _cells(entry: dict[str, Any]) -> str:
    delta = with_interval(entry.get("delta"), entry.get("ci95"))
    return " | ".join(
        [decibels(entry.get("mix")), decibels(entry.get("si_sdr")), delta, decibels(entry.get("median"))]
    )


def _comparisons(found: dict[str, Any], table: dict[str, Any]) -> Iterator[str]:
    rows = [row for row in pair_rows(found) if row["table"] == table["title"]]
    if not rows:
        return
    yield "| model | against | level | difference of Δ | 95 % interval | p |"
    yield "|---|---|---|---|---|---|"
    for row in rows:
        ends = None if row["difference_low"] is None else (row["difference_low"], row["difference_high"])
        figures = f"{decibels(row['difference'], 2, sign=True)} | {interval(ends, 2, sign=True)}"
        yield f"| {row['model']} | {row['against']} | {row['level']} | {figures} | {p_value(row['p'])} |"
    yield ""


def _entries(row: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    published = row["published"] or {}
    for level in dict.fromkeys((*(row["cells"] or {}), *published)):
        yield level, (row["cells"] or {}).get(level, {}), published.get(level, {})
