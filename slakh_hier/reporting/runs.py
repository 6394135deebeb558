"""The report of a run, or of two side by side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from slakh_hier.reporting.document import Block, Facts, Plot, Report, Section, Table
from slakh_hier.reporting.node_scores import improvements, rows_of, scored_nodes
from slakh_hier.reporting.portable import portable
from slakh_hier.reporting.run_clips import run_player
from slakh_hier.reporting.run_data import RunData, read_run
from slakh_hier.reporting.run_pairs import score_tables
from slakh_hier.reporting.score_figures import Mark, draw_curves, draw_intervals
from slakh_hier.reporting.tree_figures import draw_boxes
from slakh_hier.wording import with_interval

HEADS: Final = {
    "mix": "mix",
    "si_sdr": "SI-SDR",
    "delta": "Δ",
    "median": "median Δ",
    "oracle": "oracle SI-SDR",
    "leak dB": "leak (dB)",
}
PAIRED: Final = (
    "The first column of values compares the runs clip by clip: the mean difference, its interval over songs, and p of a "
    "test that flips the sign of whole songs. Neither says what trainings with other seeds would give."
)


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
        parts.append(f"{name}{run.config['task'].upper()}, {len(run.curves)} epochs{best}.")
    return " ".join(parts)


def _improvement(summary: dict[str, Any]) -> str:
    delta = summary["all"]["delta"]
    return "" if delta is None else f", improvement on {summary['split']} {delta:+.2f} dB"


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
        columns = [
            c for c in ("epoch", "step", "train_loss", "val_loss", "lr", "clips_per_second") if c in table
        ]
        rows: list[dict[str, Any]] = [
            {str(c): int(v) if c in ("epoch", "step") else f"{v:.4g}" for c, v in row.items()}
            for row in table[columns].to_dict("records")
        ]
        blocks.append(Table(f"Epochs of {name}", rows, folded=True))
    return blocks


def _scores(runs: Sequence[RunData], shards: Path | None) -> Section:
    split = runs[0].split
    missing = [run for run in runs if run.summary is None]
    text = [
        f"{run.name} was not evaluated on {split}. Do it with: slakh-hier evaluate {run.folder.resolve().name} SHARDS --split {split}"
        for run in missing
    ]
    done = {run.name: run.summary for run in runs if run.summary is not None}
    if not done:
        return Section("Evaluation", text=text)
    blocks: list[Block] = []
    from slakh_hier.models.summary import level_rows, node_rows

    if len(done) == 2:
        blocks += score_tables(runs[0], runs[1])
        text.append(PAIRED)
    else:
        (summary,) = done.values()
        rows = [_renamed(row) for row in level_rows(summary)]
        blocks.append(Table(f"SI-SDR (dB) on {split}", rows, layout="first"))
    blocks.append(
        Plot(
            "improvement",
            "Improvement over the mixture with 95 % intervals, bootstrapped over songs. Oracle: the ideal real mask "
            "in [0, 1], the best that such masks can do.",
            "Means and intervals of the improvement in dB at each level; the table above has the values.",
            partial(draw_intervals, _marks(done), "improvement of SI-SDR (dB)"),
        )
    )
    scores = {run.name: run.scores for run in runs if run.scores is not None}
    values = {name: improvements(table) for name, table in scores.items()}
    if any(values.values()):
        tree = rows_of(scored_nodes(scores.values()), [shards, *(run.data.folder for run in runs)])
        blocks.append(
            Plot(
                "nodes",
                "Improvement of each clip, by node: the box holds the middle half, the line is the median.",
                "Box plots of the improvement in dB for each node of the tree; the table below has the values.",
                partial(draw_boxes, tree, values, "improvement of SI-SDR (dB)"),
            )
        )
    for name, summary in done.items():
        suffix = "" if len(runs) == 1 else f", {name}"
        nodes = [_renamed(row) for row in node_rows(summary)]
        blocks.append(Table(f"By node{suffix}", nodes, folded=True, layout="first"))
    return Section("Evaluation", blocks, text)


def _renamed(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the summary's tables with heads for people; the interval stands beside its mean."""
    found = {HEADS.get(name, name): value for name, value in row.items() if name != "ci95"}
    return {**found, "Δ": with_interval(row["delta"], row["ci95"], 2)}


def _marks(done: dict[str, dict[str, Any]]) -> dict[str, list[Mark]]:
    marks: dict[str, list[Mark]] = {}
    levels = sorted(
        {level for summary in done.values() for level in summary["levels"]}, key=int, reverse=True
    )
    for level in [*levels, "all"]:
        title = "all levels" if level == "all" else f"level {level}"
        for name, summary in done.items():
            entry = summary["all"] if level == "all" else summary["levels"].get(level)
            if entry is None or entry["delta"] is None:
                continue
            ends = entry["ci95"]
            marks.setdefault(title, []).append(
                Mark(name, entry["delta"], None if ends is None else (ends[0], ends[1]))
            )
        # The oracle does not depend on the run, but for its STFT.
        oracle = next(iter(done.values()))["references"]["oracle"]
        best = oracle["all"] if level == "all" else oracle["levels"].get(level)
        if title in marks and best is not None and best["delta"] is not None:
            marks[title].append(Mark("oracle", best["delta"], hollow=True))
    return marks
