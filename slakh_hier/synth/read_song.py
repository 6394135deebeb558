"""Reading a song: which instrument sounds when, out of a MIDI file's events.

Pedals lengthen notes; volume, expression and pitch bends become curves; bank selects and GS, XG and GM2
messages say which channels are drums. Channel state holds across tracks, as in a real instrument.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

from slakh_hier.errors import SongError
from slakh_hier.synth.midi_file import Event, MidiFile, parse_midi
from slakh_hier.synth.songs import NO_BEND, Curve, Note, Part, Song, cut

MAX_SECONDS = 6 * 3600.0
"""A song that lasts longer is taken for a file gone wrong; ``max_seconds`` still takes its beginning."""

_DRUM_CHANNEL = 9
_DRUM_BANK_GM2, _DRUM_BANK_XG = 120, 127
_GS_RHYTHM_PART = (0x41, 0x42, 0x12, 0x40, 0x15)


def read_song(data: bytes, *, max_seconds: float | None = None) -> Song:
    """Read a song from the bytes of a MIDI file.

    Parameters
    ----------
    max_seconds
        Leave out what begins later, and end what still sounds; None: the whole song.

    Raises
    ------
    SongError
        Not a MIDI file that can be read, without a note, or longer than six hours.
    """
    file = parse_midi(data)
    clock = _Clock(file)
    parts = _Reader(file, clock).parts()
    if not parts:
        raise SongError("holds no note")
    song = Song(
        tuple(parts),
        tuple((clock.second(tick), 60e6 / tempo) for tick, tempo in file.tempos) or ((0.0, 120.0),),
        tuple((clock.second(tick), over, under) for tick, over, under in file.time_signatures)
        or ((0.0, 4, 4),),
        tuple(file.remarks),
    )
    if max_seconds is not None:
        song = cut(song, max_seconds)
        if not song.parts:
            raise SongError(f"holds no note in its first {max_seconds:g} s")
    if song.end > MAX_SECONDS:
        raise SongError(f"lasts {song.end / 3600:.1f} h; take its beginning with --max-seconds")
    return song


class _Clock:
    """Ticks to seconds under the file's tempo changes."""

    def __init__(self, file: MidiFile):
        if file.frames_per_second is not None:
            ticks, rates = [0], [1 / (file.frames_per_second * file.division)]
        else:
            ticks, rates = [0], [0.5 / file.division]
            for tick, tempo in file.tempos:
                if tick == ticks[-1]:
                    rates[-1] = tempo * 1e-6 / file.division
                else:
                    ticks.append(tick)
                    rates.append(tempo * 1e-6 / file.division)
        self.ticks, self.rates, self.starts = ticks, rates, [0.0]
        for i in range(1, len(ticks)):
            self.starts.append(self.starts[-1] + (ticks[i] - ticks[i - 1]) * rates[i - 1])

    def second(self, tick: int) -> float:
        i = bisect_right(self.ticks, tick) - 1
        return self.starts[i] + (tick - self.ticks[i]) * self.rates[i]


@dataclass
class _Steps:
    """A curve in the making; a value of the same tick replaces the one before."""

    points: list[tuple[int, float]]

    def set(self, tick: int, value: float) -> None:
        if self.points[-1][1] == value:
            return
        if self.points[-1][0] == tick:
            self.points.pop()
        if not self.points or self.points[-1][1] != value:
            self.points.append((tick, value))

    def curve(self, clock: _Clock) -> Curve:
        return Curve(
            tuple(clock.second(tick) for tick, _ in self.points), tuple(value for _, value in self.points)
        )


@dataclass
class _Channel:
    drums: bool
    program: int = 0
    bank: int = 0
    pedal: bool = False
    volume: int = 100
    expression: int = 127
    bend: int = 0
    bend_range: float = 2.0
    parameter: tuple[int, int] = (127, 127)
    gains: _Steps = field(default_factory=lambda: _Steps([(0, _loudness(100, 127))]))
    bends: _Steps = field(default_factory=lambda: _Steps([(0, 0.0)]))

    def update(self, tick: int) -> None:
        self.gains.set(tick, _loudness(self.volume, self.expression))
        self.bends.set(tick, self.bend_range * self.bend / 8192)


_Key = tuple[int, int, int, bool]  # track, channel, program, drums
_Open = tuple[_Key, int, int]  # part, start tick, velocity
_Place = tuple[int, int, int]  # channel, track, key: two tracks of a channel may double each other


