"""Keys, chords written as roman numerals, and voicings that move as little as they can."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
}
_DEGREES = {"i": 0, "ii": 2, "iii": 4, "iv": 5, "v": 7, "vi": 9, "vii": 11}
_MAJOR = {"": (0, 4, 7), "6": (0, 4, 7, 9), "7": (0, 4, 7, 10), "maj7": (0, 4, 7, 11), "9": (0, 4, 7, 10, 14)}
_MINOR = {"": (0, 3, 7), "6": (0, 3, 7, 9), "7": (0, 3, 7, 10), "o": (0, 3, 6), "h7": (0, 3, 6, 10)}
_SYMBOL = re.compile(r"([b#]?)([iv]+|[IV]+)([a-z0-9]*)")


@dataclass(frozen=True)
class Chord:
    """A chord: pitch class of its root (C = 0) and the intervals above it."""

    root: int
    intervals: tuple[int, ...]

    @property
    def tones(self) -> tuple[int, ...]:
        """Pitch classes, the root first."""
        return tuple((self.root + interval) % 12 for interval in self.intervals)

    @property
    def fifth(self) -> int:
        return self.tones[2]


@dataclass(frozen=True)
class Key:
    """A tonic (pitch class) and one of ``SCALES``."""

    tonic: int
    scale: str

    def chord(self, symbol: str) -> Chord:
        """A chord of this key: ``ii7``, ``V``, ``bVII``, ``Imaj7``; small letters are minor."""
        match = _SYMBOL.fullmatch(symbol)
        if match is None:
            raise ValueError(f"not a chord: {symbol}")
        accidental, degree, quality = match.groups()
        qualities = _MAJOR if degree.isupper() else _MINOR
        root = _DEGREES[degree.lower()] + {"b": -1, "#": 1, "": 0}[accidental]
        return Chord((self.tonic + root) % 12, qualities[quality])

    def scale_over(self, chord: Chord) -> frozenset[int]:
        """Pitch classes for melodies over a chord: the key's, bent to the chord (the leading tone in minor)."""
        tones = {(self.tonic + step) % 12 for step in SCALES[self.scale]}
        diminished = 6 in chord.intervals
        for interval, tone in zip(chord.intervals, chord.tones, strict=True):
            if tone not in tones:
                # A major third, or the root of a diminished chord, is a raised tone of the key; others are lowered.
                raised = interval == 4 or (interval == 0 and diminished)
                replaced = (tone - 1 if raised else tone + 1) % 12
                if replaced not in chord.tones:
                    tones.discard(replaced)
                tones.add(tone)
        return frozenset(tones)


def within(tones: Sequence[int] | frozenset[int], low: int, high: int) -> list[int]:
    """All keys from ``low`` to ``high`` whose pitch class is among ``tones``."""
    classes = set(tones)
    return [key for key in range(low, high + 1) if key % 12 in classes]


def nearest(keys: Sequence[int], to: float) -> int:
    """The key nearest to ``to``; of two, the lower."""
    return min(keys, key=lambda key: (abs(key - to), key))


def voicing(
    chord: Chord, low: int, high: int, voices: int, before: Sequence[int] | None, centre: float
) -> tuple[int, ...]:
    """A chord of ``voices`` notes in close position within a range (fewer where it does not hold as many).

    The one that moves least from ``before``, with a light pull towards ``centre``; the fifth goes first where
    there are more tones than voices.
    """
    tones = list(chord.tones)
    if len(tones) > voices and len(tones) > 3:
        tones.pop(2)
    if len(tones) > voices:
        tones = tones[: max(voices, 1)]
    keys = within(tones, low, high)
    options = [tuple(keys[i : i + voices]) for i in range(len(keys) - voices + 1)] or [tuple(keys)]

    def cost(option: tuple[int, ...]) -> float:
        middle = sum(option) / len(option)
        if not before:
            return abs(middle - centre)
        moves = sum(abs(a - b) for a, b in zip(option, before, strict=False))
        return moves + 0.35 * len(option) * abs(middle - centre)

    return min(options, key=cost)
