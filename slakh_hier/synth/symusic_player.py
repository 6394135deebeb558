"""symusic's synthesiser, with its faults caught.

Measured with symusic 0.5.9 and TimGM6mb.sf2: a note whose loop shrinks to nothing at its pitch is never finished (25 of
128 programs, from key 96 on); one program gives NaN; velocities are all alike; envelopes are not applied. Samples are kept
under a key that leaves out their tuning, so that the sound depends on what was played before: hence an instance a part.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from slakh_hier.errors import SongError
from slakh_hier.synth.extras import require
from slakh_hier.synth.gm import PROGRAM_NAMES
from slakh_hier.synth.sampler import FloatArray, open_soundfont
from slakh_hier.synth.songs import Note, Part
from slakh_hier.synth.soundfont import DRUM_BANK

_SHORTEST_LOOP = 24.0
"""Samples. Below, symusic may loop for ever: of all keys of all 128 programs, none with a longer loop did."""


class SymusicPlayer:
    """Plays the notes of one part with symusic."""

    def __init__(self, soundfont: str, part: Part, rate: int):
        self.symusic = require("symusic")
        self.part, self.rate = part, rate
        font = open_soundfont(soundfont)
        self.zones = font.zones(DRUM_BANK if part.is_drum else 0, part.program)
        self.synthesizer = self.symusic.Synthesizer(soundfont, rate)

    def play(self, notes: Sequence[Note], origin: float, out: FloatArray) -> FloatArray:
        """Add notes to ``out``, whose first sample lies at ``origin`` (s)."""
        if not notes:
            return out
        for note in notes:
            self._check(note)
        score = self.symusic.Score(480, ttype="second")
        track = self.symusic.Track("", program=self.part.program, is_drum=self.part.is_drum, ttype="second")
        for start, end, key, velocity in notes:
            track.notes.append(self.symusic.Note(start - origin, end - start, key, velocity, ttype="second"))
        score.tracks.append(track)
        sound: FloatArray = np.asarray(self.synthesizer.render(score, stereo=False), np.float32)[0]
        # What symusic reads beyond its samples is anything.
        if not np.isfinite(sound).all() or (len(sound) and np.abs(sound).max() > 1e4):
            raise SongError(f"{self._name()}: symusic renders it to values that are not audio; {_ADVICE}")
        if len(sound) < len(out):
            sound = np.concatenate([sound, np.zeros(len(out) - len(sound), np.float32)])
        sound[: len(out)] += out
        return sound

    def _check(self, note: Note) -> None:
        for zone in self.zones:
            if zone.looped and zone.plays(note.key, note.velocity):
                loop = (zone.loop_end - zone.loop_start) / zone.ratio(note.key, self.rate)
                if loop < _SHORTEST_LOOP:
                    raise SongError(
                        f"{self._name()}, key {note.key} at {note.start:.1f} s: symusic 0.5.9 does not return from a "
                        f"note whose loop is {loop:.1f} samples long; {_ADVICE}"
                    )

    def _name(self) -> str:
        return "drums" if self.part.is_drum else PROGRAM_NAMES[self.part.program]


_ADVICE = "take --synthesiser builtin"
