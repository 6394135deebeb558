"""Figures of runs and experiments: learning curves, and means with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from slakh_hier.reporting.theme import Style, new_figure, shown, tip
from slakh_hier.wording import with_interval

MARKERS = "osD^vP"
MANY_EPOCHS = 40
"""Of more epochs than this, the marks are small."""


@dataclass(frozen=True)
class Mark:
    """A mean with its interval (None where it is not known); hollow for values that come from elsewhere.

    Hollow and full marks of a series share its colour.
    """

    series: str
    value: float
    interval: tuple[float, float] | None = None
    hollow: bool = False


def draw_curves(runs: Mapping[str, pd.DataFrame], style: Style) -> Figure:
    """Training (dashed) and validation loss by epoch, one colour per run."""
    figure = new_figure(style, 2.9)
    axes = figure.subplots()
    for number, (name, table) in enumerate(runs.items()):
        prefix = "" if len(runs) == 1 else f"{shown(name)}, "
        _losses(axes, table, style.series[number % len(style.series)], prefix, style, linewidth=1.5)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss")
    _epochs(axes, list(runs.values()))
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside upper left", ncols=1 if style.narrow else 2)
    return figure


def draw_curves_of_rows(rows: Mapping[str, Mapping[str, Sequence[pd.DataFrame]]], style: Style) -> Figure:
    """One panel per row of a table: the losses of its cells, one colour per cell and one thin line per seed."""
    columns = 1 if style.narrow else min(int(style.width / 3.2), len(rows))
    lines = -(-len(rows) // columns)
    figure = new_figure(style, 0.7 + 1.7 * lines)
    panels: list[Axes] = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel().tolist()
    for axes, (row, cells) in zip(panels, rows.items(), strict=False):
        axes.set_title(shown(row, 40), pad=3)
        for number, (cell, tables) in enumerate(cells.items()):
            colour = style.series[number % len(style.series)]
            for table in tables:
                _losses(axes, table, colour, None, style, linewidth=0.9, alpha=0.8)
            axes.plot([], [], color=colour, label=shown(cell, 24))
        _epochs(axes, [table for tables in cells.values() for table in tables])
        if len(cells) > 1:
            axes.legend(loc="upper right")
    for axes in panels[len(rows) :]:
        axes.set_visible(False)
    for place, axes in enumerate(panels[: len(rows)]):
        axes.set_ylabel("loss" if place % columns == 0 else "")
        axes.set_xlabel("epoch" if place + columns >= len(rows) else "")
    return figure


def _losses(
    axes: Axes, table: pd.DataFrame, colour: str, prefix: str | None, style: Style, **looks: Any
) -> None:
    """The two lines of a run, every epoch marked; a prefix of None: without a place in the legend."""
    for column, dash, what in (("train_loss", "--", "training"), ("val_loss", "-", "validation")):
        if column not in table:
            continue
        there = table[["epoch"]].assign(loss=pd.to_numeric(table[column], errors="coerce"))
        there = there[np.isfinite(there["loss"])]
        if not len(there):
            continue
        label = None if prefix is None else f"{prefix}{what}"
        size = 4 if len(there) <= MANY_EPOCHS else 1.5
        (line,) = axes.plot(
            there["epoch"],
            there["loss"],
            dash,
            color=colour,
            label=label,
            marker="o",
            markersize=size,
            **looks,
        )
        points = zip(there["epoch"], there["loss"], strict=True)
        tip(line, [f"epoch {epoch:g}: {what} loss {loss:.4g}" for epoch, loss in points], style)


def _epochs(axes: Axes, tables: Sequence[pd.DataFrame]) -> None:
    last = max((float(table["epoch"].max()) for table in tables), default=1.0)
    axes.set_xlim(0.5, last + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(axis="y")


def draw_intervals(
    groups: Mapping[str, Sequence[Mark]], label: str, style: Style, *, hollow: str | None = None
) -> Figure:
    """Means and intervals, one line each, in groups (by level, by model); each series has a colour and a marker.

    ``hollow`` is what hollow marks are, for the legend.
    """
    series = list(dict.fromkeys(mark.series for marks in groups.values() for mark in marks))
    lines = 0.8 * len(series) * (1 if style.narrow else 0.5)  # of the legend
    lines += sum(len(marks) for marks in groups.values()) + 0.6 * len(groups)
    figure = new_figure(style, 0.9 + 0.2 * lines)
    axes = figure.subplots()
    axes.axvline(0, color=style.faint, linewidth=0.8)
    axes.grid(axis="x")
    place, ticks = 0.0, {}
    for name, marks in groups.items():
        ticks[place + (len(marks) - 1) / 2] = shown(name, 44)
        for mark in marks:
            number = series.index(mark.series)
            colour = style.series[number % len(style.series)]
            if mark.interval is not None:
                axes.plot(mark.interval, [place, place], color=colour, linewidth=2, solid_capstyle="butt")
            (point,) = axes.plot(
                [mark.value],
                [place],
                _marker(number),
                color=colour,
                markersize=5.5,
                fillstyle="none" if mark.hollow else "full",
            )
            whose = f"{mark.series}, {hollow}" if mark.hollow and hollow else mark.series
            tip(point, f"{whose}, {name}: {with_interval(mark.value, mark.interval, 2)} dB", style)
            place += 1
        place += 0.6
    for number, name in enumerate(series):
        empty = all(mark.hollow for marks in groups.values() for mark in marks if mark.series == name)
        axes.plot(
            [],
            [],
            _marker(number),
            color=style.series[number % len(style.series)],
            fillstyle="none" if empty else "full",
            linestyle="none",
            label=shown(name, 44),
        )
    if hollow is not None and any(mark.hollow for marks in groups.values() for mark in marks):
        axes.plot([], [], "o", color=style.ink, fillstyle="none", linestyle="none", label=hollow)
    axes.set_ylim(place - 0.9, -0.7)
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(label)
    if len(series) > 1:
        figure.legend(loc="outside upper left", ncols=1 if style.narrow else 2)
    return figure


def _marker(number: int) -> str:
    """Another one when the colours repeat."""
    return MARKERS[(number + number // len(MARKERS)) % len(MARKERS)]
