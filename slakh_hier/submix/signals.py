"""From the stems of a track to blocks of sound: decode once, add up what belongs together, resample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from slakh_hier.audio import StemRef
from slakh_hier.submix.layout import Output

Block = NDArray[Any]
BLOCK = 1 << 18
"""Samples of a block at the native rate (6 s at 44.1 kHz): memory follows from it, and not from the length of a song.

Each read of a FLAC file costs a seek besides, so that smaller blocks take more time."""


class Atoms:
    """The stems of a track, grouped by the files they go into.

    Stems that go into the same files are one signal (an atom): they are added before anything else is done, so that
    as little as possible is resampled. Every file is a sum of atoms.

    Attributes
    ----------
    groups
        Indices of the stems of each atom.
    signals
        Distinct sums of atoms, as tuples of their indices, in the order of the files.
    signal_of
        For each file, its place in ``signals``: a node with one sounding child shares the child's.
    """

    def __init__(self, stems: Sequence[str], outputs: Sequence[Output]):
        patterns: dict[tuple[int, ...], list[int]] = {}
        members = [frozenset(output.stems) for output in outputs]
        for index, stem in enumerate(stems):
            inside = tuple(place for place, member in enumerate(members) if stem in member)
            patterns.setdefault(inside, []).append(index)
        self.groups = tuple(map(tuple, patterns.values()))
        places: dict[tuple[int, ...], int] = {}
        self.signal_of: list[int] = []
        for place in range(len(outputs)):
            sum_of = tuple(atom for atom, inside in enumerate(patterns) if place in inside)
            self.signal_of.append(places.setdefault(sum_of, len(places)))
        self.signals = tuple(places)


def frames_at(frames: int, native_rate: int, sample_rate: int) -> int:
    """Length in samples after resampling: rounded, as soxr does it, but at least one."""
    return max(1, (2 * frames * sample_rate + native_rate) // (2 * native_rate))


def read_atoms(
    stems: Sequence[StemRef], groups: Sequence[Sequence[int]], root: Path, sample_rate: int
) -> Iterator[list[Block]]:
    """The atoms of a track, block by block, in integer units (full scale 32768).

    Parameters
    ----------
    groups
        Indices of the stems of each atom; every stem is in one of them.
    sample_rate
        Of the blocks, in Hz; soxr's HQ resampling where it differs from the stems' rate.

    Yields
    ------
    One array an atom, all of the same length. int32 and exact when all stems of the atom hold at most 16 bits and
    nothing is resampled, else float64. Short stems are silent after their end. The lengths add up to
    :func:`frames_at` of the longest stem.

    Raises
    ------
    AudioError
        A stem is not what the catalog says or cannot be decoded.
    """
    native_rate, frames = stems[0].sample_rate, max(stem.frames for stem in stems)
    with ExitStack() as stack:
        files = [stack.enter_context(stem.open(root)) for stem in stems]
        resamplers = None
        if sample_rate != native_rate:
            resamplers = [
                soxr.ResampleStream(native_rate, sample_rate, 1, dtype="float32", quality="HQ")
                for _ in groups
            ]
        missing = frames_at(frames, native_rate, sample_rate)
        for start in range(0, frames, BLOCK):
            count = min(BLOCK, frames - start)
            last = start + count == frames
            blocks = []
            for atom, group in enumerate(groups):
                block = _add_up([files[index].read(start, count) for index in group])
                if resamplers is not None:
                    # float64 afterwards: sums of atoms are then exact whatever their order.
                    block = resamplers[atom].resample_chunk(block.astype(np.float32), last=last)
                    block = block.astype(np.float64)
                    if last:
                        block = np.pad(block[:missing], (0, max(0, missing - len(block))))
                blocks.append(block)
            missing -= len(blocks[0])
            yield blocks


def _add_up(parts: Sequence[Block]) -> Block:
    exact = all(part.dtype == np.int16 for part in parts)
    total: Block = parts[0].astype(np.int32 if exact else np.float64)
    for part in parts[1:]:
        np.add(total, part, out=total)
    return total
