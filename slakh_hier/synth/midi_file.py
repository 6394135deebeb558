"""Standard MIDI files from bytes to timed events, with every length and status checked.

Written out here because the libraries at hand drop what a song needs (bank selects, pedals, several drum
channels) and because a file from anywhere must end in a reason, not in a crash of native code.
Source: Standard MIDI Files 1.0 (RP-001); RMID: RP-029.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from slakh_hier.errors import SongError

MAX_BYTES = 16 << 20
MAX_EVENTS = 2_000_000
NOTE_OFF, NOTE_ON, CONTROL, PROGRAM, BEND = 0x80, 0x90, 0xB0, 0xC0, 0xE0
SYSEX = 0xF0
_LENGTHS = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2}
_SYSTEM_LENGTHS = {0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0}


class Event(NamedTuple):
    """A channel message or system-exclusive message at an absolute time.

    ``channel`` is 16 x port + channel, from 0. ``kind`` is the status byte without its channel; ``data`` holds
    a system-exclusive message's bytes.
    """

    tick: int
    track: int
    kind: int
    channel: int
    first: int
    second: int
    data: bytes = b""


@dataclass(frozen=True)
class MidiFile:
    """What a MIDI file holds.

    Attributes
    ----------
    events
        By time; at one tick, controls stand before notes, and notes in the file's order.
    tempos
        (tick, microseconds per quarter note), by time; empty: 120 quarter notes a minute.
    time_signatures
        (tick, numerator, denominator), by time.
    division
        Ticks per quarter note, or with ``frames_per_second`` ticks per frame.
    frames_per_second
        Where the file counts SMPTE time, else None.
    names
        The tracks' names, "" where there is none.
    """

    events: list[Event]
    tempos: list[tuple[int, int]]
    time_signatures: list[tuple[int, int, int]]
    division: int
    frames_per_second: float | None
    names: list[str]


def parse_midi(data: bytes) -> MidiFile:
    """Read a Standard MIDI File (format 0 or 1, bare or in a RIFF wrapper).

    Raises
    ------
    SongError
        With the reason and the byte at which it was found.
    """
    if len(data) > MAX_BYTES:
        raise SongError(f"is {len(data) / 1e6:.0f} MB long; a song has at most {MAX_BYTES / 1e6:.0f} MB")
    data = _unwrapped(data)
    if data[:4] != b"MThd":
        raise SongError("is not a MIDI file: it does not start with MThd" if data else "is empty")
    if len(data) < 14:
        raise SongError(f"ends inside its header ({len(data)} bytes)")
    header = int.from_bytes(data[4:8])
    form, count, division = (int.from_bytes(data[i : i + 2]) for i in (8, 10, 12))
    if header < 6:
        raise SongError(f"its header promises {header} bytes; 6 are needed")
    if form not in (0, 1):
        raise SongError(
            f"is of MIDI format {form}, whose tracks do not sound together; export it as format 1"
        )
    frames_per_second = None
    if division & 0x8000:
        frames_per_second = {24: 24.0, 25: 25.0, 29: 30000 / 1001, 30: 30.0}.get(256 - (division >> 8))
        if frames_per_second is None:
            raise SongError(f"counts {256 - (division >> 8)} SMPTE frames a second, which do not exist")
        division &= 0xFF
    if division == 0:
        raise SongError("has a time division of 0")
    content = _Content()
    place, found = 8 + header, 0
    while found < count and place + 8 <= len(data):
        kind, length = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8])
        start = place + 8
        if start + length > len(data):
            raise SongError(
                f"is cut off: the chunk at byte {place} promises {length} bytes, {len(data) - start} are there"
            )
        if kind == b"MTrk":
            _Track(data, start, start + length, found, content).read()
            found += 1
        place = start + length
    if found < count:
        raise SongError(f"is cut off: its header promises {count} tracks, {found} are there")
    # Controls first: a program change in a conductor track holds for a note of the same tick in a later one.
    content.events.sort(key=lambda event: (event.tick, event.kind in (NOTE_ON, NOTE_OFF), event.track))
    return MidiFile(
        content.events,
        sorted(content.tempos, key=lambda tempo: tempo[0]),
        sorted(content.time_signatures, key=lambda signature: signature[0]),
        division,
        frames_per_second,
        content.names,
    )


@dataclass
class _Content:
    events: list[Event] = field(default_factory=list)
    tempos: list[tuple[int, int]] = field(default_factory=list)
    time_signatures: list[tuple[int, int, int]] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


class _Track:
    """One track chunk, read from front to back."""

    def __init__(self, data: bytes, start: int, end: int, track: int, content: _Content):
        self.data, self.place, self.end, self.track, self.content = data, start, end, track, content
        self.port = 0
        content.names.append("")

    def read(self) -> None:
        tick, running = 0, 0
        while self.place < self.end:
            tick += self.length()
            status = self.byte()
            if status == 0xFF:
                if not self.meta(tick):
                    return
            elif status in (0xF0, 0xF7):
                self.add(Event(tick, self.track, SYSEX, 0, 0, 0, self.take(self.length())))
            elif status >= 0xF0:
                if status < 0xF8:
                    if status not in _SYSTEM_LENGTHS:
                        raise self.broken(f"the undefined status byte {status:#04x}", -1)
                    self.take(_SYSTEM_LENGTHS[status])
            else:
                if status < 0x80:
                    if not running:
                        raise self.broken(f"a data byte ({status:#04x}) where an event should begin", -1)
                    self.place -= 1
                else:
                    running = status
                kind = running & 0xF0
                first = self.data_byte()
                second = self.data_byte() if _LENGTHS[kind] == 2 else 0
                if kind == NOTE_ON and second == 0:
                    kind = NOTE_OFF
                if kind not in (0xA0, 0xD0):
                    self.add(Event(tick, self.track, kind, 16 * self.port + (running & 0x0F), first, second))

    def meta(self, tick: int) -> bool:
        """Read a meta event; whether the track goes on."""
        kind = self.byte()
        data = self.take(self.length())
        if kind == 0x2F:
            return False
        if kind == 0x51 and len(data) == 3 and any(data):
            self.content.tempos.append((tick, int.from_bytes(data)))
        elif kind == 0x58 and len(data) >= 2 and data[0] and data[1] <= 6:
            self.content.time_signatures.append((tick, data[0], 1 << data[1]))
        elif kind == 0x21 and len(data) == 1:
            self.port = data[0]
        elif kind == 0x03 and not self.content.names[self.track]:
            self.content.names[self.track] = _text(data)
        return True

    def add(self, event: Event) -> None:
        self.content.events.append(event)
        if len(self.content.events) > MAX_EVENTS:
            raise SongError(f"has more than {MAX_EVENTS} events")

    def byte(self) -> int:
        if self.place >= self.end:
            raise self.broken("the end of its track inside an event")
        self.place += 1
        return self.data[self.place - 1]

    def data_byte(self) -> int:
        value = self.byte()
        if value > 127:
            raise self.broken(f"the byte {value:#04x} inside a channel message, whose data end at 0x7f", -1)
        return value

    def length(self) -> int:
        """A variable-length quantity: at most four bytes of seven bits."""
        value = 0
        for _ in range(4):
            byte = self.byte()
            value = value << 7 | byte & 0x7F
            if byte < 0x80:
                return value
        raise self.broken("a variable-length number of more than four bytes", -1)

    def take(self, count: int) -> bytes:
        if self.place + count > self.end:
            raise self.broken(f"an event of {count} bytes that reaches past the end of its track")
        self.place += count
        return self.data[self.place - count : self.place]

    def broken(self, what: str, back: int = 0) -> SongError:
        return SongError(f"has {what} at byte {self.place + back} (track {self.track + 1})")


def _unwrapped(data: bytes) -> bytes:
    """The MIDI file inside a RIFF RMID file; other data as they are."""
    if data[:4] != b"RIFF" or data[8:12] != b"RMID":
        return data
    place = 12
    while place + 8 <= len(data):
        kind, length = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        if kind == b"data":
            return data[place + 8 : place + 8 + length]
        place += 8 + length + length % 2
    return data


def _text(data: bytes) -> str:
    """A name: UTF-8 where it is, else Latin-1, which most old files mean; without control characters."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return "".join(c for c in text if c.isprintable()).strip()
