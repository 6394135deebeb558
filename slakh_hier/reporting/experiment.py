"""The report of an experiment: its claims, its tables, and the runs behind them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from slakh_hier.reporting.document import Block, Plot, Report, Section, Table
from slakh_hier.reporting.experiment_results import (
    RESULTS,
    Difference,
    Figures,
    Results,
    ResultTable,
    Row,
    read_results,
)
from slakh_hier.reporting.experiment_runs import Runs, clip_sections, pooled, run_section
from slakh_hier.reporting.node_scores import rows_of, scored_nodes
from slakh_hier.reporting.score_figures import Mark, draw_curves_of_rows, draw_intervals
from slakh_hier.reporting.tree_figures import draw_boxes
from slakh_hier.wording import difference, with_interval

ALL: Final = "all"
PUBLISHED: Final = "published"


def experiment_report(folder: Path, page: Path | None = None, *, shards: Path | None = None) -> Report:
    """Look through an experiment.

    Parameters
    ----------
    page
        Where the page will lie, for links to pages of the runs; None: no links.
    shards
        The shard set of one of the tasks, where it is no longer where the training found it.

    Raises
    ------
    InputError
        ``results.json`` cannot be read.
    """
    results = read_results(folder / RESULTS)
    runs = Runs(folder, results.cells)
    sections = [Section("Claims", [_claims(results)])] if results.claims else []
    sections += clip_sections(results, runs, shards)
    for number, table in enumerate(results.tables, 1):
        text = [results.paired] if results.paired and table.comparisons and number == 1 else []
        sections.append(Section(table.title, list(_table_blocks(table, number, runs)), text))
    if results.cells:
        sections.append(run_section(runs, page))
    done = sum(cell.state == "done" for cell in results.cells)
    lead = f"Preset {results.preset}. " if results.preset else ""
    lead += f"{done:,} of {len(results.cells):,} runs are done." if results.cells else ""
    return Report(results.title or f"Experiment {results.experiment}", sections, lead)


def _claims(results: Results) -> Table:
    rows = [{"claim": c.claim, "verdict": c.verdict, "why": c.why} for c in results.claims]
    return Table("The paper's claims, and what these results say", rows, layout="stacked")


def _table_blocks(table: ResultTable, number: int, runs: Runs) -> Iterator[Block]:
    levels = _levels(table)
    yield Table(
        "Improvement Δ of SI-SDR over the mixture (dB), with its 95 % interval",
        [
            {
                "model": name,
                **_deltas(cells, levels),
                "seeds": _seeds(row, cells),
                "levels trained": str(row.levels),
            }
            for row, name, cells in _sources(table)
        ],
        layout="first",
        right=tuple(map(_level, levels)),
    )
    whole = [
        {"model": name, **_everything(cells, levels)}
        for _, name, cells in _sources(table)
        if cells is not None
    ]
    yield Table("With SI-SDR and medians (dB)", whole, folded=True, layout="first")
    if groups := _groups(table, levels):
        yield Plot(
            f"table-{number}",
            "Mean improvement with 95 % intervals; hollow marks are the published values, from other data and longer "
            "trainings.",
            "Means and intervals of the improvement in dB; the table above has the values.",
            partial(draw_intervals, groups, "improvement of SI-SDR (dB)", hollow=PUBLISHED),
        )
    scores = {_label(table, row): tables for row in table.rows if (tables := runs.scores(row))}
    if scores:
        sets = [shards for row in table.rows for shards in runs.shards(row)]
        nodes = rows_of(
            scored_nodes(t for tables in scores.values() for t in tables), list(dict.fromkeys(sets))
        )
        yield Plot(
            f"nodes-{number}",
            "Improvement of each test clip by node, all seeds together: the box holds the middle half, the line is the "
            "median.",
            f"Box plots of the improvement in dB for {len(nodes)} nodes of the tree, one for each model.",
            partial(
                draw_boxes,
                nodes,
                {label: pooled(tables) for label, tables in scores.items()},
                "improvement of SI-SDR (dB)",
            ),
        )
    if compared := _comparisons(table, levels):
        yield Table(
            "Difference of Δ, clip by clip (dB), with its 95 % interval and p", compared, layout="first"
        )
    curves = {_label(table, row): cells for row in table.rows if (cells := runs.curves(row))}
    if curves:
        yield Plot(
            f"curves-{number}",
            "Loss by epoch: one line per seed, training dashed.",
            "Lines of training and validation loss by epoch, one panel per model.",
            partial(draw_curves_of_rows, curves),
        )


def _sources(table: ResultTable) -> Iterator[tuple[Row, str, dict[str, Figures] | None]]:
    """Each row as it was measured (None: not yet), then as it was published."""
    for row in table.rows:
        yield row, row.model, row.cells
        if row.published:
            yield row, f"as {PUBLISHED}", row.published


def _deltas(cells: dict[str, Figures] | None, levels: list[str]) -> dict[str, Any]:
    found = {level: (cells or {}).get(level, Figures()) for level in levels}
    return {_level(level): with_interval(f.delta, f.ci95) for level, f in found.items()}


def _seeds(row: Row, cells: dict[str, Figures] | None) -> int | str | None:
    if cells is None:
        return "not run yet"
    return None if cells is row.published else max((f.seeds or 0 for f in cells.values()), default=0)


def _everything(cells: dict[str, Figures], levels: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for level in levels:
        figures, name = cells.get(level, Figures()), _level(level)
        found |= {
            f"{name}: mix": figures.mix,
            f"{name}: SI-SDR": figures.si_sdr,
            f"{name}: Δ": figures.delta,
            f"{name}: median Δ": figures.median,
        }
    return found


def _comparisons(table: ResultTable, levels: list[str]) -> list[dict[str, Any]]:
    models = {row.name: row.model for row in table.rows}
    return [
        {
            "model": models.get(comparison.row, comparison.row),
            "against": models.get(comparison.than, comparison.than),
            **{_level(level): _gap(comparison.levels.get(level)) for level in levels},
        }
        for comparison in table.comparisons
        if comparison.levels
    ]


def _gap(gap: Difference | None) -> str | None:
    return None if gap is None else difference(gap.mean, gap.ci95, gap.p)


def _groups(table: ResultTable, levels: list[str]) -> dict[str, list[Mark]]:
    groups: dict[str, list[Mark]] = {}
    for level in levels:
        for row in table.rows:
            for cells, hollow in ((row.cells or {}, False), (row.published or {}, True)):
                figures = cells.get(level)
                if figures is not None and figures.delta is not None:
                    mark = Mark(_label(table, row), figures.delta, figures.ci95, hollow)
                    groups.setdefault(_level(level), []).append(mark)
    return groups


def _label(table: ResultTable, row: Row) -> str:
    """A row's model, with its levels where two have the same one."""
    again = sum(other.model == row.model for other in table.rows) > 1
    return f"{row.model} ({row.levels})" if again else row.model


def _levels(table: ResultTable) -> list[str]:
    """The mean of the levels first, then coarsest first."""
    names = {name for row in table.rows for cells in (row.cells or {}, row.published or {}) for name in cells}
    return sorted(names, key=_place)


def _place(level: str) -> tuple[bool, int, str]:
    return level.isdecimal(), -int(level) if level.isdecimal() else 0, level


def _level(name: str) -> str:
    return f"level {name}" if name.isdecimal() else "all levels" if name == ALL else name
