"""The report of a shard set: what it holds, how it sounds, what it lacks."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slakh_hier.plan.folder import read_clips
from slakh_hier.reporting.document import Facts, Lane, Player, PlayerClip, Plot, Report, Section, Table
from slakh_hier.reporting.left_out import left_out
from slakh_hier.reporting.set_figures import draw_histograms, draw_matrix
from slakh_hier.reporting.tree_figures import TreeRow, draw_counts
from slakh_hier.shards.inspect import summary, tree_order
from slakh_hier.shards.read import Clip, ShardSet, open_shards

CLIPS: Final = 20
LEAST_CLIPS: Final = 8
ROUNDING: Final = 2**-14
"""A parent and the sum of its children may differ by so much a child: each was rounded to 16 bits."""
QUIETEST: Final = -80
"""dBFS: what a 16-bit signal can hardly hold."""


def shard_report(folder: Path, *, clips: int = CLIPS) -> Report:
    """Look through a finished shard set.

    Parameters
    ----------
    clips
        How many the player gets.

    Raises
    ------
    InputError, ShardError
        As :func:`~slakh_hier.shards.read.open_shards`.
    """
    with open_shards(folder) as shards:
        found = summary(folder)
        rows = tree_rows(shards)
        sections = [
            Section("What it holds", [_facts(found), Table("Splits", found["splits"])]),
            Section("The tree", [_tree_plot(shards, found, rows), _node_table(found)]),
            Section("Levels", _level_plots(shards)),
            Section("Which nodes sound together", _together(shards)),
            left_out(folder),
            _masks(found),
            Section(
                "Clips to see and hear", [_player(shards, clips)] if len(shards) else [], _listening(shards)
            ),
        ]
        return Report(f"Shard set {folder.resolve().name}", sections, _lead(found))


def tree_rows(shards: ShardSet) -> list[TreeRow]:
    """The set's nodes in the order of the tree."""
    return [TreeRow(shards.nodes[place].name, depth_of(shards, place)) for place in tree_order(shards)]


def depth_of(shards: ShardSet, place: int) -> int:
    """How many nodes lie above a column; 0 for the mixture."""
    depth = 0
    while (place := shards.nodes[place].parent) >= 0:
        depth += 1
    return depth


def _lead(found: dict[str, Any]) -> str:
    return (
        f"{found['clips']:,} clips of {found['clip_seconds']:g} s ({found['hours']:.2f} h) at "
        f"{found['sample_rate']:,} Hz with {len(found['nodes']):,} nodes."
    )


def _facts(found: dict[str, Any]) -> Facts:
    made = found["parameters"]
    hierarchy = made.get("hierarchy")
    return Facts(
        {
            "Tree": hierarchy.get("name") if isinstance(hierarchy, dict) else None,
            "Target": made.get("target") or "any node",
            "Salience": f"{made['salience_db']} dBFS" if "salience_db" in made else None,
            "Seed": made.get("seed"),
            "Samples": f"{found['dtype']}, {found['sample_rate']:,} Hz",
            "On disk": f"{found['bytes'] / 1e6:,.1f} MB in {found['shards']:,} shards",
            "Made by": f"slakh-hier {found['tool_version']}",
            "Plan": found["plan_digest"],
        }
    )


def _tree_plot(shards: ShardSet, found: dict[str, Any], rows: list[TreeRow]) -> Plot:
    counts = [(node["sounding"], node["silent"], node["absent"]) for node in found["nodes"]]
    hours = [count[0] * shards.clip_seconds / 3600 for count in counts]
    return Plot(
        "tree",
        "Clips in which each node sounds, is silent (its stems are there, every sample is zero) or is absent "
        "(the track has no such stem).",
        f"The tree of {len(rows)} nodes with a bar for the clips of each; the table below has the figures.",
        partial(draw_counts, rows, counts, hours),
    )


def _node_table(found: dict[str, Any]) -> Table:
    rows = [
        {
            "node": node["node"],
            "level": node["level"],
            "sounding": node["sounding"],
            "hours": node["sounding"] * found["clip_seconds"] / 3600,
            "silent": node["silent"],
            "absent": node["absent"],
            "clips drawn for it": node["target"],
            "mean level (dBFS)": node["mean_rms_dbfs"],
        }
        for node in found["nodes"]
    ]
    return Table("Nodes in figures", rows, folded=True)


