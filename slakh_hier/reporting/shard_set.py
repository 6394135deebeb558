"""The report of a shard set: what it holds, how it sounds, what it lacks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slakh_hier.plan.folder import read_clips
from slakh_hier.plan.parameters import targets_text
from slakh_hier.reporting.document import (
    Facts,
    Plot,
    Report,
    Section,
    Table,
)
from slakh_hier.reporting.left_out import left_out
from slakh_hier.reporting.set_clips import depth_of, set_player
from slakh_hier.reporting.set_figures import draw_histograms, draw_matrix
from slakh_hier.reporting.tree_figures import TreeRow, draw_counts
from slakh_hier.shards.inspect import summary, tree_order
from slakh_hier.shards.read import ShardSet, open_shards
from slakh_hier.wording import channel_word

CLIPS: Final = 20
NO_CLIP: Final = "sounds in no clip of this set"
QUIETEST: Final = -80
"""dBFS: what a 16-bit signal can hardly hold."""


def shard_report(folder: Path, *, clips: int = CLIPS) -> Report:
    """Look through a finished shard set.

    Parameters
    ----------
    clips
        How many the player gets; 0: no player.

    Raises
    ------
    InputError, ShardError
        As :func:`~slakh_hier.shards.read.open_shards`.
    """
    with open_shards(folder) as shards:
        found = summary(folder)
        rows = tree_rows(shards)
        sections = [
            Section("Clips", [set_player(shards, clips)] if len(shards) and clips else []),
            Section("Contents", [_facts(found), Table("Splits", found["splits"])]),
            Section("The tree", [_tree_plot(shards, found, rows), _node_table(found)]),
            Section("Levels", _level_plots(shards)),
            Section("Co-occurrence of nodes", [_together(shards)]),
            left_out(folder),
            _masks(found),
        ]
        if not len(shards):
            sections[0] = Section(sections[0].title, text=["The set holds no clips."])
        elif not clips:
            del sections[0]
        return Report(f"Shard set {folder.resolve().name}", sections, _lead(found))


def tree_rows(shards: ShardSet) -> list[TreeRow]:
    """The set's nodes in the order of the tree."""
    return [TreeRow(shards.nodes[place].name, depth_of(shards, place)) for place in tree_order(shards)]


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
            "Target": _targets(made),
            "Salience": _salience(made),
            "Companion": made.get("companion"),
            "Seed": made.get("seed"),
            "Samples": f"{found['dtype']}, {channel_word(found['channels'])}, {found['sample_rate']:,} Hz",
            "On disk": f"{found['bytes'] / 1e6:,.1f} MB in {found['shards']:,} shards",
            "Made by": f"slakh-hier {found['tool_version']}",
            "Plan": found["plan_digest"],
        }
    )


def _targets(made: Mapping[str, Any]) -> str:
    """The index may be anybody's: its parameters are of any type."""
    target, levels = made.get("target"), made.get("query_levels")
    return targets_text(str(target) if target else None, levels if isinstance(levels, list) else [])


def _salience(made: Mapping[str, Any]) -> str | None:
    if made.get("salience_below_mix") is not None:
        return f"{made['salience_below_mix']} dB below the mixture"
    return f"{made['salience_db']} dBFS" if made.get("salience_db") is not None else None


def _tree_plot(shards: ShardSet, found: dict[str, Any], rows: list[TreeRow]) -> Plot:
    counts = [(node["sounding"], node["silent"], node["absent"]) for node in found["nodes"]]
    hours = [count[0] * shards.clip_seconds / 3600 for count in counts]
    return Plot(
        "tree",
        "Clips in which each node sounds, is silent (its stems are there, every sample is zero) or is absent "
        "(the track has no such stem).",
        f"The tree of {len(rows)} nodes with a bar for the clips of each; the table below has the values.",
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
    return Table("Nodes", rows, folded=True)


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
            "Salience: the level of the target node in its own clips. The dashed line is the salience threshold of the "
            "plan; rendering at a lower rate may take a little energy away.",
            "Histograms of the target's level in dBFS, one for each split.",
            partial(
                draw_histograms,
                {str(split): salience[splits == split] for split in shards.splits},
                "RMS of the target (dBFS)",
                line=(float(limit), "salience threshold") if isinstance(limit, int | float) else None,
            ),
        ),
        Plot(
            "levels",
            f"Levels of all nodes that sound, by level of the tree; below {QUIETEST} dBFS they are counted there.",
            "Histograms of RMS levels in dBFS, one for each level of the tree.",
            partial(draw_histograms, by_level, "RMS (dBFS)", counted="signals", floor=QUIETEST),
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


def _together(shards: ShardSet) -> Plot:
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
    return Plot(
        "together",
        "In how many percent of the clips in which the row's node sounds does the column's node sound too.",
        f"A matrix of {len(order)} by {len(order)} nodes with percentages.",
        partial(draw_matrix, names, together),
        Table("Nodes that sound together (%)", rows, layout="heat", blank=NO_CLIP),
    )


def _masks(found: dict[str, Any]) -> Section:
    if not found["masks"]:
        return Section("Masks", text=["The set has no masks: all ground truth is available."])
    rows = [
        {
            "mask": mask["mask"],
            "withholds": mask["withholds"],
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
        [Table("Masks", rows)],
        [
            "A mask withholds ground truth of training clips; validation and test clips and queries stay whole."
        ],
    )
