"""Spreading a song's parts over all categories: real MIDI collections have few double reeds or tubas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from slakh_hier.hierarchy import DRUM_PROGRAM
from slakh_hier.synth.gm import Register, register
from slakh_hier.synth.instruments import categories, category_of, programs_of
from slakh_hier.synth.songs import Note, Part

_OCTAVE = 12
_OUTLIERS = 0.05
"""Share of a part's notes at either end that may be folded into the new instrument's range by themselves."""


def reorchestrate(parts: Sequence[Part], seed: str) -> tuple[Part, ...]:
    """Give every pitched part another instrument that can play it; drums stay drums.

    The categories are dealt out without repetition in an order that ``seed`` (any text: a song and a seed)
    decides; a part takes the first one left whose register holds it, whole or after a move by octaves, the
    fewest first, and which plays chords if the part does. Single notes that still lie outside are moved by
    octaves too. Bends, volumes and rhythm stay.
    """
    random = Random(f"{seed}/reorchestrate")
    pitched = [name for name in categories() if DRUM_PROGRAM not in programs_of(name)]
    deck: list[str] = []
    out = []
    for part in parts:
        if part.is_drum:
            out.append(part)
            continue
        if not deck:
            deck = random.sample(pitched, len(pitched))
        choice = _choose(part, deck, random) or _choose(part, random.sample(pitched, len(pitched)), random)
        if choice is None:  # wider or denser than anything but a keyboard plays
            choice = random.choice(programs_of("acoustic_piano")), 0
        program, octaves = choice
        used = category_of(program)
        deck = [name for name in deck if name != used]
        out.append(_play(part, program, octaves))
    return tuple(out)


def octaves_into(keys: Sequence[int], instrument: Register) -> int | None:
    """The smallest move by whole octaves that brings all but a few outliers of ``keys`` into range."""
    ordered = sorted(keys)
    skip = int(len(ordered) * _OUTLIERS)
    low, high = ordered[skip], ordered[len(ordered) - 1 - skip]
    for octaves in (0, -1, 1, -2, 2, -3, 3):
        if instrument.holds(low + _OCTAVE * octaves, high + _OCTAVE * octaves):
            return octaves
    return None


def into_range(key: int, instrument: Register) -> int:
    """``key`` moved by octaves to the nearest one in range; where no octave fits, the range's end."""
    while key < instrument.low:
        key += _OCTAVE
    while key > instrument.high:
        key -= _OCTAVE
    return max(key, instrument.low)


def _choose(part: Part, names: Sequence[str], random: Random) -> tuple[int, int] | None:
    """Of the categories in this order, the first that needs no more octaves than any other of them."""
    keys = [note.key for note in part.notes]
    chords = _plays_chords(part.notes)
    best: tuple[int, int, int] | None = None
    for name in names:
        program = random.choice(programs_of(name))
        instrument = register(program)
        if chords and not instrument.chords:
            continue
        octaves = octaves_into(keys, instrument)
        if octaves is not None and (best is None or abs(octaves) < best[0]):
            best = abs(octaves), program, octaves
            if octaves == 0:
                break
    return None if best is None else best[1:]


def _play(part: Part, program: int, octaves: int) -> Part:
    instrument = register(program)
    notes = [n._replace(key=into_range(n.key + _OCTAVE * octaves, instrument)) for n in part.notes]
    return replace(part, program=program, bank=0, notes=tuple(sorted(notes)))


def _plays_chords(notes: Sequence[Note]) -> bool:
    """Whether more than a quarter of the notes start while another one sounds (legato overlaps do not count)."""
    together, sounding_to = 0, -1.0
    for start, end, _, _ in sorted(notes):
        if start < sounding_to - 0.06:
            together += 1
        sounding_to = max(sounding_to, end)
    return together > len(notes) / 4
