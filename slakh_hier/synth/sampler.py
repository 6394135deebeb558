"""Playing a part on a SoundFont: the built-in synthesiser.

Each pair of zone and key is computed once (sample, pitch, loop, filter, envelope up to the release) and then added
wherever it is played, scaled by velocity and faded by its release. Source: SoundFont Technical Specification 2.04,
sections 8 and 9. Left out: LFOs, moving filters, chorus, reverb; panning has no meaning in mono.

It stays beside FluidSynth, which pip cannot install: this needs NumPy and SciPy alone, and makes about 300 s of stems per CPU
second (docs/synth.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from slakh_hier.synth.extras import require
from slakh_hier.synth.songs import Curve, Note, Part
from slakh_hier.synth.soundfont import DRUM_BANK, SoundFont, Zone

FloatArray = NDArray[np.float32]
_FLOOR = 90.0
"""A note has ended when it is this far down (dB): below half a step of 16 bits."""

_CHOKE = 0.03
_SHORTEST_RELEASE = 0.012
_TAIL = 64  # samples
_CHUNK = 1 << 18  # samples
_LONGEST = 300.0
"""Seconds after which a key that is still down is let go: a stuck note would else sound, and take memory, for hours."""
_CACHE_SAMPLES = 24_000_000


@lru_cache(maxsize=2)
def open_soundfont(path: str) -> SoundFont:
    return SoundFont(path)


class Sampler:
    """Plays the notes of one part.

    Parameters
    ----------
    soundfont
        Path of an SF2 or SF3 file.
    rate
        Hz.
    """

    def __init__(self, soundfont: str, part: Part, rate: int):
        self.font, self.part, self.rate = open_soundfont(soundfont), part, rate
        self.zones = self.font.zones(DRUM_BANK if part.is_drum else part.bank, part.program)
        self.held: dict[tuple[int, int], tuple[float, FloatArray]] = {}
        self.choked = self._chokes(part.notes)

    def play(self, notes: Sequence[Note], origin: float, out: FloatArray) -> FloatArray:
        """Add notes to ``out``, whose first sample lies at ``origin`` (s); longer where a note rings on.

        Returns float32, shape (samples,).
        """
        longest = self._longest(notes)
        for note in notes:
            if self.part.is_drum and (ended := self.choked.get(note)) is not None:
                out = self._add(note, origin, out, longest, ended)
            else:
                out = self._add(note, origin, out, longest, None)
        return out

    def _add(
        self,
        note: Note,
        origin: float,
        out: FloatArray,
        longest: dict[tuple[int, int], float],
        choked: float | None,
    ) -> FloatArray:
        start = round((note.start - origin) * self.rate)
        for number, zone in enumerate(self.zones):
            if not zone.plays(note.key, note.velocity):
                continue
            seconds = min(note.end - note.start, _LONGEST)
            if choked is not None:
                seconds = min(seconds, choked - note.start)
            velocity = zone.fixed_velocity if zone.fixed_velocity > 0 else note.velocity
            gain = (velocity / 127) ** 2 * 10 ** (-zone.attenuation / 20)
            bent = self._bend(note, zone)
            if bent is not None:
                whole = self._sound(zone, note.key, seconds + self._ring(zone, choked), bent)
            else:
                whole = self._kept(number, zone, note.key, longest)
            sound = self._released(whole, zone, seconds, choked is not None)
            out = _mix_in(out, sound, start, np.float32(gain))
        return out

    def _longest(self, notes: Sequence[Note]) -> dict[tuple[int, int], float]:
        """How long (s) each zone and key has to sound among these notes, ring included."""
        longest: dict[tuple[int, int], float] = {}
        for note in notes:
            for number, zone in enumerate(self.zones):
                if zone.plays(note.key, note.velocity):
                    seconds = min(note.end - note.start, _LONGEST) + self._ring(zone, None)
                    longest[number, note.key] = max(longest.get((number, note.key), 0.0), seconds)
        return longest

    def _kept(self, number: int, zone: Zone, key: int, longest: dict[tuple[int, int], float]) -> FloatArray:
        """The sound of a zone and key, computed for the longest note at hand."""
        seconds, sound = self.held.get((number, key), (0.0, np.zeros(0, np.float32)))
        if seconds < longest[number, key]:
            if sum(len(sound) for _, sound in self.held.values()) > _CACHE_SAMPLES:
                self.held.clear()
            seconds = longest[number, key]
            sound = self._sound(zone, key, seconds, None)
            self.held[number, key] = seconds, sound
        return sound

    def _ring(self, zone: Zone, choked: float | None) -> float:
        """Seconds from a note's end until it is down by 90 dB."""
        return _CHOKE if choked is not None else max(zone.release, _SHORTEST_RELEASE) * _FLOOR / 100

    def _sound(self, zone: Zone, key: int, seconds: float, bend: Curve | None) -> FloatArray:
        """The note held for ``seconds``: pitch, loop, filter, envelope up to the release."""
        count = max(1, round(seconds * self.rate))
        ratio = zone.ratio(key, self.rate)
        wave = _centred(self.font.samples(zone), zone)
        sound = np.zeros(count, np.float32)
        place, done = 0.0, 0
        while done < count and (zone.looped or place < len(wave)):
            steps = np.full(min(_CHUNK, count - done), ratio)
            if bend is not None:
                times = np.arange(done, done + len(steps)) / self.rate
                index = np.searchsorted(bend.times, times, side="right") - 1
                steps *= 2.0 ** (np.asarray(bend.values)[index] / 12)
            places = place + np.concatenate([[0.0], np.cumsum(steps[:-1])])
            part = _at(wave, zone, places)
            sound[done : done + len(part)] = part
            place, done = float(places[-1] + steps[-1]), done + len(part)
            if len(part) < len(steps):
                break
        sound = sound[:done]
        if zone.cutoff < min(18000.0, 0.45 * self.rate):
            sound = _low_pass(sound, zone.cutoff, zone.resonance, self.rate)
        sound *= self._envelope(zone, key, len(sound))
        return sound

    def _envelope(self, zone: Zone, key: int, count: int) -> FloatArray:
        """Delay, attack (linear), hold, decay (linear in dB) and sustain."""
        hold = zone.hold * 2 ** (zone.hold_by_key * (60 - key) / 1200)
        decay = zone.decay * 2 ** (zone.decay_by_key * (60 - key) / 1200)
        levels = np.ones(count, np.float32)
        begin = min(count, round(zone.delay * self.rate))
        levels[:begin] = 0
        # A sample that begins off zero clicks without this millisecond.
        attack = max(1, round(max(zone.attack, 0.001) * self.rate))
        rise = min(attack, count - begin)
        levels[begin : begin + rise] = np.arange(rise, dtype=np.float32) / attack
        fall = begin + attack + round(hold * self.rate)
        if zone.sustain > 0 and fall < count:
            slope = 100 / max(decay, 0.001) / self.rate
            length = min(count - fall, int(zone.sustain / slope) + 1)
            levels[fall : fall + length] = 10 ** (-np.arange(length, dtype=np.float32) * slope / 20)
            levels[fall + length :] = 10 ** (-zone.sustain / 20) if zone.sustain < _FLOOR else 0
        return levels

    def _released(self, whole: FloatArray, zone: Zone, seconds: float, choked: bool) -> FloatArray:
        """A copy that ends ``seconds`` in, with its release."""
        off = min(round(seconds * self.rate), len(whole))
        ramp = _ramp(_CHOKE if choked else self._ring(zone, None), self.rate)
        count = min(len(whole), off + len(ramp))
        sound = whole[:count].copy()
        sound[off:] *= ramp[: count - off]
        if count - off < len(ramp):  # a sample that ends by itself, perhaps not at zero
            tail = min(count, _TAIL)
            sound[count - tail :] *= np.linspace(1, 0, tail, dtype=np.float32)
        return sound

    def _bend(self, note: Note, zone: Zone) -> Curve | None:
        """The bend from the note's start on, or None where there is none while it sounds."""
        curve = self.part.bend
        if curve.constant and curve.values[0] == 0:
            return None
        end = note.end + self._ring(zone, None)
        inside = [i for i, time in enumerate(curve.times) if note.start < time < end]
        values = (curve.at(note.start), *(curve.values[i] for i in inside))
        if not any(values):
            return None
        return Curve((0.0, *(curve.times[i] - note.start for i in inside)), values)

    def _chokes(self, notes: Sequence[Note]) -> dict[Note, float]:
        """When a drum is stopped by another of its group: a closed hi-hat ends an open one."""
        stops: dict[Note, float] = {}
        last: dict[int, Note] = {}
        for note in notes:
            groups = {zone.group for zone in self.zones if zone.group and zone.plays(note.key, note.velocity)}
            for group in groups:
                if group in last and last[group].start < note.start:
                    stops[last[group]] = note.start
                last[group] = note
        return stops


