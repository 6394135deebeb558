"""Writing parts as MIDI files: what lies in a track's MIDI folder."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from slakh_hier.synth.extras import require
from slakh_hier.synth.songs import Part, Song


def song_midi(parts: Sequence[Part], song: Song) -> bytes:
    """A MIDI file (480 ticks a quarter note) of some of a song's parts, with the song's tempos and meters.

    Raises
    ------
    MissingExtraError
        symusic is not installed.
    """
    symusic = require("symusic")
    beats = _Beats(song.tempos)
    score = symusic.Score(beats.TICKS)
    for time, tempo in song.tempos:
        score.tempos.append(symusic.Tempo(beats.tick(time), tempo))
    for time, over, under in song.meters:
        score.time_signatures.append(symusic.TimeSignature(beats.tick(time), over, under))
    for part in parts:
        track = symusic.Track(part.name, program=part.program, is_drum=part.is_drum)
        for start, end, key, velocity in part.notes:
            first = beats.tick(start)
            track.notes.append(symusic.Note(first, max(1, beats.tick(end) - first), key, velocity))
        for time, gain in zip(part.gain.times, part.gain.values, strict=True):
            track.controls.append(symusic.ControlChange(beats.tick(time), 7, round(127 * gain**0.5)))
        if not part.bend.constant:
            widest = max(map(abs, part.bend.values))
            scale = 8191 / max(widest, 2.0)
            if widest > 2:
                for number, value in ((101, 0), (100, 0), (6, int(np.ceil(widest)))):
                    track.controls.append(symusic.ControlChange(0, number, value))
                scale = 8191 / np.ceil(widest)
            for time, bend in zip(part.bend.times, part.bend.values, strict=True):
                track.pitch_bends.append(symusic.PitchBend(beats.tick(time), round(bend * scale)))
        score.tracks.append(track)
    return bytes(score.dumps_midi())


class _Beats:
    """Seconds to ticks under tempo changes; 480 ticks a quarter note, as Slakh's own files."""

    TICKS = 480

    def __init__(self, tempos: Sequence[tuple[float, float]]):
        self.times = [0.0, *(time for time, _ in tempos if time > 0)]
        first = [tempo for time, tempo in tempos if time <= 0]
        self.tempos = [first[-1] if first else 120.0, *(tempo for time, tempo in tempos if time > 0)]
        self.beats = [0.0]
        for i in range(1, len(self.times)):
            self.beats.append(self.beats[-1] + (self.times[i] - self.times[i - 1]) * self.tempos[i - 1] / 60)

    def tick(self, time: float) -> int:
        i = max(bisect_right(self.times, time) - 1, 0)
        return round(self.TICKS * (self.beats[i] + (time - self.times[i]) * self.tempos[i] / 60))
