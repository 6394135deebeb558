"""The measured values of a table's row: arrays over seeds, test clips and levels, with the clips' songs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slakh_hier.csv_text import read_frame
from slakh_hier.errors import InputError
from slakh_hier.models.experiments.cell import Cell
from slakh_hier.models.metrics import METRICS
from slakh_hier.scores.summary import PRIMARY, Part, column

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RowScores:
    """What a row's separators reached."""

    seeds: tuple[int, ...]
    """For which all cells of the row are done."""
    levels: tuple[int, ...]
    """Finest first."""
    clips: pd.DataFrame
    """Columns ``clip``, ``song``; the second axis of ``values``."""
    values: Mapping[str, Mapping[Part, Array]]
    """NaN where a clip does not count."""

    def improvements(self, metric: str, seeds: Sequence[int], clips: Sequence[int]) -> Array:
        """Improvements of some seeds and clips, in their order: (seeds, clips, levels)."""
        places = pd.Index(self.clips["clip"]).get_indexer(pd.Index(clips))
        whole = self.values[metric]["improvement"]
        return whole[np.ix_([self.seeds.index(seed) for seed in seeds], places)]


def row_scores(names: Sequence[str], finished: Sequence[Cell]) -> RowScores | None:
    """Collect a row's values from the tables that ``evaluate`` wrote; None while no seed has all its cells.

    Parameters
    ----------
    names
        The row's cells.
    finished
        Cells that are done, of this row and others. A seed for which one of the row's is not among them is left out.

    Raises
    ------
    InputError
        The cells were tested on different clips.
    """
    done = {(cell.name, cell.seed): cell for cell in finished if cell.name in names}
    seeds = [
        seed for seed in dict.fromkeys(seed for _, seed in done) if all((n, seed) in done for n in names)
    ]
    if not seeds:
        return None
    tables = [pd.concat([_read(done[name, seed]) for name in names], axis=1) for seed in seeds]
    levels = sorted(set(tables[0].columns.get_level_values(1).astype(int)))
    for cell, table in zip((done[names[0], seed] for seed in seeds), tables, strict=True):
        if not table.index.equals(tables[0].index):
            raise InputError(
                f"{cell.run.parent}: its seeds were tested on different clips; remove the odd one and run again"
            )
    values = {
        name: {
            part: np.stack([table[column(name, part)][levels].to_numpy(float) for table in tables])
            for part in METRICS[name].about.parts
        }
        for name in METRICS
        if all(column(name, "improvement") in table.columns.get_level_values(0) for table in tables)
    }
    clips = tables[0].index.to_frame(index=False)
    return RowScores(tuple(seeds), tuple(levels), clips, values)


def _read(cell: Cell) -> pd.DataFrame:
    """(column, level) columns, one row per clip."""
    table = read_frame(cell.scores, dtype={"song": str})
    columns = [column(name, part) for name, metric in METRICS.items() for part in metric.about.parts]
    # Clips in which the target is silent are evaluated for leakage only.
    counted = table.groupby("clip")[column(PRIMARY, "improvement")].transform(
        lambda values: values.notna().any()
    )
    there = [name for name in columns if name in table]
    return table[counted].pivot(index=["clip", "song"], columns="level", values=there)
