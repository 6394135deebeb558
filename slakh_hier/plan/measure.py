"""Moments of one track's stems, and which files they are, from the one time that they are decoded."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slakh_hier.audio import StemFile, StemRef, channels_of
from slakh_hier.errors import AudioError
from slakh_hier.plan.activity_file import TrackActivity
from slakh_hier.plan.energy import HOPS_PER_SECOND, Moments, hop_edge
from slakh_hier.slakh.content import UNKNOWN, SampleDigest, stored_content

BLOCK_HOPS = 32
"""Hops that are decoded at a time; larger blocks gain nothing."""
MOST_PRODUCTS = 1_000_000
"""In one multiplication of matrices: OpenBLAS takes up to so many where they are, and copies larger matrices first, for
two to three times the time."""


def measure_track(rows: list[StemRef], root: Path) -> TrackActivity:
    """Sums, Gram matrices and contents of one track's stems.

    Parameters
    ----------
    rows
        The track's stems.
    root
        The data set's folder.
    """
    rate = rows[0].sample_rate
    frames = max(row.frames for row in rows)
    hops = -(-frames * HOPS_PER_SECOND // rate)
    files: list[StemFile | None] = []
    broken: dict[str, str] = {}
    contents = [stored_content(root / row.path) for row in rows]
    digests = {index: SampleDigest() for index, content in enumerate(contents) if not content}
    for index, row in enumerate(rows):
        try:
            files.append(opened := row.open(root))
            if index in digests:
                opened.watch = digests[index].update
        except AudioError as error:
            broken[row.stem] = error.reason
            files.append(None)
    sums = [_HopSums(hops, len(rows), rate) for _ in range(channels_of(rows))]
    try:
        for first in range(0, hops, BLOCK_HOPS):
            count = min(BLOCK_HOPS, hops - first)
            edges = [hop_edge(first + k, rate) for k in range(count + 1)]
            decoded: dict[int, NDArray[Any]] = {}
            for index, (row, file) in enumerate(zip(rows, files, strict=True)):
                if file is None:
                    continue
                try:
                    own = 2 if file.channels == 2 else 1
                    decoded[index] = file.read(edges[0], edges[-1] - edges[0], own)
                except AudioError as error:
                    broken[row.stem] = error.reason
                    files[index] = None
                    for signal in sums:
                        signal.forget(index)
            for hop, (begin, end) in enumerate(pairwise(edges), start=first):
                for index, block in decoded.items():
                    here = block[:, begin - edges[0] : end - edges[0]]
                    sums[0].put(index, here, np.add)
                    if len(here) == 2:  # a mono stem has no side
                        sums[1].put(index, here, np.subtract)
                for signal in sums:
                    signal.close(hop, end - begin)
    finally:
        for file in files:
            if file is not None:
                file.close()
    moments = tuple(signal.moments for signal in sums)
    for index, digest in digests.items():
        contents[index] = UNKNOWN if rows[index].stem in broken else digest.hex()
    stems = tuple(row.stem for row in rows)
    return TrackActivity(stems, broken, tuple(contents), rate, frames, moments)


class _HopSums:
    """Moments of mids or of sides, as they are added up hop by hop."""

    def __init__(self, hops: int, stems: int, rate: int):
        self.moments = Moments(np.zeros((hops, stems)), np.zeros((hops, stems, stems)))
        # One hop, which stays in the CPU's cache; one sample more than the floor, since hops of odd rates differ by one.
        # Ones come first, so that one product gives the sums too.
        self._samples = np.ones((1 + stems, hop_edge(1, rate) + 1))
        self._sounding: list[int] = []  # the stems whose samples follow: most music has rests

    def put(self, stem: int, block: NDArray[Any], combine: np.ufunc) -> None:
        """Set a stem's samples of the next hop: those of a mono stem, or half of what two channels are combined to."""
        if block[0, -1] == 0 and np.count_nonzero(block) == 0:
            return
        self._sounding.append(stem)
        place = self._samples[len(self._sounding), : block.shape[1]]
        if len(block) == 1:
            place[:] = block[0]
        else:
            combine(block[0], block[1], out=place, dtype=np.float64)
            place *= 0.5

    def close(self, hop: int, count: int) -> None:
        """Add up the hop, of ``count`` samples."""
        if not self._sounding:
            return
        stems = np.array(self._sounding)
        rows = self._samples[: 1 + len(stems), :count]
        pieces = -(-len(stems) * len(rows) * count // MOST_PRODUCTS)
        products = np.zeros((len(stems), len(rows)))
        for begin, end in pairwise(count * piece // pieces for piece in range(pieces + 1)):
            products += rows[1:, begin:end] @ rows[:, begin:end].T
        self.moments.sums[hop, stems] = products[:, 0]
        self.moments.gram[hop, stems[:, None], stems] = products[:, 1:]
        self._sounding = []

    def forget(self, stem: int) -> None:
        """Take a stem as silent from the first hop on."""
        self.moments.sums[:, stem] = 0
        self.moments.gram[:, stem, :] = self.moments.gram[:, :, stem] = 0
