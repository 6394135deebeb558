"""From stems to the signals of a clip: decode once, sum, resample what differs, add up the tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import soxr
from numpy.typing import NDArray

from slakh_hier.audio import FULL_SCALE, StemFile, StemRef

Signal = NDArray[np.float32]
LOWEST_RMS = 1e-10
"""-200 dBFS: what a signal that is not digital silence, but rounds to it, is given."""


@dataclass(frozen=True)
class NodeSignals:
    """The signals of one clip.

    Attributes
    ----------
    signals
        Distinct signals, float32 (samples,), full scale 1.0.
    place
        For each node: index into ``signals``, -1 no such stem in the track, -2 every decoded sample is zero.
    """

    signals: list[Signal]
    place: list[int]


class TrackReader:
    """The stems of one track, open, each decoded and added up once even where clips overlap.

    Clips must come in the order of their starts; then what a clip shares with the one before is taken from there, and
    memory holds one clip a distinct set of stems.

    Parameters
    ----------
    stems
        The stems to read.
    columns
        bool (nodes, stems): which stem sounds in which node; the first is the mix.
    """

    def __init__(self, stems: Sequence[StemRef], columns: NDArray[np.bool_], root: Path):
        self.sample_rate = stems[0].sample_rate
        self._rows, self._root = stems, root
        self._files: list[StemFile | None] = [None] * len(stems)
        self._last: tuple[tuple[int, int, int, int], NodeSignals] | None = None
        # Stems that belong to the same nodes always sound together: they are one signal to resample.
        nodes_of_stem = list(map(tuple, columns.T.tolist()))
        atoms = sorted(set(nodes_of_stem))
        self._atom_of = [atoms.index(nodes) for nodes in nodes_of_stem]
        self._atoms_of_node = list(zip(*atoms, strict=True))
        # What is decoded: native samples from _start to _end, added up by atom.
        self._start = self._end = 0
        self._sums = np.empty((len(atoms), 0), np.float32)
        self._sounds_until = [0] * len(stems)  # one past the last sample that is not zero

    def clip(self, start: int, count: int, sample_rate: int, samples: int) -> NodeSignals:
        """Every node's signal between two native samples; the same object when the same clip is asked for again.

        Parameters
        ----------
        start, count
            In samples at the native rate.
        sample_rate, samples
            Rate in Hz and length of the result; resampled with soxr HQ, then trimmed or padded.

        Raises
        ------
        AudioError
            A stem cannot be decoded there.
        """
        asked = (start, count, sample_rate, samples)
        if self._last is None or self._last[0] != asked:
            self._last = asked, self._add_up(self._resampled_atoms(*asked))
        return self._last[1]

    def close(self) -> None:
        for file in self._files:
            if file is not None:
                file.close()
        self._files = [None] * len(self._rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _resampled_atoms(self, start: int, count: int, sample_rate: int, samples: int) -> dict[int, Signal]:
        """Each sounding set of stems with the same nodes, summed and then resampled: as few as can be."""
        self._decode(start, count)
        sounding = {
            atom for atom, until in zip(self._atom_of, self._sounds_until, strict=True) if until > start
        }
        return {
            atom: resample(self._sums[atom, :count], self.sample_rate, sample_rate, samples)
            for atom in sorted(sounding)
        }

    def _decode(self, start: int, count: int) -> None:
        """Bring the sums to the samples from ``start``; those that are there already only move."""
        kept = min(count, self._end - start) if self._start <= start <= self._end else 0
        moved = start - self._start
        self._start = self._end = start  # until all stems are read, for a stem that cannot be
        if self._sums.shape[1] < count:
            grown = np.empty((len(self._sums), count), np.float32)
            grown[:, :kept] = self._sums[:, moved : moved + kept]
            self._sums = grown
        elif kept and moved:
            for row in self._sums:
                row[:kept] = row[moved : moved + kept]
        if not kept:
            self._sounds_until = [start] * len(self._rows)
        if kept < count:
            fresh = self._sums[:, kept:count]
            written: set[int] = set()
            for index, atom in enumerate(self._atom_of):
                decoded = self._open(index).read(start + kept, count - kept)
                length = _sounding_length(decoded)
                if length == 0:
                    continue
                self._sounds_until[index] = start + kept + length
                if atom in written:
                    fresh[atom] += decoded  # exact: fewer than 256 int16 stay below 2**24
                else:
                    fresh[atom] = decoded
                    written.add(atom)
            for atom in set(range(len(fresh))) - written:
                fresh[atom] = 0
        self._end = start + count

    def _add_up(self, atoms: dict[int, Signal]) -> NodeSignals:
        """Signals of the nodes; nodes with the same sounding atoms share one."""
        signals: list[Signal] = []
        place: list[int] = []
        known: dict[tuple[int, ...], int] = {}
        for member in self._atoms_of_node:
            sounding = tuple(atom for atom in atoms if member[atom])
            if not any(member):
                place.append(-1)
            elif not sounding:
                place.append(-2)
            else:
                if sounding not in known:
                    known[sounding] = len(signals)
                    signals.append(_sum([atoms[atom] for atom in sounding]))
                place.append(known[sounding])
        return NodeSignals(signals, place)

    def _open(self, index: int) -> StemFile:
        file = self._files[index]
        if file is None:
            file = self._files[index] = self._rows[index].open(self._root)
        return file


def resample(native: Signal, native_rate: int, sample_rate: int, samples: int) -> Signal:
    """A signal in integer units at the native rate -> full scale 1.0 at ``sample_rate``, ``samples`` long."""
    if native_rate != sample_rate:
        native = soxr.resample(native, native_rate, sample_rate, quality="HQ")
    # Scaled last, since there are fewer samples then; by a power of two, which changes no bit of what soxr does.
    scaled: Signal = native[:samples] * np.float32(1 / FULL_SCALE)
    return np.pad(scaled, (0, samples - len(scaled))) if len(scaled) < samples else scaled


def rms_of(signal: Signal) -> float:
    """RMS in dBFS; -200 dBFS at the lowest, since silence is a state of its own."""
    # Not np.dot: the order in which BLAS adds depends on the processor and on its number of threads.
    squares = signal.astype(np.float64)
    squares *= squares
    mean_square = float(squares.sum()) / len(signal)
    return float(20 * np.log10(max(mean_square**0.5, LOWEST_RMS)))


def _sounding_length(samples: NDArray[Any]) -> int:
    """Samples up to the last one that is not zero; 0 for digital silence."""
    if samples[-1] != 0:
        return len(samples)
    return len(samples) - int(np.argmax(samples[::-1] != 0)) if samples.any() else 0


def _sum(signals: list[Signal]) -> Signal:
    total = signals[0]
    for signal in signals[1:]:
        total = total + signal
    return total
