"""The report of an experiment: its claims, its tables, and the runs behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from slakh_hier.reporting.document import Block, Plot, Report, Section, Table
from slakh_hier.reporting.experiment_runs import Runs, clip_sections, pooled, run_section
from slakh_hier.reporting.score_figures import Mark, draw_curves_of_rows, draw_intervals
from slakh_hier.reporting.tree_figures import draw_boxes
from slakh_hier.scores.experiment import PAIRED, RESULTS, Difference, Results, Row, read_results
from slakh_hier.scores.experiment import Table as ResultTable
from slakh_hier.scores.summary import PRIMARY, MetricAbout, Values, level_name
from slakh_hier.wording import difference, with_interval

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
        text = [PAIRED] if table.comparisons and number == 1 else []
        sections.append(Section(table.title, list(_table_blocks(table, results.metrics, number, runs)), text))
    if results.cells:
        sections.append(run_section(runs, page))
    done = sum(cell.state == "done" for cell in results.cells)
    lead = f"Preset {results.preset}. " if results.preset else ""
    lead += f"{done:,} of {len(results.cells):,} runs are done." if results.cells else ""
    return Report(results.title or f"Experiment {results.experiment}", sections, lead)


def _claims(results: Results) -> Table:
    rows = [claim.model_dump() for claim in results.claims]
    return Table("The paper's claims, and what these results say", rows, layout="stacked")


def _table_blocks(
    table: ResultTable, metrics: Mapping[str, MetricAbout], number: int, runs: Runs
) -> Iterator[Block]:
    for name, metric in metrics.items():
        yield from _values(table, name, metric, number, runs)
    curves = {_label(table, row): cells for row in table.rows if (cells := runs.curves(row))}
    if curves:
        yield Plot(
            f"curves-{number}",
            "Loss by epoch: one line per seed, training dashed.",
            "Lines of training and validation loss by epoch, one panel per model.",
            partial(draw_curves_of_rows, curves),
        )


def _values(table: ResultTable, name: str, metric: MetricAbout, number: int, runs: Runs) -> Iterator[Block]:
    """Tables and plots of one metric."""
    levels, where = _levels(table), "" if name == PRIMARY else f"-{name}"
    sources = list(_sources(table, name))
    yield Table(
        f"Improvement Δ of {metric.title} over the mixture, with its 95 % interval",
        [
            {
                "model": model,
                **{
                    level_name(level): _delta(row.entry(level, published=published)[name]) for level in levels
                },
                "seeds": None if published else "not run yet" if row.cells is None else row.seeds,
                "levels trained": str(row.levels),
            }
            for row, model, published in sources
        ],
        layout="first",
        right=tuple(map(level_name, levels)),
    )
    whole = [
        {"model": model, **_everything(row, published, levels, name, metric)}
        for row, model, published in sources
        if published or row.cells is not None
    ]
    yield Table(f"With {metric.title} and medians", whole, folded=True, layout="first")
    label = f"improvement of {metric.title}"
    if groups := _groups(table, levels, name):
        yield Plot(
            f"table-{number}{where}",
            "Mean improvement with 95 % intervals; open markers are the published values, from other data and longer "
            "trainings.",
            f"Means and intervals of the improvement of {metric.heading}; the table above has the values.",
            partial(draw_intervals, groups, label, hollow=PUBLISHED),
        )
    scores = {
        _label(table, row): pooled(tables, name) for row in table.rows if (tables := runs.scores(row, name))
    }
    if scores:
        nodes = runs.nodes(table.rows)
        yield Plot(
            f"nodes-{number}{where}",
            "Improvement of each test clip by node, all seeds together: the box holds the middle half, the line is the "
            "median.",
            f"Box plots of the improvement for {len(nodes)} nodes of the tree, one for each model.",
            partial(draw_boxes, nodes, scores, label),
        )
    if compared := _comparisons(table, levels, name):
        title = (
            f"Difference of Δ, clip by clip ({metric.unit or metric.heading}), with its 95 % interval and p"
        )
        yield Table(title, compared, layout="first")


def _sources(table: ResultTable, metric: str) -> Iterator[tuple[Row, str, bool]]:
    """Each row, its name for people, and whether its published values are meant: as it was measured, then as published."""
    for row in table.rows:
        yield row, row.model, False
        if any(metric in entry.metrics for entry in (row.published or {}).values()):
            yield row, f"as {PUBLISHED}", True


def _delta(values: Values) -> str:
    return with_interval(values.improvement, values.ci95)


def _everything(
    row: Row, published: bool, levels: list[str], name: str, metric: MetricAbout
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for level in levels:
        values, where = row.entry(level, published=published)[name], level_name(level)
        found |= {
            f"{where}: mixture": values.mixture,
            f"{where}: {metric.heading}": values.estimate,
            f"{where}: Δ": values.improvement,
            f"{where}: median Δ": values.median,
        }
    return found


def _comparisons(table: ResultTable, levels: list[str], metric: str) -> list[dict[str, Any]]:
    return [
        {
            **dict(zip(("model", "against"), table.models(comparison), strict=True)),
            **{level_name(level): _gap(comparison.levels.get(level)) for level in levels},
        }
        for comparison in table.comparisons
        if comparison.levels and comparison.metric == metric
    ]


def _gap(gap: Difference | None) -> str | None:
    return None if gap is None else difference(gap.mean, gap.ci95, gap.p)


def _groups(table: ResultTable, levels: list[str], metric: str) -> dict[str, list[Mark]]:
    groups: dict[str, list[Mark]] = {}
    for level in levels:
        for row in table.rows:
            for hollow in (False, True):
                values = row.entry(level, published=hollow)[metric]
                if values.improvement is not None:
                    mark = Mark(_label(table, row), values.improvement, values.ci95, hollow)
                    groups.setdefault(level_name(level), []).append(mark)
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
