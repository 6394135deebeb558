"""The measured figures of a table's row: one array over seeds, test clips and levels, with the clips' songs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slakh_hier.errors import InputError
from slakh_hier.models.experiments.cell import Cell, read_table

FIGURES = ("mix", "si_sdr", "delta")


@dataclass(frozen=True)
class RowScores:
    """What a row's separators reached.

    Attributes
    ----------
    seeds : tuple of int
        For which all cells of the row are done.
    levels : tuple of int
        Finest first.
    clips : DataFrame
        Columns ``clip``, ``song``; the second axis of ``values``.
    values : float64, shape (figures, seeds, clips, levels)
        ``mix``, ``si_sdr`` and ``delta`` in dB; NaN where a clip does not count.
    """

    seeds: tuple[int, ...]
    levels: tuple[int, ...]
    clips: pd.DataFrame
    values: NDArray[np.float64]

    @property
    def delta(self) -> NDArray[np.float64]:
        """The improvements, (seeds, clips, levels)."""
        improvements: NDArray[np.float64] = self.values[FIGURES.index("delta")]
        return improvements

    def of(self, seeds: Sequence[int], clips: Sequence[int]) -> NDArray[np.float64]:
        """The improvements of some seeds and clips, in their order."""
        places = pd.Index(self.clips["clip"]).get_indexer(pd.Index(clips))
        return self.delta[np.ix_([self.seeds.index(seed) for seed in seeds], places)]


def row_scores(names: Sequence[str], finished: Sequence[Cell]) -> RowScores | None:
    """Collect a row's figures from the tables that ``evaluate`` wrote; None while no seed has all its cells.

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
    values = np.stack([[table[figure][levels].to_numpy(float) for table in tables] for figure in FIGURES])
    clips = tables[0].index.to_frame(index=False)
    return RowScores(tuple(seeds), tuple(levels), clips, values)


def _read(cell: Cell) -> pd.DataFrame:
    """(figure, level) columns, a row a clip."""
    table = read_table(cell.scores, usecols=["clip", "song", "level", *FIGURES], dtype={"song": str})
    # Clips in which the finest node is silent are evaluated for leakage only.
    counted = table.groupby("clip")["delta"].transform(lambda values: values.notna().any())
    return table[counted].pivot(index=["clip", "song"], columns="level", values=list(FIGURES))
