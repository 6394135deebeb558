"""A query comes from another song than its clip: counting and picking such rows, for plans and for training."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class OtherSongs:
    """Rows of a table, of which those of another song than a given one can be counted and picked.

    Parameters
    ----------
    rows
        Numbers of the rows.
    songs
        The number of each one's song.

    Attributes
    ----------
    songs
        The distinct songs, sorted.
    """

    def __init__(self, rows: NDArray[Any], songs: NDArray[Any]):
        # Rows of one song stand together, so that "any other song" is "outside this block".
        order = np.argsort(songs, kind="stable")
        self._rows = rows[order]
        self.songs, self._starts, self._sizes = np.unique(songs[order], return_index=True, return_counts=True)

    def __len__(self) -> int:
        return len(self._rows)

    def count(self, song: int) -> int:
        """How many rows are of another song."""
        return len(self._rows) - self._block(song)[1]

    def pick(self, song: int, place: int) -> int:
        """The row at ``place``, from 0 to below :meth:`count`, among those of other songs."""
        start, size = self._block(song)
        return int(self._rows[place if place < start else place + size])

    def _block(self, song: int) -> tuple[int, int]:
        """Where the rows of a song stand, and how many they are."""
        found = int(np.searchsorted(self.songs, song))
        if found == len(self.songs) or self.songs[found] != song:
            return 0, 0
        return int(self._starts[found]), int(self._sizes[found])
