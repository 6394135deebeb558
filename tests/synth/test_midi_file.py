"""Parsing MIDI files, against mido and against bytes written by hand."""

from __future__ import annotations

import io
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slakh_hier.errors import SongError
from slakh_hier.synth.midi_file import CONTROL, NOTE_OFF, NOTE_ON, SYSEX, parse_midi


def test_same_events_as_mido(music):
    mido = pytest.importorskip("mido")
    for path in sorted(music.glob("*/Track*/all_src.mid")):
        data = path.read_bytes()
        expected = []
        reference = mido.MidiFile(file=io.BytesIO(data), charset="latin-1")
        for number, track in enumerate(reference.tracks):
            tick = 0
            for message in track:
                tick += message.time
                if message.type in ("note_on", "note_off"):
                    on = message.type == "note_on" and message.velocity > 0
                    expected.append(
                        (tick, number, NOTE_ON if on else NOTE_OFF, message.channel, message.note)
                    )
        file = parse_midi(data)
        found = [
            (e.tick, e.track, e.kind, e.channel, e.first)
            for e in file.events
            if e.kind in (NOTE_ON, NOTE_OFF)
        ]
        assert sorted(found) == sorted(expected)
        assert file.division == reference.ticks_per_beat


def test_running_status_and_real_time_bytes(midi):
    track = [
        (0, b"\x90\x3c\x40"),
        (10, b"\x40\x40"),
        (5, b"\xf8"),
        (5, b"\x3c\x00"),
        (0, b"\xf0\x02\x01\xf7"),
        (0, b"\x40\x00"),
    ]
    file = parse_midi(midi(track))
    assert [(e.tick, e.kind) for e in file.events if e.kind != SYSEX] == [
        (0, NOTE_ON), (10, NOTE_ON), (20, NOTE_OFF), (20, NOTE_OFF),
    ]  # fmt: skip


def test_a_control_of_a_later_track_precedes_a_note_of_its_tick(midi):
    file = parse_midi(midi([(0, b"\x90\x3c\x40")], [(0, b"\xb0\x07\x10")]))
    assert [e.kind for e in file.events] == [CONTROL, NOTE_ON]


def test_riff_wrapper(midi):
    inner = midi([(0, b"\x90\x3c\x40"), (480, b"\x80\x3c\x00")])
    chunk = b"data" + len(inner).to_bytes(4, "little") + inner
    wrapped = b"RIFF" + (len(chunk) + 4).to_bytes(4, "little") + b"RMID" + chunk
    assert parse_midi(wrapped) == parse_midi(inner)


def test_smpte_time(midi):
    file = parse_midi(midi([(0, b"\x90\x3c\x40")], division=(256 - 25) << 8 | 40))
    assert (file.frames_per_second, file.division) == (25.0, 40)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: b"", "is empty"),
        (lambda d: b"RIFFxxxxWAVE", "does not start with MThd"),
        (lambda d: d[:9], "ends inside its header"),
        (lambda d: d[:9] + b"\x02" + d[10:], "format 2"),
        (lambda d: d[:12] + b"\0\0" + d[14:], "division of 0"),
        (lambda d: d[:12] + b"\x81\x10" + d[14:], "127 SMPTE frames"),
        (lambda d: d[:30], "is cut off: the chunk at byte 14"),
        (lambda d: d[:11] + b"\x09" + d[12:], "promises 9 tracks, 1 are there"),
        (lambda d: d[:23] + b"\x3c" + d[24:], "a data byte (0x3c) where an event should begin at byte 23"),
        (lambda d: d[:24] + b"\xbc" + d[25:], "the byte 0xbc inside a channel message"),
        (lambda d: d[:22] + b"\xff\xff\xff\xff" + d[26:], "variable-length number"),
        (lambda d: d[:23] + b"\xf4" + d[24:], "undefined status byte 0xf4"),
        (lambda d: d[:23] + b"\xf0\x7f" + d[25:], "past the end of its track"),
        (lambda d: d + bytes(17 << 20), "18 MB long"),
    ],
)
def test_reasons(midi, change, reason):
    data = midi([(0, b"\x90\x3c\x40"), (0x60, b"\x80\x3c\x00")])
    with pytest.raises(SongError) as found:
        parse_midi(change(data))
    assert reason in str(found.value)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damage_never_surfaces_as_another_error(song_bytes, data):
    damaged = bytearray(song_bytes)
    for _ in range(data.draw(st.integers(1, 6))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    with suppress(SongError):
        parse_midi(bytes(damaged[:cut]))


@given(st.binary(max_size=300))
def test_any_bytes_after_a_header(rest):
    with suppress(SongError):
        parse_midi(b"MThd\0\0\0\6\0\1\0\1\1\xe0MTrk" + len(rest).to_bytes(4) + rest)