def _level_plots(shards: ShardSet) -> list[Plot]:
    targets = np.array([shards.node(name) for name in _rendered_targets(shards)], np.int64)
    rendered = np.flatnonzero(shards.clips["target"].isin([column.name for column in shards.nodes]))
    salience = shards.rms[rendered, targets[rendered]] if len(rendered) else np.zeros(0, np.float32)
    splits = shards.clips["split"].to_numpy()[rendered]
    limit = shards.index.parameters.get("salience_db")
    by_level: dict[str, NDArray[Any]] = {}
    top = shards.nodes[0].level
    for level in sorted({column.level for column in shards.nodes}, reverse=True):
        columns = [place for place, column in enumerate(shards.nodes) if column.level == level]
        name = "mix" if level == top else f"level {level}" if level else "categories"
        by_level[name] = shards.rms[:, columns].ravel()
    plots = [
        Plot(
            "salience",
            "Salience: the level of the target node in its own clips. The dashed line is the limit of drawing; "
            "rendering at a lower rate may take a little energy away.",
            "Histograms of the target's level in dBFS, one for each split.",
            partial(
                draw_histograms,
                {str(split): salience[splits == split] for split in shards.splits},
                "RMS of the target (dBFS)",
                line=(float(limit), "limit of drawing") if isinstance(limit, int | float) else None,
            ),
        ),
        Plot(
            "levels",
            f"Levels of all nodes that sound, by level of the tree; below {QUIETEST} dBFS they are counted there.",
            "Histograms of RMS levels in dBFS, one for each level of the tree.",
            partial(draw_histograms, by_level, "RMS (dBFS)", counted="nodes", floor=QUIETEST),
        ),
    ]
    if difficulty := _difficulty(shards.folder):
        plots.append(
            Plot(
                "mixture-si-sdr",
                "How hard the mixtures are: SI-SDR of the mixture against the target's node at each level. Clips "
                "in which the mixture is that node alone have no finite value and are not shown.",
                "Histograms of the mixture's SI-SDR in dB, one for each level of the tree.",
                partial(draw_histograms, difficulty, "SI-SDR of the mixture (dB)"),
            )
        )
    return plots


def _rendered_targets(shards: ShardSet) -> list[str]:
    """Each clip's target; the mixture stands in where the target's level was not rendered."""
    names = {column.name for column in shards.nodes}
    return [target if target in names else shards.nodes[0].name for target in shards.clips["target"]]


def _difficulty(folder: Path) -> dict[str, NDArray[Any]]:
    try:
        table = read_clips(folder)
    except (OSError, ValueError, KeyError):
        return {}
    columns = sorted((c for c in table.columns if c.startswith("mix_si_sdr_")), reverse=True)
    return {
        f"level {column.rpartition('_')[2]}": pd.to_numeric(table[column], errors="coerce").to_numpy(float)
        for column in columns
    }


def _together(shards: ShardSet) -> list[Plot | Table]:
    order = [place for place in tree_order(shards) if place > 0]
    names = [shards.nodes[place].name for place in order]
    sounding = (shards.row[:, order] >= 0).astype(np.float64)
    both = sounding.T @ sounding
    with np.errstate(invalid="ignore", divide="ignore"):
        together = 100 * both / np.diag(both)[:, None]
    rows = [
        {
            "of the clips with": name,
            **dict(zip(names, (None if np.isnan(x) else round(x) for x in row), strict=True)),
        }
        for name, row in zip(names, together.tolist(), strict=True)
    ]
    return [
        Plot(
            "together",
            "In how many percent of the clips in which the row's node sounds does the column's node sound too.",
            f"A matrix of {len(order)} by {len(order)} nodes with percentages; the table below has them.",
            partial(draw_matrix, names, together),
        ),
        Table("In figures (%)", rows, folded=True, layout="first"),
    ]


