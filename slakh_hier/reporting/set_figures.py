"""Figures of a shard set: how loud its nodes are, how hard its mixtures, and which nodes sound together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from slakh_hier.reporting.theme import Colours, new_figure, shown

BIN_DB = 2.0
WRITTEN_UP_TO = 12
"""Matrices of up to so many nodes have their figures written into the cells."""

Values = Mapping[str, NDArray[Any]]


def draw_histograms(
    groups: Values, label: str, colours: Colours, *, counted: str = "clips", line: float | None = None
) -> Figure:
    """Histograms one above the other with one axis: a panel for each group of values (dB).

    ``counted`` says of what there are so many, ``line`` is a limit to be shown.
    """
    figure = new_figure(6.4, 0.5 + 0.85 * len(groups))
    panels: list[Axes] = figure.subplots(len(groups), 1, sharex=True, squeeze=False)[:, 0].tolist()
    finite = {name: values[np.isfinite(values)] for name, values in groups.items()}
    everything = np.concatenate([*finite.values(), np.zeros(0)])
    low, high = (everything.min(), everything.max()) if len(everything) else (-60.0, 0.0)
    bins = np.arange(np.floor(low / BIN_DB), np.ceil(high / BIN_DB) + 1.5) * BIN_DB
    for number, (axes, (name, values)) in enumerate(zip(panels, finite.items(), strict=True)):
        axes.hist(values, bins=bins.tolist(), color=colours.series[number % len(colours.series)], alpha=0.8)
        axes.set_ylabel(counted)
        middle = f", median {np.median(values):.1f} dB" if len(values) else ""
        axes.set_title(f"{shown(name)} (n = {len(values):,}{middle})", pad=2)
        axes.locator_params(axis="y", nbins=3, integer=True)
        if line is not None:
            axes.axvline(line, color=colours.ink, linewidth=1, linestyle="--")
    panels[-1].set_xlabel(label)
    return figure


def draw_matrix(names: Sequence[str], together: NDArray[np.float64], colours: Colours) -> Figure:
    """In how many percent of the clips with the row's node the column's node sounds too; NaN: no clip has it."""
    side = 2.1 + 0.22 * len(names)
    figure = new_figure(side + 0.6, side)
    axes = figure.subplots()
    image = axes.imshow(together, vmin=0, vmax=100, cmap="viridis", interpolation="nearest")
    labels = [shown(name) for name in names]
    axes.set_xticks(range(len(names)), labels, rotation=90)
    axes.set_yticks(range(len(names)), labels)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    if len(names) <= WRITTEN_UP_TO:
        for (row, column), value in np.ndenumerate(together):
            if np.isfinite(value):
                axes.text(
                    column,
                    row,
                    f"{value:.0f}",
                    ha="center",
                    va="center",
                    size=6.5,
                    color="white" if value < 60 else "black",
                )
    bar = figure.colorbar(image, ax=axes, shrink=0.7, label="% of the row's clips")
    bar.outline.set_visible(False)
    return figure
