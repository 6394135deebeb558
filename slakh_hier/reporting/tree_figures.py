"""Figures along the tree: how often each node sounds, and how well each is separated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from slakh_hier.reporting.theme import Style, new_figure, node_name, shown, tip
from slakh_hier.wording import counted

ROW_INCHES, INDENT = 0.23, 0.35


@dataclass(frozen=True)
class TreeRow:
    """A node in the order of the tree: the rows below it that lie deeper belong to it."""

    name: str
    depth: int


def draw_counts(
    rows: Sequence[TreeRow],
    counts: Sequence[tuple[int, int, int]],
    hours: Sequence[float],
    style: Style,
) -> Figure:
    """The tree, and beside each node the clips in which it sounds, is silent, is absent, and the hours it sounds."""
    figure, axes = _tree(rows, style)
    places = np.arange(len(rows))
    left = np.zeros(len(rows))
    kinds = (("sounding", style.series[0]), ("silent", style.series[4]), ("absent", "none"))
    for kind, (state, colour) in enumerate(kinds):
        width = np.array([count[kind] for count in counts], float)
        some = width > 0
        edge = style.faint if colour == "none" else "none"
        bars = axes.barh(
            places[some], width[some], 0.62, left[some], color=colour, edgecolor=edge, linewidth=0.6
        )
        for bar, place in zip(bars, places[some], strict=True):
            tip(bar, f"{rows[place].name}: {state} in {counts[place][kind]:,} clips", style)
        left += width
    most = max(float(left.max(initial=0)), 1.0)
    for place, (count, hour) in enumerate(zip(counts, hours, strict=True)):
        axes.text(
            most * 1.02,
            place,
            f"{count[0]:,}" if style.narrow else f"{count[0]:,} · {hour:.2f} h",
            va="center",
            size=7,
        )
    axes.set_xlim(0, most)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=3 if style.narrow else 5))
    axes.set_xlabel(
        "clips"
        if style.narrow
        else "clips (beside the bars: those in which the node sounds, and their hours)"
    )
    handles = [Patch(facecolor=c, edgecolor=c if c != "none" else style.faint, label=n) for n, c in kinds]
    figure.legend(handles=handles, loc="outside upper right", ncols=3)
    return figure


def draw_boxes(
    rows: Sequence[TreeRow],
    values: Mapping[str, Mapping[str, Sequence[float]]],
    label: str,
    style: Style,
) -> Figure:
    """The tree, and beside each node a box plot of its values for each series (dB)."""
    figure, axes = _tree(rows, style, per_row=max(1, len(values)))
    axes.axvline(0, color=style.faint, linewidth=0.8)
    axes.grid(axis="x")
    height = 0.7 / max(1, len(values))
    for number, (series, of_node) in enumerate(values.items()):
        colour = style.series[number % len(style.series)]
        offset = (number - (len(values) - 1) / 2) * height
        for place, row in enumerate(rows):
            data = np.asarray(of_node.get(row.name, ()), float)
            data = data[np.isfinite(data)]
            if not len(data):
                continue
            drawn = axes.boxplot(
                [data],
                positions=[place + offset],
                orientation="horizontal",
                widths=height * 0.8,
                manage_ticks=False,
                patch_artist=True,
                boxprops={"facecolor": colour, "alpha": 0.45, "edgecolor": colour},
                medianprops={"color": style.ink, "linewidth": 1.4},
                whiskerprops={"color": colour},
                capprops={"color": colour},
                flierprops={"marker": ".", "markersize": 3, "markeredgecolor": colour},
            )
            low, middle, high = np.quantile(data, (0.25, 0.5, 0.75))
            whose = f"{row.name}, {series}" if len(values) > 1 else row.name
            tip(
                drawn["boxes"][0],
                f"{whose}: median {middle:.1f} dB, middle half {low:.1f} to {high:.1f} dB, {counted(len(data), 'clip')}",
                style,
            )
            for fliers in drawn["fliers"]:
                tip(fliers, [f"{whose}: {value:.1f} dB" for value in fliers.get_xdata()], style)
            axes.annotate(
                f"n={len(data)}",
                (1.01, place + offset),
                xycoords=("axes fraction", "data"),
                va="center",
                size=7,
            )
        if len(values) > 1:
            axes.plot([], [], color=colour, linewidth=5, alpha=0.6, label=shown(series, 40))
    if len(values) > 1:
        figure.legend(loc="outside upper left", ncols=1 if style.narrow else 2)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=3 if style.narrow else 6))
    axes.set_xlabel(label)
    return figure


def _tree(rows: Sequence[TreeRow], style: Style, per_row: int = 1) -> tuple[Figure, Axes]:
    """A figure with the tree on its left and an empty axis, one line per node, on its right."""
    height = (ROW_INCHES + 0.14 * (per_row - 1)) * len(rows) + 0.9
    figure = new_figure(style, height)
    room, most = (1.5, 18) if style.narrow else (2.6, 30)
    names, axes = figure.subplots(1, 2, sharey=True, width_ratios=[room, style.width - room - 0.7])
    names.set_axis_off()
    names.set_xlim(0, room)
    last_of_depth: dict[int, int] = {}
    for place, row in enumerate(rows):
        x = row.depth * INDENT * 0.5
        parent = last_of_depth.get(row.depth - 1)
        if parent is not None:
            up = x - INDENT * 0.5 + 0.06
            names.plot([up, up, x], [parent + 0.35, place, place], color=style.faint, linewidth=0.8)
        node_name(names.text(x + 0.04, place, shown(row.name, most), va="center", size=8), row.name, style)
        last_of_depth[row.depth] = place
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", left=False, labelleft=False)
    axes.spines["left"].set_visible(False)
    return figure, axes