class _Reader:
    """Plays the events through sixteen (or more) channels and notes what sounds."""

    def __init__(self, file: MidiFile, clock: _Clock):
        self.file, self.clock = file, clock
        self.channels: dict[int, _Channel] = {}
        self.xg = False
        self.notes: dict[_Key, list[Note]] = {}
        self.banks: dict[_Key, int] = {}
        self.struck: dict[_Place, _Open] = {}  # keys that are down
        self.held: dict[_Place, _Open] = {}  # released, but held by the pedal
        self.last = 0

    def parts(self) -> list[Part]:
        for event in self.file.events:
            self.last = event.tick
            message = event.message
            if message.type == "note_on" and message.velocity:
                self.strike(event)
            elif message.type in ("note_on", "note_off"):
                self.release((event.channel, event.track, message.note), event.tick)
            elif message.type == "sysex":
                self.exclusive(message.data)
            else:
                self.change(event)
        quarter = self.file.division if self.file.frames_per_second is None else 12 * self.file.division
        for (*_, key), (part, start, velocity) in [*self.held.items(), *self.struck.items()]:
            # Never released: it sounds to the song's last event.
            self.add(part, key, start, self.last if self.last > start else start + quarter, velocity)
        return [self.part(key) for key in sorted(self.notes) if self.notes[key]]

    def part(self, key: _Key) -> Part:
        track, number, program, drums = key
        channel = self.channels[number]
        return Part(
            self.file.names[track],
            program,
            drums,
            self.banks[key],
            tuple(sorted(self.notes[key])),
            channel.gains.curve(self.clock),
            NO_BEND if drums else channel.bends.curve(self.clock),
        )

    def channel(self, number: int) -> _Channel:
        if number not in self.channels:
            self.channels[number] = _Channel(number % 16 == _DRUM_CHANNEL)
        return self.channels[number]

    def strike(self, event: Event) -> None:
        channel, key = self.channel(event.channel), event.message.note
        place = (event.channel, event.track, key)
        for keys in (self.struck, self.held):
            if place in keys:  # the same key again: the string is struck again
                part, start, velocity = keys.pop(place)
                self.add(part, key, start, event.tick, velocity)
        part = (event.track, event.channel, channel.program, channel.drums)
        self.banks.setdefault(part, channel.bank)
        self.struck[place] = (part, event.tick, event.message.velocity)

    def release(self, place: _Place, tick: int) -> None:
        if place not in self.struck:
            return
        number, _, key = place
        part, start, velocity = self.struck.pop(place)
        channel = self.channel(number)
        if channel.pedal and not channel.drums:
            self.held[place] = (part, start, velocity)
        else:
            # A length of zero is a hit: drums are often written so.
            self.add(part, key, start, max(tick, start + 1), velocity)

    def release_all(self, number: int, tick: int) -> None:
        for place in [place for place in self.struck if place[0] == number]:
            self.release(place, tick)

    def release_held(self, number: int, tick: int) -> None:
        for place in [place for place in self.held if place[0] == number]:
            part, start, velocity = self.held.pop(place)
            self.add(part, place[-1], start, tick, velocity)

    def add(self, part: _Key, key: int, start: int, end: int, velocity: int) -> None:
        if end > start:
            note = Note(self.clock.second(start), self.clock.second(end), key, velocity)
            self.notes.setdefault(part, []).append(note)

    def change(self, event: Event) -> None:
        channel = self.channel(event.channel)
        if event.message.type == "program_change":
            channel.program = event.message.program
            return
        if event.message.type == "pitchwheel":
            channel.bend = event.message.pitch
        else:
            self.control(channel, event)
        channel.update(event.tick)

    def control(self, channel: _Channel, event: Event) -> None:
        number, value = event.message.control, event.message.value
        match number:
            case 0:
                channel.bank = value
                if value == _DRUM_BANK_GM2 or (self.xg and value == _DRUM_BANK_XG):
                    channel.drums = True
                elif event.channel % 16 != _DRUM_CHANNEL:
                    channel.drums = False
            case 32:
                channel.bank = channel.bank or value
            case 7:
                channel.volume = value
            case 11:
                channel.expression = value
            case 64:
                channel.pedal = value >= 64
                if not channel.pedal:
                    self.release_held(event.channel, event.tick)
            case 101:
                channel.parameter = (value, channel.parameter[1])
            case 100:
                channel.parameter = (channel.parameter[0], value)
            case 98 | 99:
                channel.parameter = (127, 127)
            case 6 if channel.parameter == (0, 0):
                channel.bend_range = float(min(value, 24))
            case 121:
                channel.expression, channel.bend, channel.pedal = 127, 0, False
                self.release_held(event.channel, event.tick)
            case 120 | 123:
                self.release_all(event.channel, event.tick)
                if number == 120:
                    self.release_held(event.channel, event.tick)

    def exclusive(self, data: tuple[int, ...]) -> None:
        """System-exclusive messages that make a channel a drum channel, or say that the file is XG."""
        if data[:1] == (0x43,) and data[2:7] == (0x4C, 0x00, 0x00, 0x7E, 0x00):
            self.xg = True
        elif len(data) >= 8:
            maker, model, command, address, what = data[0], data[2], data[3], data[4], data[6]
            if (maker, model, command, address, what) == _GS_RHYTHM_PART and data[5] & 0xF0 == 0x10:
                block = data[5] & 0x0F
                number = 9 if block == 0 else block - 1 if block <= 9 else block
                self.channel(number).drums = data[7] != 0


def _loudness(volume: int, expression: int) -> float:
    """Gain of CC 7 and CC 11: 40 log10(value / 127) dB each (General MIDI level 2)."""
    return (volume / 127) ** 2 * (expression / 127) ** 2
