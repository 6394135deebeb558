"""Figures of a shard set: levels of its nodes, difficulty of its mixtures, and which nodes sound together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from slakh_hier.reporting.theme import Style, new_figure, shown, tip

BIN_DB = 2.0
WRITTEN_UP_TO = 20
"""Matrices of at most so many nodes have their values written into the cells."""

Values = Mapping[str, NDArray[Any]]


def draw_histograms(
    groups: Values,
    label: str,
    style: Style,
    *,
    counted: str = "clips",
    line: tuple[float, str] | None = None,
    floor: float = -np.inf,
) -> Figure:
    """Histograms one above the other with one axis: a panel for each group of values (dB).

    Parameters
    ----------
    counted
        What is counted.
    line
        A threshold to be shown, and its name.
    floor
        Lower values are counted at it: a few of them would press the others together.
    """
    figure = new_figure(style, 0.5 + 0.85 * len(groups))
    panels: list[Axes] = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0].tolist()
    finite = {name: values[np.isfinite(values)] for name, values in groups.items()}
    everything = np.concatenate([*finite.values(), np.zeros(0)])
    low, high = (everything.min(), everything.max()) if len(everything) else (-60.0, 0.0)
    low = max(low, floor)
    bins = np.arange(np.floor(low / BIN_DB), np.ceil(high / BIN_DB) + 1.5) * BIN_DB
    for number, (axes, (name, values)) in enumerate(zip(panels, finite.items(), strict=True)):
        heights, edges, _ = axes.hist(
            values.clip(bins[0]),
            bins=bins.tolist(),
            color=style.series[number % len(style.series)],
            alpha=0.8,
        )
        for height, start, bar in zip(heights, edges, axes.patches, strict=False):
            tip(bar, f"{name}, {start:g} to {start + BIN_DB:g} dB: {int(height):,} {counted}", style)
        axes.set_ylabel(counted)
        middle = f", median {np.median(values):.1f} dB" if len(values) else ""
        axes.set_title(f"{shown(name)} (n = {len(values):,}{middle})", pad=2)
        axes.locator_params(axis="y", nbins=3, integer=True)
        if line is not None:
            axes.axvline(line[0], color=style.ink, linewidth=1, linestyle="--", label=line[1])
    if line is not None:
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right")
    panels[-1].set_xlabel(label)
    return figure


def draw_matrix(names: Sequence[str], together: NDArray[np.float64], style: Style) -> Figure:
    """In how many percent of the clips with the row's node the column's node sounds too; NaN: no clip has it."""
    silent: list[bool] = np.all(np.isnan(together), axis=1).tolist()
    labels = [shown(name, 30) + " (in no clip)" * none for name, none in zip(names, silent, strict=True)]
    room = 0.4 + 0.055 * max(map(len, labels), default=0)  # inches for the names
    cells = min(style.width - room - 0.2, 0.34 * len(names))
    figure = new_figure(style, cells + room + 0.5)
    axes = figure.subplots()
    image = axes.imshow(together, vmin=0, vmax=100, cmap="viridis", interpolation="nearest")
    axes.set_xticks(range(len(names)), labels, rotation=90)
    axes.set_yticks(range(len(names)), labels)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    size = min(6.5, 72 * cells / max(len(names), 1) / 2.6)
    if len(names) <= WRITTEN_UP_TO and size >= 3:
        for (row, column), value in np.ndenumerate(together):
            if np.isfinite(value):
                axes.text(
                    column,
                    row,
                    f"{value:.0f}",
                    ha="center",
                    va="center",
                    size=size,
                    color="white" if value < 60 else "black",
                )
    bar = figure.colorbar(
        image, ax=axes, location="bottom", fraction=0.04, pad=0.02, aspect=40, label="% of the row's clips"
    )
    bar.outline.set_visible(False)
    return figure
