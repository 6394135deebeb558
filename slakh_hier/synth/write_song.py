"""Writing notes as MIDI files: what lies in a track's MIDI folder, and composed songs."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any

from slakh_hier.synth.extras import require
from slakh_hier.synth.songs import Part, Song

TICKS = 480
"""Of a quarter note, as in Slakh's own files."""

_DRUM_CHANNEL = 9
_OTHER_CHANNELS = [channel for channel in range(16) if channel != _DRUM_CHANNEL]
_VOLUME, _WIDEST_BEND = 7, 8191


@dataclass
class TrackScore:
    """What one track of a MIDI file holds; times and lengths in ticks."""

    name: str
    program: int
    is_drum: bool
    notes: list[tuple[int, int, int, int]] = field(default_factory=list)
    """(tick, length, key, velocity)."""
    controls: list[tuple[int, int, int]] = field(default_factory=list)
    """(tick, number, value)."""
    bends: list[tuple[int, int]] = field(default_factory=list)
    """(tick, value from -8192 to 8191)."""


def score_midi(
    tempos: Sequence[tuple[int, float]],
    meters: Sequence[tuple[int, int, int]],
    tracks: Sequence[TrackScore],
) -> bytes:
    """A MIDI file of format 1: tempos (tick, quarter notes per minute) and meters stand in its first track.

    Drums are on channel 10, the others on the rest in turn.

    Raises
    ------
    MissingExtraError
        mido is not installed.
    """
    mido = require("mido")
    file = mido.MidiFile(ticks_per_beat=TICKS)
    conductor = [
        *(
            (tick, mido.MetaMessage("time_signature", numerator=over, denominator=under))
            for tick, over, under in meters
        ),
        *((tick, mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(tempo))) for tick, tempo in tempos),
    ]
    for number, track in enumerate(tracks):
        channel = _DRUM_CHANNEL if track.is_drum else _OTHER_CHANNELS[number % len(_OTHER_CHANNELS)]
        file.tracks.append(_track(mido, [*([] if number else conductor), *_events(mido, track, channel)]))
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


def _events(mido: Any, track: TrackScore, channel: int) -> list[tuple[int, Any]]:
    """(tick, message), in the order that holds among those of one tick: an end before a new start."""

    def message(kind: str, **values: int) -> Any:
        return mido.Message(kind, channel=channel, **values)

    # mido writes names in Latin-1.
    name = mido.MetaMessage("track_name", name=track.name.encode().decode("latin-1"))
    notes = sorted(track.notes, key=lambda note: note[0])
    return [
        *([(0, name)] if track.name else []),
        (0, message("program_change", program=track.program)),
        *((tick, message("control_change", control=n, value=value)) for tick, n, value in track.controls),
        *((tick, message("pitchwheel", pitch=value)) for tick, value in track.bends),
        *((tick + length, message("note_off", note=key, velocity=v)) for tick, length, key, v in notes),
        *((tick, message("note_on", note=key, velocity=v)) for tick, _, key, v in notes),
    ]


def _track(mido: Any, events: list[tuple[int, Any]]) -> Any:
    track, last = mido.MidiTrack(), 0
    for tick, message in sorted(events, key=lambda event: event[0]):
        track.append(message.copy(time=tick - last))
        last = tick
    track.append(mido.MetaMessage("end_of_track", time=1))
    return track


def song_midi(parts: Sequence[Part], song: Song) -> bytes:
    """A MIDI file of some of a song's parts, with the song's tempos and meters.

    Raises
    ------
    MissingExtraError
        mido is not installed.
    """
    beats = _Beats(song.tempos)
    return score_midi(
        [(beats.tick(time), tempo) for time, tempo in song.tempos],
        [(beats.tick(time), over, under) for time, over, under in song.meters],
        [_score(part, beats) for part in parts],
    )


def _score(part: Part, beats: _Beats) -> TrackScore:
    track = TrackScore(part.name, part.program, part.is_drum)
    for start, end, key, velocity in part.notes:
        first = beats.tick(start)
        track.notes.append((first, max(1, beats.tick(end) - first), key, velocity))
    for time, gain in zip(part.gain.times, part.gain.values, strict=True):
        track.controls.append((beats.tick(time), _VOLUME, round(127 * gain**0.5)))
    if not part.bend.constant:
        widest = max(2, ceil(max(map(abs, part.bend.values))))
        if widest > 2:
            track.controls += [(0, 101, 0), (0, 100, 0), (0, 6, widest)]
        for time, bend in zip(part.bend.times, part.bend.values, strict=True):
            track.bends.append((beats.tick(time), round(bend * _WIDEST_BEND / widest)))
    return track


class _Beats:
    """Seconds to ticks under tempo changes."""

    def __init__(self, tempos: Sequence[tuple[float, float]]):
        self.times = [0.0, *(time for time, _ in tempos if time > 0)]
        first = [tempo for time, tempo in tempos if time <= 0]
        self.tempos = [first[-1] if first else 120.0, *(tempo for time, tempo in tempos if time > 0)]
        self.beats = [0.0]
        for i in range(1, len(self.times)):
            self.beats.append(self.beats[-1] + (self.times[i] - self.times[i - 1]) * self.tempos[i - 1] / 60)

    def tick(self, time: float) -> int:
        i = max(bisect_right(self.times, time) - 1, 0)
        return round(TICKS * (self.beats[i] + (time - self.times[i]) * self.tempos[i] / 60))
