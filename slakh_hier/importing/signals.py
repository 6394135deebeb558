"""The samples of a song's files as a track needs them: mono, at one rate, of one length, in blocks side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from slakh_hier.audio import StemFile

BLOCK = 1 << 16
"""Samples that are held of each file at a time: an hour of fifty stems takes no more memory than a minute."""

_ANYWHERE = Path("/")  # a user's own stems may be links to wherever they lie

Samples = NDArray[np.float32]


def length_at(frames: int, rate: int, new_rate: int) -> int:
    """Samples that ``frames`` samples at ``rate`` become at ``new_rate`` (Hz); rounded up, so that nothing is cut."""
    return ceil(frames * new_rate / rate)


def read_together(
    song: str, files: Sequence[tuple[str, Path]], rate: int, frames: int
) -> Iterator[list[Samples]]:
    """Blocks of all files, each float32 (count,) in units of 16-bit integers (full scale 32768).

    Several channels are folded down to their mean, other rates are resampled (soxr HQ), and shorter files end in
    zeros. Samples of 16-bit mono files at ``rate`` are exact.

    Parameters
    ----------
    files
        Names (for errors) and paths.
    rate, frames
        Of what comes out: Hz, samples. At least :func:`length_at` of each file.

    Raises
    ------
    AudioError
        A file cannot be decoded to its end or holds samples that are not finite.
    """
    with ExitStack() as stack:
        opened = [
            stack.enter_context(StemFile(path, root=_ANYWHERE, track=song, stem=name)) for name, path in files
        ]
        streams = [_in_blocks(_at_rate(file, rate), frames) for file in opened]
        yield from (list(blocks) for blocks in zip(*streams, strict=True))


def _at_rate(file: StemFile, rate: int) -> Iterator[Samples]:
    blocks = _decoded(file)
    if file.sample_rate == rate:
        yield from (block for block, _ in blocks)
        return
    resampler = soxr.ResampleStream(file.sample_rate, rate, 1, dtype="float32", quality="HQ")
    for block, last in blocks:
        yield resampler.resample_chunk(block, last=last)


def _decoded(file: StemFile) -> Iterator[tuple[Samples, bool]]:
    for start in range(0, file.frames, BLOCK):
        count = min(BLOCK, file.frames - start)
        yield file.read(start, count).astype(np.float32), start + count == file.frames


def _in_blocks(pieces: Iterator[Samples], frames: int) -> Iterator[Samples]:
    """The same samples in blocks of equal size, followed by zeros up to ``frames``."""
    waiting: list[Any] = []
    held = given = 0
    for piece in pieces:
        waiting.append(piece)
        held += len(piece)
        if held >= BLOCK:
            joined = np.concatenate(waiting)
            whole = held - held % BLOCK
            yield from joined[:whole].reshape(-1, BLOCK)
            given += whole
            waiting, held = [joined[whole:]], held - whole
    rest = np.concatenate([*waiting, np.zeros(frames - given - held, np.float32)])
    for start in range(0, len(rest), BLOCK):
        yield rest[start : start + BLOCK]
