"""Figures of runs and experiments: learning curves, and means with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from slakh_hier.reporting.theme import Colours, new_figure, shown

MARKERS = "osD^vP"


@dataclass(frozen=True)
class Mark:
    """A mean with its interval (None where it is not known); hollow for figures that come from elsewhere.

    Hollow and full marks of a series share its colour.
    """

    series: str
    value: float
    interval: tuple[float, float] | None = None
    hollow: bool = False


def draw_curves(runs: Mapping[str, pd.DataFrame], colours: Colours) -> Figure:
    """Training (dashed) and validation loss by epoch, a colour a run."""
    figure = new_figure(6.4, 2.9)
    axes = figure.subplots()
    for number, (name, table) in enumerate(runs.items()):
        colour = colours.series[number % len(colours.series)]
        for column, style, what in (("train_loss", "--", "training"), ("val_loss", "-", "validation")):
            values = (
                pd.to_numeric(table[column], errors="coerce") if column in table else pd.Series(dtype=float)
            )
            if np.isfinite(values).any():
                label = what if len(runs) == 1 else f"{shown(name)}, {what}"
                axes.plot(table["epoch"], values, style, color=colour, marker=".", markersize=4, label=label)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    axes.grid(axis="y")
    last = max((float(table["epoch"].max()) for table in runs.values()), default=1.0)
    axes.set_xlim(0.5, last + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside upper left", ncols=2)
    return figure


def draw_intervals(groups: Mapping[str, Sequence[Mark]], label: str, colours: Colours) -> Figure:
    """Means and intervals, a line each, grouped (a level, a model); a colour and a marker for each series."""
    series = list(dict.fromkeys(mark.series for marks in groups.values() for mark in marks))
    lines = sum(len(marks) for marks in groups.values()) + 0.6 * len(groups)
    figure = new_figure(6.4, 0.9 + 0.2 * lines)
    axes = figure.subplots()
    axes.axvline(0, color=colours.faint, linewidth=0.8)
    axes.grid(axis="x")
    place, ticks = 0.0, {}
    for name, marks in groups.items():
        ticks[place + (len(marks) - 1) / 2] = shown(name, 44)
        for mark in marks:
            number = series.index(mark.series)
            colour = colours.series[number % len(colours.series)]
            if mark.interval is not None:
                axes.plot(mark.interval, [place, place], color=colour, linewidth=2, solid_capstyle="butt")
            axes.plot(
                [mark.value],
                [place],
                _marker(number),
                color=colour,
                markersize=5.5,
                fillstyle="none" if mark.hollow else "full",
            )
            place += 1
        place += 0.6
    for number, name in enumerate(series):
        hollow = all(mark.hollow for marks in groups.values() for mark in marks if mark.series == name)
        axes.plot(
            [],
            [],
            _marker(number),
            color=colours.series[number % len(colours.series)],
            fillstyle="none" if hollow else "full",
            linestyle="none",
            label=shown(name, 44),
        )
    axes.set_ylim(place - 0.9, -0.7)
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(label)
    if len(series) > 1:
        figure.legend(loc="outside upper left", ncols=min(len(series), 3))
    return figure


def _marker(number: int) -> str:
    """Another one when the colours begin again."""
    return MARKERS[(number + number // len(MARKERS)) % len(MARKERS)]