def _masks(found: dict[str, Any]) -> Section:
    if not found["masks"]:
        return Section("Masks", text=["The set has no masks: all ground truth is available."])
    rows = [
        {
            "mask": mask["mask"],
            "withholds": "level 1 and finer" if mask["type"] == "leaf" else "every node",
            "percent": float(mask["percent"]),
            "mode": mask["mode"],
            "seed": mask["seed"],
            "clips withheld": mask["withheld"],
            "training clips": mask["train_clips"],
            "stored in": mask["where"],
        }
        for mask in found["masks"]
    ]
    return Section(
        "Masks",
        [Table("Data-reduction masks", rows)],
        [
            "A mask withholds ground truth of training clips; validation and test clips and queries stay whole."
        ],
    )


def _listening(shards: ShardSet) -> list[str]:
    return [] if len(shards) else ["The set holds no clips."]


def _player(shards: ShardSet, count: int) -> Player:
    chosen = spread(shards, count)
    rule = (
        f"{len(chosen)} of {len(shards):,} clips: about as many of each split, at even distances in the order of "
        "the set."
    )
    return Player(rule, [_clip(shards[number]) for number in chosen], shards.masks, LEAST_CLIPS)


def spread(shards: ShardSet, count: int) -> list[int]:
    """Numbers of at most ``count`` clips: the same number of each split, as far as it has them, evenly spread."""
    splits = shards.clips["split"].to_numpy()
    waiting = {split: np.flatnonzero(splits == split) for split in shards.splits}
    waiting = {split: numbers for split, numbers in waiting.items() if len(numbers)}
    chosen: list[int] = []
    # The smallest split first: what it cannot give, the others do.
    for place, split in enumerate(sorted(waiting, key=lambda split: len(waiting[split]))):
        numbers = waiting[split]
        share = min(len(numbers), -(-(count - len(chosen)) // (len(waiting) - place)))
        places = (np.arange(share) * len(numbers)) // max(share, 1)
        chosen += numbers[places].tolist()
    return sorted(chosen)


def _clip(clip: Clip) -> PlayerClip:
    shards = clip.shards
    available = {mask: clip.available(mask) for mask in shards.masks}
    order = tree_order(shards)
    rows = {place: row for place in order if (row := int(shards.row[clip.number, place])) >= 0}
    audio = {row: shards.audio_row(clip.number, row) for row in dict.fromkeys(rows.values())}
    parts = _parts(shards, rows, audio)
    stored = list(dict.fromkeys(row for place in rows for row in parts[rows[place]]))
    signals = [audio[row] for row in stored]
    lanes, absent = [], []
    for place in order:
        name = shards.nodes[place].name
        state = clip.state(name)
        if state == "absent":
            absent.append(name)
            continue
        lanes.append(
            Lane(
                name,
                depth_of(shards, place),
                tuple(stored.index(row) for row in parts[rows[place]]) if place in rows else (),
                f"{clip.rms(name):.1f} dBFS" if state == "sounding" else "silent: every sample is zero",
                tuple(mask for mask, nodes in available.items() if not nodes[name]),
            )
        )
    if (query := clip.query) is not None:
        detail = f"{clip.query_track} at {clip.query_start:g} s"
        lanes.append(Lane("query", 0, (len(signals),), detail, query=True))
        signals.append(query)
    note = f"Target: {clip.target}."
    if absent:
        note += f" Absent from this track: {', '.join(absent)}."
    title = f"{clip.split} · {clip.track} at {clip.start:g} s · {clip.target}"
    return PlayerClip(title, shards.sample_rate, signals, lanes, note)


def _parts(
    shards: ShardSet, rows: dict[int, int], audio: dict[int, NDArray[np.float32]]
) -> dict[int, tuple[int, ...]]:
    """The rows that each row is the sum of: itself, unless the node's children add up to it.

    They do where all of them were rendered (not with ``--target``, which renders one path).
    """
    parts: dict[int, tuple[int, ...]] = {row: (row,) for row in audio}
    for place in sorted(rows, key=lambda place: shards.nodes[place].level):  # children before their parents
        below = [rows[child] for child in rows if shards.nodes[child].parent == place]
        whole = rows[place]
        if whole in below or not below:
            continue
        missing = np.abs(audio[whole] - np.sum([audio[row] for row in below], axis=0)).max(initial=0)
        if missing <= ROUNDING * (len(below) + 1):
            parts[whole] = tuple(dict.fromkeys(row for child in below for row in parts[child]))
    return parts
