"""Standard MIDI files from bytes to timed events: mido reads them, after :mod:`midi_tidy`.

Read through, each time with a remark: a wrong number of tracks, a wrong length of a chunk, chunks of other kinds, data
bytes above 127. Source: Standard MIDI Files 1.0 (RP-001); RMID: RP-029.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from slakh_hier.errors import SongError
from slakh_hier.synth.extras import require
from slakh_hier.synth.midi_tidy import tidy_tracks
from slakh_hier.wording import counted

MAX_BYTES = 4 << 20
"""Of a file: mido takes some 500 bytes of memory for an event, and three bytes can be one."""

_FRAME_RATES = {24: 24.0, 25: 25.0, 29: 30000 / 1001, 30: 30.0}


class Event(NamedTuple):
    """One of mido's channel or system-exclusive messages at its tick.

    ``channel`` is 16 x port + channel, from 0; 0 for a system-exclusive message.
    """

    tick: int
    track: int
    channel: int
    message: Any


@dataclass
class MidiFile:
    """What a MIDI file holds."""

    division: int
    """Ticks per quarter note, or with ``frames_per_second`` ticks per frame."""
    frames_per_second: float | None
    """Where the file counts SMPTE time, else None."""
    remarks: list[str]
    """Where the file breaks the standard."""
    events: list[Event] = field(default_factory=list)
    """By time; at one tick, controls stand before notes, and notes in the file's order."""
    tempos: list[tuple[int, int]] = field(default_factory=list)
    """(tick, microseconds per quarter note), by time; empty: 120 quarter notes per minute."""
    time_signatures: list[tuple[int, int, int]] = field(default_factory=list)
    """(tick, numerator, denominator), by time."""
    names: list[str] = field(default_factory=list)
    """The tracks' names, "" where there is none."""


def parse_midi(data: bytes) -> MidiFile:
    """Read a Standard MIDI File (format 0 or 1, bare or in a RIFF wrapper).

    Raises
    ------
    SongError
        With the reason; for a damaged event with its byte.
    MissingExtraError
        mido is not installed.
    """
    if len(data) > MAX_BYTES:
        raise SongError(f"is {len(data) / 1e6:.0f} MB long; a song has at most {MAX_BYTES / 1e6:.0f} MB")
    data = _unwrapped(data)
    if data[:4] != b"MThd":
        raise SongError("is not a MIDI file: it does not start with MThd" if data else "is empty")
    if len(data) < 14:
        raise SongError(f"ends inside its header ({len(data)} bytes)")
    form, count = (int.from_bytes(data[i : i + 2]) for i in (8, 10))
    if form not in (0, 1):
        raise SongError(
            f"is of MIDI format {form}, whose tracks do not sound together; export it as format 1"
        )
    tracks, remarks = tidy_tracks(data)
    if not tracks:
        raise SongError("holds no track")
    if len(tracks) != count:
        remarks.append(f"its header says that it has {counted(count, 'track')}, and {len(tracks)} are there")
    file = MidiFile(*_time_base(int.from_bytes(data[12:14])), remarks)
    chunks = (b"MTrk" + len(track).to_bytes(4) + track for track in tracks)
    head = b"MThd\0\0\0\6\0\1" + len(tracks).to_bytes(2) + b"\1\xe0"
    try:
        read = require("mido").MidiFile(file=io.BytesIO(head + b"".join(chunks)), clip=True)
    except (OSError, EOFError, ValueError, LookupError) as error:
        raise SongError(f"cannot be read: {error}") from error
    for number, messages in enumerate(read.tracks):
        _collect(file, number, messages)
    # Controls first: a program change in a conductor track holds for a note of the same tick in a later one.
    file.events.sort(key=lambda event: (event.tick, event.message.type.startswith("note_"), event.track))
    file.tempos.sort(key=lambda tempo: tempo[0])
    file.time_signatures.sort(key=lambda signature: signature[0])
    return file


def _time_base(division: int) -> tuple[int, float | None]:
    """Ticks per quarter note and None, or ticks per frame and frames per second."""
    frames_per_second = None
    if division & 0x8000:
        frames_per_second = _FRAME_RATES.get(256 - (division >> 8))
        if frames_per_second is None:
            raise SongError(f"counts {256 - (division >> 8)} SMPTE frames a second, which do not exist")
        division &= 0xFF
    if division == 0:
        raise SongError("has a time division of 0")
    return division, frames_per_second


def _collect(file: MidiFile, number: int, messages: Iterable[Any]) -> None:
    """Add the messages of track ``number`` to the file."""
    file.names.append("")
    tick = port = 0
    for message in messages:
        tick += message.time
        match message.type:
            case "set_tempo" if message.tempo:
                file.tempos.append((tick, message.tempo))
            case "time_signature" if message.numerator:
                file.time_signatures.append((tick, message.numerator, message.denominator))
            case "midi_port":
                port = message.port
            case "track_name" if not file.names[number]:
                file.names[number] = _text(message.name.encode("latin-1"))
            case "sysex":
                file.events.append(Event(tick, number, 0, message))
            case "note_on" | "note_off" | "control_change" | "program_change" | "pitchwheel":
                file.events.append(Event(tick, number, 16 * port + message.channel, message))


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
