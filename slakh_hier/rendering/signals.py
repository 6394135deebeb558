"""From stems to the signals of a clip: decode once, sum, resample what differs, add up the tree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pandas as pd
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
    """The stems of one track, open, each decoded once even where clips overlap.

    Clips must come in the order of their starts; then the tail of one clip is kept for the next, and memory holds
    one clip a stem.

    Parameters
    ----------
    stems
        Catalog rows of the stems to read.
    columns
        bool (nodes, stems): which stem sounds in which node; the first is the mix.
    """

    def __init__(self, stems: pd.DataFrame, columns: NDArray[np.bool_], root: Path):
        rows = [StemRef(*row) for row in stems[list(StemRef._fields)].itertuples(index=False, name=None)]
        self.sample_rate = rows[0].sample_rate
        self._rows, self._root = rows, root
        self._files: list[StemFile | None] = [None] * len(rows)
        self._last: tuple[tuple[int, int, int, int], NodeSignals] | None = None
        self._tails: list[tuple[int, NDArray[Any]]] = [(0, np.zeros(0, np.int16))] * len(rows)
        # Stems that belong to the same nodes always sound together: they are one signal to resample.
        patterns, self._atom_of = np.unique(columns, axis=1, return_inverse=True)
        self._atom_of = self._atom_of.reshape(-1)
        self._atoms_of_node = patterns  # (nodes, atoms)

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
        sums: dict[int, Signal] = {}
        for index, atom in enumerate(self._atom_of.tolist()):
            decoded = self._read(index, start, count)
            if decoded.any():
                if atom in sums:
                    sums[atom] += decoded  # exact: fewer than 256 int16 stay below 2**24
                else:
                    sums[atom] = decoded.astype(np.float32)
        return {
            atom: resample(native, self.sample_rate, sample_rate, samples)
            for atom, native in sorted(sums.items())
        }

    def _add_up(self, atoms: dict[int, Signal]) -> NodeSignals:
        """Signals of the nodes; nodes with the same sounding atoms share one."""
        signals: list[Signal] = []
        place: list[int] = []
        known: dict[tuple[int, ...], int] = {}
        for member in self._atoms_of_node:
            sounding = tuple(atom for atom in atoms if member[atom])
            if not member.any():
                place.append(-1)
            elif not sounding:
                place.append(-2)
            else:
                if sounding not in known:
                    known[sounding] = len(signals)
                    signals.append(_sum([atoms[atom] for atom in sounding]))
                place.append(known[sounding])
        return NodeSignals(signals, place)

    def _read(self, index: int, start: int, count: int) -> NDArray[Any]:
        """Samples of one stem; what the clip before has decoded already is not decoded again."""
        tail_start, tail = self._tails[index]
        tail_end = tail_start + len(tail)
        if not tail_start <= start <= tail_end:
            decoded = self._open(index).read(start, count)
        elif start + count <= tail_end:
            return tail[start - tail_start : start - tail_start + count]
        else:
            fresh = self._open(index).read(tail_end, start + count - tail_end)
            decoded = np.concatenate([tail[start - tail_start :], fresh])
        self._tails[index] = (start, decoded)
        return decoded

    def _open(self, index: int) -> StemFile:
        file = self._files[index]
        if file is None:
            file = self._files[index] = self._rows[index].open(self._root)
        return file


def resample(native: Signal, native_rate: int, sample_rate: int, samples: int) -> Signal:
    """A signal in integer units at the native rate -> full scale 1.0 at ``sample_rate``, ``samples`` long."""
    scaled = native * np.float32(1 / FULL_SCALE)
    if native_rate != sample_rate:
        scaled = soxr.resample(scaled, native_rate, sample_rate, quality="HQ")
    if len(scaled) < samples:
        scaled = np.pad(scaled, (0, samples - len(scaled)))
    return np.ascontiguousarray(scaled[:samples], np.float32)


def rms_of(signal: Signal) -> float:
    """RMS in dBFS; -200 dBFS at the lowest, since silence is a state of its own."""
    # Not np.dot: the order in which BLAS adds depends on the processor and on its number of threads.
    mean_square = float(np.square(signal, dtype=np.float64).sum()) / len(signal)
    return float(20 * np.log10(max(mean_square**0.5, LOWEST_RMS)))


def _sum(signals: list[Signal]) -> Signal:
    total = signals[0]
    for signal in signals[1:]:
        total = total + signal
    return total
