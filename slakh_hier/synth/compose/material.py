"""What parts are made of: notes in beats, and the small humanity of time and strength."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

from slakh_hier.synth.compose.form import Section
from slakh_hier.synth.compose.theory import Key
from slakh_hier.synth.gm import Register


class BeatNote(NamedTuple):
    """A note in beats: start, length, key, velocity (any number; brought to 1..127 at the end)."""

    start: float
    length: float
    key: int
    velocity: float


@dataclass(frozen=True)
class Motif:
    """The idea of a tune: rhythms of its bars a and b, their heights, and the wave of the notes within a bar."""

    a: str
    b: str
    contour: tuple[float, ...]
    wave: tuple[int, ...]


@dataclass
class Memory:
    """What a player remembers from phrase to phrase: its last note or chord, its figure, its tunes."""

    key: int | None = None
    chord: tuple[int, ...] | None = None
    rhythm: str = ""
    tones: str = ""
    shape: tuple[int, ...] = ()
    motifs: dict[str, Motif] = field(default_factory=dict)


@dataclass(frozen=True)
class Voice:
    """What a player knows: the key, the instrument's comfortable register, a random source of its own.

    ``variant`` is the pattern that this song's style chose for the role.
    """

    key: Key
    register: Register
    random: Random
    variant: str
    memory: Memory = field(default_factory=Memory)

    @property
    def centre(self) -> float:
        return (self.register.low + self.register.high) / 2


def strength(section: Section, beat: float, base: float, accent: float = 8.0) -> float:
    """Velocity at a beat: the section's intensity, the weight of the beat in its bar, and a phrase that swells."""
    place = (beat - section.start) % section.beats
    weight = accent if place < 0.01 else 0.4 * accent if abs(place - round(place)) < 0.01 else -0.3 * accent
    phrase = (beat - section.start) / section.length
    arc = 6.0 * (1 - (2 * phrase - 1.2) ** 2)
    return base + 42 * (section.intensity - 0.5) + weight + arc


def steps(pattern: str) -> list[tuple[float, float, float]]:
    """(start, length, accent) in beats of a pattern of sixteenths.

    ``x`` is a note, ``X`` an accented one, ``-`` holds it, ``.`` is silence.
    """
    found: list[tuple[float, float, float]] = []
    for i, mark in enumerate(pattern):
        if mark in "xX":
            found.append((i / 4, 0.25, 1.0 if mark == "X" else 0.0))
        elif mark == "-" and found:
            start, _, accent = found[-1]
            found[-1] = (start, (i + 1) / 4 - start, accent)
    return found
