"""The report of a run, or of two side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from slakh_hier.reporting.document import Block, Facts, Plot, Report, Section, Table
from slakh_hier.reporting.node_scores import improvements, rows_of, scored_nodes
from slakh_hier.reporting.portable import portable
from slakh_hier.reporting.run_clips import run_player
from slakh_hier.reporting.run_data import RunData, read_run
from slakh_hier.reporting.run_pairs import pair_tables
from slakh_hier.reporting.score_figures import Mark, draw_curves, draw_intervals
from slakh_hier.reporting.tree_figures import draw_boxes
from slakh_hier.scores.summary import ALL, PRIMARY, MetricAbout, Summary, column, level_name
from slakh_hier.scores.tables import INTERVAL, ScoreTable, score_tables
from slakh_hier.wording import counted, typed, with_interval

PAIRED: Final = (
    "The first column of values compares the runs clip by clip: the mean difference, its interval over songs, and p of a "
    "test that flips the sign of whole songs. Neither says what trainings with other seeds would give."
)

CURVES: Final = {
    "epoch": "epoch",
    "step": "step",
    "train_loss": "training loss",
    "val_loss": "validation loss",
    "lr": "learning rate",
    "clips_per_second": "clips/s",
}
"""Columns of ``metrics.csv`` that are shown, and their headings."""


def run_report(folders: Sequence[Path], *, split: str = "test", shards: Path | None = None) -> Report:
    """Look through one run, or compare two.

    Parameters
    ----------
    split
        Whose evaluation is shown.
    shards
        The shard set that was evaluated; None: the one of the training.

    Raises
    ------
    InputError
        A run cannot be read, or ``shards`` is another set.
    MissingExtraError
        The extra ``train`` is not installed.
    """
    runs = [read_run(folder, name, split) for folder, name in zip(folders, _names(folders), strict=True)]
    player, why_not = run_player(runs, shards)
    sections = [
        Section("Clips", [player] if player else [], [why_not] if why_not else []),
        _scores(runs, shards),
        Section("Learning curves", _curves(runs)),
        Section("Configuration", _about(runs)),
    ]
    title = f"Run {runs[0].name}" if len(runs) == 1 else f"{runs[0].name} and {runs[1].name}"
    return Report(
        title,
        [section for section in sections if section.blocks or section.text],
        _lead(runs),
        _warnings(runs),
    )


def _warnings(runs: Sequence[RunData]) -> list[str]:
    """Of each run that is worse than the mixture, at which levels, and the likely reason."""
    from slakh_hier.models.shortfall import shortfall

    found = [(run.name, shortfall(run.summary, run.curves, run.config)) for run in runs if run.summary]
    return [f"{name}: {text}" if len(runs) > 1 else text for name, text in found if text is not None]


def _names(folders: Sequence[Path]) -> list[str]:
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        names = [
            f"{folder.resolve().parent.name}/{name}" for folder, name in zip(folders, names, strict=True)
        ]
    if len(set(names)) < len(names):
        names = [f"{name} ({number})" for number, name in enumerate(names, 1)]
    return names


def _lead(runs: Sequence[RunData]) -> str:
    parts = []
    for run in runs:
        best = "" if run.summary is None else _improvement(run.summary)
        name = "" if len(runs) == 1 else f"{run.name}: "
        parts.append(f"{name}{run.config['task'].upper()}, {counted(len(run.curves), 'epoch')}{best}.")
    return " ".join(parts)


def _improvement(summary: Summary) -> str:
    delta = summary.all_levels[PRIMARY].improvement
    return (
        ""
        if delta is None
        else f", improvement on {summary.split} {delta:+.2f} {summary.metrics[PRIMARY].unit}"
    )


def _about(runs: Sequence[RunData]) -> list[Block]:
    facts: list[dict[str, Any]] = []
    for run in runs:
        train = run.data.splits.get("train")
        about = {
            "Task": run.config["task"],
            "Separates": _separates(run),
            "Preset": run.config.get("preset"),
            "Training clips": f"{train.clips:,} ({train.hours:.2f} h)" if train else None,
            "Shards": _name(run.data.shards),
            "Device": ", ".join(run.environment.devices) or None,
            "Made by": run.environment.version and f"slakh-hier {run.environment.version}",
        }
        facts.append(about)
    blocks: list[Block] = [Facts(facts[0])]
    if len(runs) > 1:
        columns = dict(zip((run.name for run in runs), facts, strict=True))
        rows = [
            {"property": key, **{name: about[key] for name, about in columns.items()}} for key in facts[0]
        ]
        blocks = [Table("Side by side", rows)]
    keys = list(dict.fromkeys(key for run in runs for key in run.config))
    rows = [{"setting": key, **{run.name: _text(run.config.get(key)) for run in runs}} for key in keys]
    if len(runs) > 1:
        differing = [row for row in rows if len({row[run.name] for run in runs}) > 1]
        blocks.append(Table("Settings that differ", differing))
    blocks.append(Table("All settings", rows, folded=True))
    return blocks


def _name(shards: str | None) -> str | None:
    """Of a shard set: an address as it is, of a folder the name."""
    return shards if shards is None or "://" in shards else Path(shards).name


def _separates(run: RunData) -> str | None:
    names = ", ".join(run.data.names) or None
    return f"whatever the query sounds like ({names})" if run.config["task"] == "qbe" and names else names


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return None if value is None else f"{value:g}" if isinstance(value, float) else portable(str(value))


def _curves(runs: Sequence[RunData]) -> list[Block]:
    there = {run.name: run.curves for run in runs if len(run.curves)}
    if not there:
        return []
    blocks: list[Block] = [
        Plot(
            "learning-curves",
            "Loss by epoch. Validation is measured on the whole validation split.",
            "Lines of training and validation loss by epoch; the table below has the values.",
            partial(draw_curves, there),
        )
    ]
    for name, table in there.items():
        columns = [name for name in CURVES if name in table]
        rows: list[dict[str, Any]] = [
            {CURVES[str(c)]: int(v) if c in ("epoch", "step") else f"{v:.4g}" for c, v in row.items()}
            for row in table[columns].to_dict("records")
        ]
        blocks.append(Table(f"Epochs of {name}", rows, folded=True))
    return blocks


def _scores(runs: Sequence[RunData], shards: Path | None) -> Section:
    split = runs[0].split
    missing = [run for run in runs if run.summary is None]
    text = [
        f"{run.name} was not evaluated on {split}. Do it with: "
        + typed("evaluate", run.folder.resolve().name, "SHARDS", "--split", split)
        for run in missing
    ]
    done = {run.name: run.summary for run in runs if run.summary is not None}
    if not done:
        return Section("Evaluation", text=text)
    blocks: list[Block] = []
    if len(done) == 2:
        blocks += pair_tables(*runs)
        text.append(PAIRED)
    else:
        blocks += [_table(table) for table in score_tables(*done.values()) if not table.by_node]
    blocks += _plots(runs, done, shards)
    for name, summary in done.items():
        suffix = "" if len(runs) == 1 else f", {name}"
        blocks += [_table(table, suffix, folded=True) for table in score_tables(summary) if table.by_node]
    return Section("Evaluation", blocks, text)


def _table(table: ScoreTable, suffix: str = "", *, folded: bool = False) -> Table:
    """For a page: the interval stands beside its mean."""
    rows = []
    for row in table.rows:
        of = "improvement" if "improvement" in row else "estimate"
        shown = {key: value for key, value in row.items() if key != INTERVAL}
        rows.append(shown | {of: with_interval(row[of], row[INTERVAL], 2)})
    right = ("improvement",) if rows and "improvement" in rows[0] else ("estimate",)
    return Table(f"{table.title}{suffix}", rows, folded=folded, layout="first", right=right)


def _plots(runs: Sequence[RunData], done: dict[str, Summary], shards: Path | None) -> Iterator[Plot]:
    """For each metric of sounding nodes: means with intervals by level, and boxes by node."""
    metrics = {name: about for summary in done.values() for name, about in summary.metrics.items()}
    scores = {run.name: run.scores for run in runs if run.scores is not None}
    tree = rows_of(scored_nodes(scores.values()), [shards, *(run.data.folder for run in runs)])
    for name, metric in metrics.items():
        if metric.where != "sounding":
            continue
        label, suffix = f"improvement of {metric.title}", "" if name == PRIMARY else f"-{name}"
        yield Plot(
            f"improvement{suffix}",
            f"Improvement of {metric.heading} over the mixture with 95 % intervals, bootstrapped over songs. Oracle: the "
            "ideal real mask in [0, 1], the best that such masks can do.",
            "Means and intervals of the improvement at each level; the table above has the values.",
            partial(draw_intervals, _marks(done, name, metric), label),
        )
        values = {
            run: improvements(table, name)
            for run, table in scores.items()
            if column(name, "improvement") in table
        }
        if any(values.values()):
            yield Plot(
                f"nodes{suffix}",
                f"Improvement of {metric.heading} of each clip, by node: the box holds the middle half, the line is the "
                "median.",
                "Box plots of the improvement for each node of the tree; the table below has the values.",
                partial(draw_boxes, tree, values, label),
            )


def _marks(done: dict[str, Summary], name: str, metric: MetricAbout) -> dict[str, list[Mark]]:
    groups = {run: dict(summary.groups) for run, summary in done.items()}
    marks: dict[str, list[Mark]] = {}
    for level in sorted({level for found in groups.values() for level in found}, key=_last_is_all):
        values = {run: found[level][name] for run, found in groups.items() if level in found}
        some = [Mark(run, v.improvement, v.ci95) for run, v in values.items() if v.improvement is not None]
        # The oracle does not depend on the run, but for its STFT.
        best = next(iter(values.values()))
        if some and best.oracle is not None and best.mixture is not None:
            some.append(Mark("oracle", metric.improvement(best.oracle, best.mixture), hollow=True))
        if some:
            marks[level_name(level)] = some
    return marks


def _last_is_all(level: str) -> tuple[bool, int]:
    """Coarsest first, then all levels."""
    return level == ALL, 0 if level == ALL else -int(level)
