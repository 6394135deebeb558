"""The formula behind every sample of a generated data set, in integer arithmetic: the same on every machine."""

from __future__ import annotations

import math
from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

AMPLITUDE = 3200
"""Peak of every stem in int16 steps (-20.2 dBFS; RMS about -24 dBFS): ten stems never clip."""
NOTE_SECONDS = 0.5
_RATIOS = (24, 27, 30, 36, 40)  # a pentatonic scale, as multiples of 1/24
_TABLE_BITS = 12
_PHASE_BITS = 32


def formula_stem(
    track: str, stem: str, program: int, start: int, count: int, *, sample_rate: int = 44100, seed: int = 0
) -> NDArray[np.int16]:
    """Samples ``start`` to ``start + count`` of a generated stem, int16 of shape (count,).

    Notes of half a second (``sample_rate // 2`` samples), each starting at phase 0. Pitch and timbre follow
    from the program, the melody from a hash of (seed, track, stem). A stem rests for one second in every nine;
    each fourth stem (S03, S07, ...) sounds for seven seconds in every 24 only, so that clips with silent stems
    exist. Resting samples are exactly zero.

    Parameters
    ----------
    track, stem
        Ids such as ``Track00001`` and ``S03``.
    program
        0-based MIDI program, drums 128.
    sample_rate
        Hz.
    """
    note = int(sample_rate * NOTE_SECONDS)
    digest = blake2b(f"{seed}/{track}/{stem}".encode(), digest_size=64).digest()
    first, last = start // note, (start + count + note - 1) // note
    k = np.arange(first, max(last, first + 1))
    melody = np.frombuffer(digest, np.uint8)[k % 64] % len(_RATIOS)
    if int(stem[1:]) % 4 == 3:
        sounding = k % 48 < 14
    else:
        sounding = (k + digest[0]) % 18 >= 2
    choice = np.where(sounding, melody, len(_RATIOS))
    samples: NDArray[np.int16] = _notes(program, sample_rate)[choice].reshape(-1)
    begin = start - first * note
    return samples[begin : begin + count].copy()


@lru_cache(maxsize=64)
def _notes(program: int, sample_rate: int) -> NDArray[np.int16]:
    """Every note of a program and, last, a rest: int16 (notes + 1, samples of a note)."""
    note = int(sample_rate * NOTE_SECONDS)
    base = 65.4 * 2 ** (program / 40)  # 65 Hz for program 0 to 600 Hz for drums
    n = np.arange(note, dtype=np.uint64)
    rows = []
    for ratio in _RATIOS:
        step = np.uint64(round(base * ratio / 24 / sample_rate * 2**_PHASE_BITS))
        phase = (n * step) & np.uint64(2**_PHASE_BITS - 1)
        rows.append(_wave(program)[(phase >> np.uint64(_PHASE_BITS - _TABLE_BITS)).astype(np.intp)])
    return np.stack([*rows, np.zeros(note, np.int16)])


@lru_cache(maxsize=64)
def _wave(program: int) -> NDArray[np.int16]:
    """One period: a third harmonic keeps the crest factor low, a second one makes programs differ."""
    second = 0.08 * (program % 5)
    size = 1 << _TABLE_BITS
    period = [
        math.sin(p) + second * math.sin(2 * p) + 0.2 * math.sin(3 * p)
        for p in (2 * math.pi * i / size for i in range(size))
    ]
    peak = max(map(abs, period))
    return np.array([round(AMPLITUDE * value / peak) for value in period], np.int16)
