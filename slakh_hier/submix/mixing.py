"""One pass over a track: its atoms are added up to the files' signals, written, and measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import numpy as np

from slakh_hier.submix.encode import LARGEST, AudioWriter, Encoding
from slakh_hier.submix.signals import Block


class Levels(NamedTuple):
    """What a pass found: the peak of each signal in integer units, and whether all was written."""

    peaks: tuple[float, ...]
    fits: bool


def mix_down(
    blocks: Iterable[Sequence[Block]],
    signals: Sequence[Sequence[int]],
    paths: Sequence[Path],
    sample_rate: int,
    encoding: Encoding,
    gain: float = 1.0,
) -> Levels:
    """Write every signal as a sum of atoms.

    For 16 bits each atom is rounded, and then the integers are added: the files of a level add up to the mix bit by
    bit, whether they were resampled or not. The noise of that is the noise of the 16-bit stems themselves.

    At the first sample that exceeds full scale nothing more is written, and the files are of no use; the rest of
    the track is measured only, so that the caller knows what to do about it.

    Parameters
    ----------
    blocks
        Arrays of the atoms, block by block.
    signals
        For each file, the atoms that are added.
    """
    whole = encoding.subtype == "PCM_16"
    peaks = [0.0] * len(signals)
    fits = True
    with ExitStack() as stack:
        writers = [stack.enter_context(AudioWriter(path, sample_rate, encoding)) for path in paths]
        for atoms in blocks:
            pieces = [_rounded(atom, gain) for atom in atoms] if whole else atoms
            for place, members in enumerate(signals):
                total = pieces[members[0]]
                for atom in members[1:]:
                    total = total + pieces[atom]
                low, high = float(total.min()), float(total.max())
                peaks[place] = max(peaks[place], -low, high)
                fits = fits and (not whole or (low >= -LARGEST - 1 and high <= LARGEST))
                if fits:
                    writers[place].write(total)
    return Levels(tuple(peaks), fits)


def gain_that_fits(peak: float, atoms: int) -> float:
    """The gain with which sums of ``atoms`` rounded signals that reached ``peak`` stay below full scale.

    Rounding moves each atom by half a step at most, in the pass that found the peak and in the one to come.
    """
    return (LARGEST - atoms / 2) / (peak + atoms / 2)


def _rounded(atom: Block, gain: float) -> Block:
    if gain == 1.0:
        return atom if atom.dtype == np.int32 else np.rint(atom)
    return np.rint(atom * gain)
