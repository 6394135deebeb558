"""The course of a song: sections, their chords on a time line of beats, and how strong they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slakh_hier.synth.compose.theory import Chord, Key

UNIT = 4
"""Bars of a phrase."""

_INTENSITY = {"intro": 0.45, "verse": 0.6, "chorus": 0.9, "bridge": 0.55, "ending": 0.8}
_ORDERS = {1: "C", 2: "VC", 3: "VVC", 4: "VVCC", 5: "VVCVC", 6: "VVCCVC", 7: "VVCCBCC", 8: "VVCCVBCC"}
_NAMES = {"V": "verse", "C": "chorus", "B": "bridge"}


@dataclass(frozen=True)
class ChordSpan:
    """A chord and where it sounds, in beats from the song's beginning."""

    start: float
    length: float
    chord: Chord


@dataclass(frozen=True)
class Section:
    """A phrase of a few bars.

    ``kind`` is intro, verse, chorus, bridge or ending; ``repeat`` counts the sections of this kind before it;
    ``last`` says that another kind follows.
    """

    kind: str
    repeat: int
    start: float
    bars: int
    beats: int
    spans: tuple[ChordSpan, ...]
    intensity: float
    last: bool

    @property
    def length(self) -> float:
        return float(self.bars * self.beats)

    @property
    def end(self) -> float:
        return self.start + self.length

    def chord_at(self, beat: float) -> Chord:
        """The chord at a beat of the song."""
        return next((s.chord for s in reversed(self.spans) if s.start <= beat + 1e-6), self.spans[0].chord)


def lay_out(
    key: Key,
    beats: int,
    tempo: float,
    seconds: float,
    progressions: dict[str, str],
) -> tuple[Section, ...]:
    """Sections that last about ``seconds`` at ``tempo`` (beats a minute), the last one a single final chord.

    ``progressions`` maps kinds to chords, a bar each, two in a bar joined by a comma.
    """
    total = max(3, round(seconds * tempo / 60 / beats))
    intro = 0 if total < 11 else 4 if total > 36 else 2
    units = max(1, round((total - intro - 1) / UNIT))
    kinds = [("intro", intro)] if intro else []
    kinds += [(_NAMES[letter], UNIT) for letter in _order(units)]
    kinds.append(("ending", 1))
    sections: list[Section] = []
    counts: dict[str, int] = {}
    start = 0.0
    for i, (kind, bars) in enumerate(kinds):
        repeat = counts.get(kind, 0)
        counts[kind] = repeat + 1
        if kind == "ending":
            spans: tuple[ChordSpan, ...] = (ChordSpan(start, float(beats), _tonic(key, progressions)),)
        else:
            source = {"intro": "verse"}.get(kind, kind)
            spans = _spans(key, progressions[source].split(), start, bars, beats, offset=UNIT * (repeat % 2))
        last = i + 1 < len(kinds) and kinds[i + 1][0] != kind
        growth = 0.03 * min(repeat, 3)
        sections.append(
            Section(kind, repeat, start, bars, beats, spans, min(1.0, _INTENSITY[kind] + growth), last)
        )
        start += bars * beats
    return tuple(sections)


def _order(units: int) -> str:
    return _ORDERS.get(units) or (_ORDERS[8] * (units // 8 + 1))[: units - 2] + "CC"


def _spans(
    key: Key, bars: Sequence[str], start: float, count: int, beats: int, offset: int
) -> tuple[ChordSpan, ...]:
    spans = []
    for bar in range(count):
        symbols = bars[(bar + offset) % len(bars)].split(",")
        # In three, the first of two chords takes two beats.
        lengths = [float(beats)] if len(symbols) == 1 else [float((beats + 1) // 2), float(beats // 2)]
        place = start + bar * beats
        for symbol, length in zip(symbols, lengths, strict=True):
            spans.append(ChordSpan(place, length, key.chord(symbol)))
            place += length
    return tuple(spans)


def _tonic(key: Key, progressions: dict[str, str]) -> Chord:
    sevenths = "7" in progressions["chorus"].replace("V7", "")
    if key.scale in ("minor", "dorian"):
        return key.chord("i7" if sevenths else "i")
    return key.chord("I6" if sevenths else "I")
