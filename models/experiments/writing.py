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

STEM = "results"


def write_results(folder: Path, found: dict[str, Any]) -> tuple[Path, ...]:
    """Write ``results.md``, ``results.csv`` and ``results.json``; returns their paths."""
    paths = tuple(folder / f"{STEM}.{ending}" for ending in ("md", "csv", "json"))
    publish(paths[0], markdown(found).encode())
    publish(paths[1], table_csv(found).encode())
    publish_json(paths[2], found)
    return paths


def flat_rows(found: dict[str, Any]) -> list[dict[str, Any]]:
    """A row for each model and level, with the published figures beside it."""
    return [
        {
            "experiment": found["experiment"],
            "table": table["title"],
            "model": row["model"],
            "levels_trained": row["levels"],
            "reduction": row["reduction"],
            "level": level,
            **{figure: entry.get(figure) for figure in FIGURES},
            "ci95_low": (entry.get("ci95") or [None])[0],
            "ci95_high": (entry.get("ci95") or [None])[-1],
            "clips": entry.get("clips"),
            "songs": row["songs"],
            "seeds": row["seeds"],
            **{f"published_{figure}": published.get(figure) for figure in FIGURES},
        }
        for table in found["tables"]
        for row in table["rows"]
        for level, entry, published in _entries(row)
    ]


def table_csv(found: dict[str, Any]) -> str:
    """:func:`flat_rows` as CSV."""
    rows = flat_rows(found)
    out = io.StringIO()
    writer = csv.DictWriter(out, list(rows[0]) if rows else [], lineterminator="\n")  # nothing done yet
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def markdown(found: dict[str, Any]) -> str:
    """The tables in the paper's shape, the comparisons and the claims."""
    lines = [f"# {found['title']}", "", _SCALE, ""]
    for table in found["tables"]:
        lines += [f"## {table['title']}", "", *_table(table), "", *_comparisons(table)]
    lines += ["## Claims", "", "| claim | verdict | figures |", "|---|---|---|"]
    lines += [f"| {claim['claim']} | *{claim['verdict']}* | {claim['why']} |" for claim in found["claims"]]
    states = [cell["state"] for cell in found["cells"]]
    lines += ["", f"{states.count('done')} of {len(states)} cells are done."]
    return "\n".join(lines) + "\n"


_SCALE = (
    "SI-SDR in dB: of the untouched mixture (Mix), of the estimate, and the improvement (Δ) with its 95 % interval "
    "over songs and seeds. *Paper*: the published figures, on Slakh2100 and at the paper's size."
)


def _table(table: dict[str, Any]) -> Iterator[str]:
    levels = [
        ALL,
        *sorted({level for row in table["rows"] for level in row["cells"] or {}} - {ALL}, reverse=True),
    ]
    heads = [f"{'All' if level == ALL else f'Level {level}'}: Mix | SI-SDR | Δ" for level in levels]
    yield f"| model | levels | {' | '.join(heads)} | seeds |"
    yield "|---|---|" + "---|" * (3 * len(levels)) + "---|"
    for row in table["rows"]:
        measured = row["cells"] or {}
        cells = [_cell(measured.get(level, {}), figure) for level in levels for figure in FIGURES]
        yield f"| {row['model']} | {row['levels']} | {' | '.join(cells)} | {row['seeds'] or 'not run'} |"
        if row["published"]:
            cells = [_cell(row["published"].get(level, {}), figure) for level in levels for figure in FIGURES]
            yield f"| *Paper* | {row['levels']} | {' | '.join(cells)} | |"


def _cell(entry: dict[str, Any], figure: str) -> str:
    value = entry.get(figure)
    if value is None:
        return "–"
    ci95 = entry.get("ci95") if figure == "delta" else None
    return f"{value:.1f}" + (f" [{ci95[0]:.1f}, {ci95[1]:.1f}]" if ci95 else "")


def _comparisons(table: dict[str, Any]) -> Iterator[str]:
    known = [entry for entry in table["comparisons"] if entry["levels"]]
    if not known:
        return
    models = {row["name"]: row["model"] for row in table["rows"]}
    yield f"Against *{models[known[0]['with']]}*, clip by clip:"
    yield ""
    yield "| model | level | difference of Δ | 95 % interval | p |"
    yield "|---|---|---|---|---|"
    for entry in known:
        for level, gap in entry["levels"].items():
            ci95 = "–" if gap["ci95"] is None else f"{gap['ci95'][0]:+.2f} to {gap['ci95'][1]:+.2f}"
            p = "–" if gap["p"] is None else "< 0.001" if gap["p"] < 0.001 else f"{gap['p']:.3f}"
            yield f"| {models[entry['row']]} | {level} | {gap['mean']:+.2f} | {ci95} | {p} |"
    yield ""


def _entries(row: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    published = row["published"] or {}
    for level in dict.fromkeys((*(row["cells"] or {}), *published)):
        yield level, (row["cells"] or {}).get(level, {}), published.get(level, {})
