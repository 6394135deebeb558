"""From stems to signals: decode once, add up what belongs together, resample; and one rule for every length.

Arrays have a channel axis, ``(channels, samples)``, and integer units (full scale 32768) unless a docstring says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from slakh_hier.audio import FULL_SCALE, StemFile, StemRef
from slakh_hier.closing import Closing

Signal = NDArray[np.float32]
Block = NDArray[Any]
BLOCK = 1 << 17
"""Samples that :func:`read_atoms` holds of each signal at a time: memory follows from it, and not from a song's length."""
ABSENT, SILENT = -1, -2


def sample_at(seconds: float, rate: int) -> int:
    """The sample at a time, rounded down: where hops begin, where clips are cut, and how many samples a clip has.

    Rounded down, since a position is: pieces then have the lengths that make up the whole. To a millionth of a sample, so
    that 0.29 s at 100 Hz are 29 samples whatever floating point makes of the product.
    """
    return math.floor(round(seconds * rate, 6))


def window(start: float, seconds: float, rate: int) -> tuple[int, int]:
    """First sample and number of samples of a clip; the number may differ by one between starts at an odd rate."""
    first = sample_at(start, rate)
    return first, sample_at(start + seconds, rate) - first


def length_at(frames: int, rate: int, new_rate: int) -> int:
    """Samples that ``frames`` at ``rate`` become at ``new_rate`` (Hz): as :func:`sample_at`, and at least one."""
    return max(1, frames * new_rate // rate)


class Atoms:
    """Stems grouped by the outputs (nodes, files) they sound in.

    Stems of the same outputs always sound together: they are one signal (an atom), which is added up before it is
    resampled, so that as little as possible is. Every output is a sum of atoms.

    Parameters
    ----------
    members
        bool (outputs, stems): which stem sounds in which output.

    Attributes
    ----------
    groups
        Indices of the stems of each atom.
    of_output
        Indices of the atoms of each output.
    """

    def __init__(self, members: NDArray[np.bool_]):
        outputs_of_stem = list(map(tuple, members.T.tolist()))
        patterns = sorted(set(outputs_of_stem))
        self.of_stem = [patterns.index(outputs) for outputs in outputs_of_stem]
        self.groups = tuple(
            tuple(stem for stem, atom in enumerate(self.of_stem) if atom == place)
            for place in range(len(patterns))
        )
        self.of_output = tuple(
            tuple(atom for atom, pattern in enumerate(patterns) if pattern[place])
            for place in range(len(members))
        )

    def sums(self, sounding: Collection[int] | None = None) -> tuple[list[tuple[int, ...]], list[int]]:
        """Distinct sums of atoms, as tuples of their indices, and for each output its place among them.

        Parameters
        ----------
        sounding
            Only these atoms; outputs of others are :data:`SILENT`. None: all.

        Returns
        -------
        The place is :data:`ABSENT` for an output without stems.
        """
        places: dict[tuple[int, ...], int] = {}
        of_output = []
        for atoms in self.of_output:
            heard = tuple(atom for atom in atoms if sounding is None or atom in sounding)
            if heard:
                of_output.append(places.setdefault(heard, len(places)))
            else:
                of_output.append(SILENT if atoms else ABSENT)
        return list(places), of_output


def read_atoms(
    files: Sequence[StemFile], groups: Sequence[Sequence[int]], rate: int, frames: int, channels: int
) -> Iterator[list[Block]]:
    """Whole songs: the atoms block by block, at one rate.

    Parameters
    ----------
    groups
        Indices of the files of each atom, which have one rate; a file may be in several.
    rate
        Of the blocks, Hz; soxr HQ where it differs from the files'.
    frames
        Length of every atom at ``rate``: what is longer is cut, what is shorter is followed by zeros.
    channels
        Of every atom; see :meth:`~slakh_hier.audio.StemFile.read`.

    Yields
    ------
    One array (channels, samples) per atom, all of the same length. int32 and exact where all files of the atom hold at
    most 16 bits and nothing is resampled, else float64, in which sums of atoms are exact whatever their order.

    Raises
    ------
    AudioError
        A file cannot be decoded to its end.
    """
    streams = [
        _in_blocks(_at_rate([files[i] for i in group], rate, frames, channels), frames) for group in groups
    ]
    yield from (list(blocks) for blocks in zip(*streams, strict=True))


def _at_rate(files: Sequence[StemFile], rate: int, frames: int, channels: int) -> Iterator[Block]:
    """At least ``frames`` samples of a sum of files; after their end come zeros, in which a resampler rings out."""
    native = files[0].sample_rate
    end = max(-(-frames * native // rate), *(file.frames for file in files))
    stream = None
    if native != rate:
        stream = soxr.ResampleStream(native, rate, channels, dtype="float32", quality="HQ")
    for start in range(0, end, BLOCK):
        count = min(BLOCK, end - start)
        block = _add_up([file.read(start, count, channels) for file in files])
        if stream is not None:
            last = start + count == end
            block = stream.resample_chunk(block.astype(np.float32).T, last=last).T.astype(np.float64)
        yield block


def _add_up(parts: Sequence[Block]) -> Block:
    exact = all(part.dtype == np.int16 for part in parts)
    total: Block = parts[0].astype(np.int32 if exact else np.float64)
    for part in parts[1:]:
        np.add(total, part, out=total)
    return total


def _in_blocks(pieces: Iterator[Block], frames: int) -> Iterator[Block]:
    """The same samples in blocks of equal size, cut to ``frames``."""
    held = np.zeros((1, 0))
    for piece in pieces:
        held = np.concatenate((held, piece), axis=1) if held.size else piece
        while frames and held.shape[1] >= min(BLOCK, frames):
            count = min(BLOCK, frames)
            yield held[:, :count]
            held, frames = held[:, count:], frames - count


@dataclass(frozen=True)
class ClipSignals:
    """The signals of one clip."""

    signals: list[Signal]
    """Distinct signals, float32 (channels, samples), full scale 1.0."""
    place: list[int]
    """For each output: index into ``signals``, :data:`ABSENT` (no such stem) or :data:`SILENT` (every sample of its
    stems is zero). A signal may still be zeros, or round to them: stems can cancel each other."""


class TrackReader(Closing):
    """The stems of one track, open, each decoded and added up once even where clips overlap.

    Clips must come in the order of their starts; then what a clip shares with the one before is taken from there, and
    memory holds one clip per atom.

    Parameters
    ----------
    members
        bool (outputs, stems): which stem sounds in which output.
    channels
        Of every signal; see :meth:`~slakh_hier.audio.StemFile.read`.
    """

    def __init__(self, stems: Sequence[StemRef], members: NDArray[np.bool_], root: Path, channels: int):
        self.sample_rate, self.channels = stems[0].sample_rate, channels
        self._stems, self._root, self._atoms = stems, root, Atoms(members)
        self._files: list[StemFile | None] = [None] * len(stems)
        self._last: tuple[tuple[int, int, int, int], ClipSignals] | None = None
        # What is decoded: native samples from _start to _end, added up by atom.
        self._start = self._end = 0
        self._sums = np.empty((len(self._atoms.groups), channels, 0), np.float32)
        self._sounds_until = [0] * len(stems)  # one past the last sample that is not zero

    def clip(self, start: int, count: int, rate: int, samples: int) -> ClipSignals:
        """Every output's signal between two native samples; the same object when the same clip is asked for again.

        Parameters
        ----------
        start, count
            In samples at the native rate.
        rate, samples
            Rate in Hz and length of the result: resampled with soxr HQ, then cut or followed by zeros.

        Raises
        ------
        AudioError
            A stem cannot be decoded there.
        """
        asked = (start, count, rate, samples)
        if self._last is None or self._last[0] != asked:
            self._decode(start, count)
            sounding = {
                atom
                for atom, until in zip(self._atoms.of_stem, self._sounds_until, strict=True)
                if until > start
            }
            signals = {
                atom: resampled(self._sums[atom, :, :count], self.sample_rate, rate, samples)
                for atom in sorted(sounding)
            }
            sums, place = self._atoms.sums(sounding)
            self._last = asked, ClipSignals([_sum([signals[atom] for atom in each]) for each in sums], place)
        return self._last[1]

    def alone(self, members: Sequence[int], start: int, count: int, rate: int, samples: int) -> Signal | None:
        """The sum of some stems between two native samples, as :meth:`clip`; None where all are silent."""
        total = np.zeros((self.channels, count), np.float32)
        for index in members:
            total += self._open(index).read(start, count, self.channels)  # exact, as in _decode
        return resampled(total, self.sample_rate, rate, samples) if total.any() else None

    def close(self) -> None:
        for file in self._files:
            if file is not None:
                file.close()
        self._files = [None] * len(self._stems)

    def _decode(self, start: int, count: int) -> None:
        """Bring the sums to the samples from ``start``; those that are there already only move."""
        kept = min(count, self._end - start) if self._start <= start <= self._end else 0
        moved = start - self._start
        self._start = self._end = start  # until all stems are read, for a stem that cannot be
        if self._sums.shape[2] < count:
            grown = np.empty((*self._sums.shape[:2], count), np.float32)
            grown[:, :, :kept] = self._sums[:, :, moved : moved + kept]
            self._sums = grown
        elif kept and moved:
            for row in self._sums.reshape(-1, self._sums.shape[2]):
                row[:kept] = row[moved : moved + kept]
        if not kept:
            self._sounds_until = [start] * len(self._stems)
        if kept < count:
            fresh = self._sums[:, :, kept:count]
            written: set[int] = set()
            for index, atom in enumerate(self._atoms.of_stem):
                decoded = self._open(index).read(start + kept, count - kept, self.channels)
                length = _sounding_length(decoded)
                if length == 0:
                    continue
                self._sounds_until[index] = start + kept + length
                if atom in written:
                    fresh[atom] += decoded  # exact for 16 bits: fewer than 256 stems stay below 2**24
                else:
                    fresh[atom] = decoded
                    written.add(atom)
            for atom in set(range(len(fresh))) - written:
                fresh[atom] = 0
        self._end = start + count

    def _open(self, index: int) -> StemFile:
        file = self._files[index]
        if file is None:
            file = self._files[index] = self._stems[index].open(self._root)
        return file


def resampled(native: Signal, native_rate: int, rate: int, samples: int) -> Signal:
    """A signal in integer units at the native rate -> full scale 1.0 at ``rate``, ``samples`` long (soxr HQ)."""
    if native_rate != rate:
        native = soxr.resample(native.T, native_rate, rate, quality="HQ").T
    # Scaled last, since there are fewer samples then; by a power of two, which changes no bit of what soxr does.
    scaled: Signal = native[:, :samples] * np.float32(1 / FULL_SCALE)
    missing = samples - scaled.shape[1]
    return np.pad(scaled, ((0, 0), (0, missing))) if missing else scaled


def _sounding_length(samples: Block) -> int:
    """Samples up to the last one that is not zero in any channel; 0 for digital silence."""
    sounding = samples[0] if len(samples) == 1 else np.asarray(samples.any(axis=0))
    if sounding[-1] != 0:
        return len(sounding)
    return len(sounding) - int(np.argmax(sounding[::-1] != 0)) if sounding.any() else 0


def _sum(signals: list[Signal]) -> Signal:
    total = signals[0]
    for signal in signals[1:]:
        total = total + signal
    return total
