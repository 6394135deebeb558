"""Measure one track: what its stems do, hop by hop, and which files they are."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slakh_hier.audio import StemFile, StemRef
from slakh_hier.errors import AudioError
from slakh_hier.plan.activity_file import TrackActivity
from slakh_hier.plan.energy import HOPS_PER_SECOND, hop_edge
from slakh_hier.slakh.content import UNKNOWN, SampleDigest, stored_content

BLOCK_HOPS = 32
"""Hops that are decoded at a time; larger blocks gain nothing."""


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
    hop_samples = hop_edge(1, rate) + 1  # one more than the floor: hops of odd rates differ by a sample
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
    sums = np.zeros((hops, len(rows)))
    gram = np.zeros((hops, len(rows), len(rows)))
    samples = np.zeros((len(rows), hop_samples))  # one hop: it stays in the CPU's cache
    try:
        for first in range(0, hops, BLOCK_HOPS):
            count = min(BLOCK_HOPS, hops - first)
            edges = [hop_edge(first + k, rate) for k in range(count + 1)]
            decoded: dict[int, NDArray[Any]] = {}
            for index, (row, file) in enumerate(zip(rows, files, strict=True)):
                if file is None:
                    continue
                try:
                    decoded[index] = file.read(edges[0], edges[-1] - edges[0])
                except AudioError as error:
                    broken[row.stem] = error.reason
                    files[index] = None
                    samples[index] = 0
                    sums[:, index] = gram[:, index, :] = gram[:, :, index] = 0
            for hop, (begin, end) in enumerate(pairwise(edges), start=first):
                for index, block in decoded.items():
                    samples[index, : end - begin] = block[begin - edges[0] : end - edges[0]]
                here = samples[:, : end - begin]
                sums[hop] = here.sum(axis=1)
                gram[hop] = (
                    here @ here.T
                )  # numpy sees that it is symmetric: half the work of a batched product
    finally:
        for file in files:
            if file is not None:
                file.close()
    for index, digest in digests.items():
        contents[index] = UNKNOWN if rows[index].stem in broken else digest.hex()
    stems = tuple(row.stem for row in rows)
    return TrackActivity(stems, broken, tuple(contents), rate, frames, sums, gram)