def _centred(samples: FloatArray, zone: Zone) -> FloatArray:
    """Samples without their constant offset, which some recordings have: it would click at both ends of a note."""
    steady = samples[zone.loop_start - zone.start : zone.loop_end - zone.start] if zone.looped else samples
    return np.asarray(samples - np.float32(steady.mean(dtype=np.float64)), np.float32)


@lru_cache(maxsize=256)
def _ramp(seconds: float, rate: int) -> FloatArray:
    """A fall by 90 dB, linear in dB, its last samples down to zero."""
    count = max(_TAIL, round(seconds * rate))
    ramp = 10 ** (-_FLOOR / 20 * np.arange(count, dtype=np.float32) / count)
    ramp[-_TAIL:] *= np.linspace(1, 0, _TAIL, dtype=np.float32)
    return np.asarray(ramp, np.float32)


def _at(samples: FloatArray, zone: Zone, places: NDArray[np.float64]) -> FloatArray:
    """Samples at fractional places by 4-point cubic interpolation (Catmull-Rom), the loop unrolled."""
    if zone.looped:
        start, end = zone.loop_start - zone.start, zone.loop_end - zone.start
        period = end - start
        # Three samples beyond the seam, so that no read has to look round it.
        body = np.concatenate([samples[:end], np.resize(samples[start:end], 3)])
        beyond = places >= end
        places = np.where(beyond, start + (places - start) % period, places)
        before = np.where(beyond & (places < start + 1), end - 1, -1)
    else:
        body = np.concatenate([samples, np.zeros(3, np.float32)])
        places = places[places < len(samples)]
        before = np.full(len(places), -1)
    index = places.astype(np.int64)
    part = (places - index).astype(np.float32)
    previous = np.where(before >= 0, before, np.maximum(index - 1, 0))
    a, b, c, d = body[previous], body[index], body[index + 1], body[index + 2]
    mixed = b + 0.5 * part * (c - a + part * (2 * a - 5 * b + 4 * c - d + part * (3 * (b - c) + d - a)))
    return np.asarray(mixed, np.float32)


def _low_pass(sound: FloatArray, cutoff: float, resonance: float, rate: int) -> FloatArray:
    """Second-order low pass (Bristow-Johnson's cookbook); resonance in dB above a flat response."""
    signal = require("scipy.signal")
    omega = 2 * np.pi * cutoff / rate
    alpha = np.sin(omega) / (2 * 10 ** ((resonance - 3.01) / 20))
    cosine = np.cos(omega)
    b = np.array([(1 - cosine) / 2, 1 - cosine, (1 - cosine) / 2])
    a = np.array([1 + alpha, -2 * cosine, 1 - alpha])
    return np.asarray(
        signal.lfilter((b / a[0]).astype(np.float32), (a / a[0]).astype(np.float32), sound), np.float32
    )


def _mix_in(out: FloatArray, sound: FloatArray, start: int, gain: np.float32) -> FloatArray:
    """``out`` plus ``sound`` from ``start`` on, longer where needed."""
    end = start + len(sound)
    if end > len(out):
        out = np.concatenate([out, np.zeros(end - len(out), np.float32)])
    out[start:end] += gain * sound
    return out
