"""Songs as parts: one for each (track, channel, program), with notes as they sound."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, replace
from typing import NamedTuple

from slakh_hier.hierarchy import DRUM_PROGRAM


class Note(NamedTuple):
    """A note as it sounds: start and end in seconds, key (60 = middle C), velocity 1 to 127."""

    start: float
    end: float
    key: int
    velocity: int


@dataclass(frozen=True)
class Curve:
    """A value that changes in steps: ``values[i]`` holds from ``times[i]`` (s); before the first, ``values[0]``."""

    times: tuple[float, ...]
    values: tuple[float, ...]

    @property
    def constant(self) -> bool:
        return len(set(self.values)) <= 1

    def at(self, time: float) -> float:
        return self.values[max(bisect_right(self.times, time) - 1, 0)]


FLAT_GAIN, NO_BEND = Curve((0.0,), (1.0,)), Curve((0.0,), (0.0,))


@dataclass(frozen=True)
class Part:
    """What one instrument plays."""

    name: str
    """The track's name."""
    program: int
    """0 to 127; for drums the number of the kit."""
    is_drum: bool
    bank: int
    """Bank select (the coarse number, or the fine one where only that was sent)."""
    notes: tuple[Note, ...]
    """By start."""
    gain: Curve = FLAT_GAIN
    """Volume and expression as a factor."""
    bend: Curve = NO_BEND
    """Pitch bend in semitones."""

    @property
    def program_num(self) -> int:
        """The program as Slakh counts it: drums are 128."""
        return DRUM_PROGRAM if self.is_drum else self.program


@dataclass(frozen=True)
class Song:
    """A song: parts in the order of their tracks, tempos (s, quarter notes per minute), meters (s, over, under).

    ``remarks`` say where its file breaks the standard. ``end`` is when the last note ends (s).
    """

    parts: tuple[Part, ...]
    tempos: tuple[tuple[float, float], ...]
    meters: tuple[tuple[float, int, int], ...]
    remarks: tuple[str, ...] = ()

    @property
    def end(self) -> float:
        return max((note.end for part in self.parts for note in part.notes), default=0.0)


def cut(song: Song, seconds: float) -> Song:
    """The beginning of a song: notes that start before ``seconds``, none of them longer than that."""
    parts = []
    for part in song.parts:
        notes = tuple(n._replace(end=min(n.end, seconds)) for n in part.notes if n.start < seconds)
        if notes:
            parts.append(replace(part, notes=notes))
    return replace(
        song,
        parts=tuple(parts),
        tempos=tuple(t for t in song.tempos if t[0] < seconds) or song.tempos[:1],
        meters=tuple(m for m in song.meters if m[0] < seconds) or song.meters[:1],
    )
