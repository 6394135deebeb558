"""Reading MIDI files, against bytes written by hand and events written in random encodings."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slakh_hier.errors import SongError
from slakh_hier.synth.midi_file import MAX_BYTES, parse_midi

ON, OFF = b"\x90\x3c\x40", b"\x80\x3c\x00"
END = b"\x00\xff\x2f\x00"


def head(form: int = 1, count: int = 1, division: int = 480) -> bytes:
    return b"MThd\0\0\0\6" + form.to_bytes(2) + count.to_bytes(2) + division.to_bytes(2)


def chunk(body: bytes, *, said: int | None = None, kind: bytes = b"MTrk") -> bytes:
    return kind + (len(body) if said is None else said).to_bytes(4) + body


def found(data: bytes) -> list[tuple[int, int, int, str, list[int]]]:
    return [
        (e.tick, e.track, e.channel, e.message.type, e.message.bytes()[1:]) for e in parse_midi(data).events
    ]


def length(value: int) -> bytes:
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(0x80 | value & 0x7F)
    return bytes(reversed(out))


def encoded(random: Random, events: Sequence[tuple[int, bytes]]) -> bytes:
    """Channel messages at their ticks, with running status, and with all that does not matter between them."""
    body, last, running = b"", 0, None
    for tick, event in events:
        between = random.choice([0, 0, tick - last])
        noise = random.choice(
            [
                b"",
                b"\xf8",
                b"\xfe",
                b"\xff\x09\x03abc",
                b"\xff\x59\x01\x10",
                b"\xff\x51\x01\x00",
                b"\xff\x20\x00",
            ]
        )
        if noise:
            body += length(between) + noise
            last += between
        status, rest = event[:1], event[1:]
        body += length(tick - last) + (rest if status == running and random.random() < 0.8 else event)
        last, running = tick, status
    return body + END


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 3))
def test_events_are_read_however_they_are_encoded(random, count):
    expected, data = [], head(1, count)
    for track in range(count):
        ticks = sorted(random.choice([0, 5, 100, 127, 128, 20_000]) + i for i in range(random.randint(0, 20)))
        kinds = [random.choice([0x90, 0x80, 0xB3, 0xE1]) for _ in ticks]
        events = [
            (t, bytes((k, random.randint(0, 127), random.randint(0, 127))))
            for t, k in zip(ticks, kinds, strict=True)
        ]
        data += chunk(encoded(random, events))
        expected += [(tick, track, event[0] & 15, list(event[1:])) for tick, event in events]
    assert sorted((e[0], e[1], e[2], e[4]) for e in found(data)) == sorted(expected)
    assert parse_midi(data).remarks == []


def test_running_status_continues_over_real_time_meta_and_exclusive_messages(midi):
    track = [(0, ON), (10, b"\x40\x40"), (5, b"\xf8"), (5, b"\x3c\x00"), (0, b"\xf0\x02\x01\xf7"), (0, b"\xf2\x01\x02"),
             (0, b"\xff\x01\x01a"), (0, b"\x40\x00")]  # fmt: skip
    notes = [(tick, data) for tick, *_, kind, data in found(midi(track)) if kind == "note_on"]
    assert notes == [(0, [60, 64]), (10, [64, 64]), (20, [60, 0]), (20, [64, 0])]


def test_time_before_an_unknown_meta_event_counts(midi):
    track = [(0, ON), (480, b"\xff\x08\x01a"), (480, OFF)]
    assert [event[0] for event in found(midi(track))] == [0, 960]


def test_what_follows_the_end_of_a_track_is_not_played(midi):
    assert len(found(head() + chunk(b"\0" + ON + b"\x60" + OFF + END + bytes(9)))) == 2


def test_a_control_of_a_later_track_precedes_a_note_of_its_tick(midi):
    assert [event[3] for event in found(midi([(0, ON)], [(0, b"\xb0\x07\x10")]))] == [
        "control_change",
        "note_on",
    ]


def test_ports_are_sixteen_channels_each(midi):
    assert [event[2] for event in found(midi([(0, ON)], [(0, b"\xff\x21\x01\x02"), (0, ON)]))] == [0, 32]


def test_tempos_meters_and_names(midi):
    file = parse_midi(midi(
        [(0, b"\xff\x51\x03\x07\xa1\x20"), (96, b"\xff\x51\x03\0\0\0"), (0, b"\xff\x58\x04\x03\x03\x18\x08")],
        [(0, b"\xff\x03\x05Piano"), (0, b"\xff\x03\x01x")],
    ))  # fmt: skip
    assert (file.tempos, file.time_signatures, file.names) == ([(0, 500_000)], [(96, 3, 8)], ["", "Piano"])


def test_riff_wrapper(midi):
    inner = midi([(0, ON), (480, OFF)])
    data = b"data" + len(inner).to_bytes(4, "little") + inner
    wrapped = b"RIFF" + (len(data) + 4).to_bytes(4, "little") + b"RMID" + data
    assert parse_midi(wrapped) == parse_midi(inner)


def test_smpte_time(midi):
    file = parse_midi(midi([(0, ON)], division=(256 - 25) << 8 | 40))
    assert (file.frames_per_second, file.division) == (25.0, 40)


BODY = b"\0" + ON + b"\x60" + OFF + END
PLAIN = head(count=2) + chunk(BODY) + chunk(BODY)


@pytest.mark.parametrize(
    ("data", "remark"),
    [
        (head(count=1) + chunk(BODY) + chunk(BODY), "its header says that it has 1 track, and 2 are there"),
        (head(count=3) + chunk(BODY) + chunk(BODY), "its header says that it has 3 tracks, and 2 are there"),
        (head(count=2) + chunk(BODY) + chunk(BODY, said=len(BODY) + 5), "the chunk of track 2 says that it has 17 bytes, and it has 12"),
        (head(count=2) + chunk(BODY, said=len(BODY) + 5) + chunk(BODY), "the chunk of track 1 says that it has 17 bytes, and it has 12"),
        (head(count=2) + chunk(BODY, said=7) + chunk(BODY), "the chunk of track 1 says that it has 7 bytes, and it has 12"),
        (head(count=2) + chunk(BODY) + chunk(BODY, said=0xFFFFFFFF), "and it has 12"),
        (head(count=2) + chunk(BODY) + chunk(b"abcd", kind=b"XF\x1bH") + chunk(BODY), r"its chunk XF\x1bH is not a track; skipped"),
    ],
)  # fmt: skip
def test_what_players_read_through_is_read_with_a_remark(data, remark):
    file = parse_midi(data)
    assert file.events == parse_midi(PLAIN).events
    assert len(file.remarks) == 1
    assert file.remarks[0].endswith(remark)


def test_a_counted_chunk_of_another_kind():
    file = parse_midi(head(count=3) + chunk(BODY) + chunk(b"abcd", kind=b"XFIH") + chunk(BODY))
    assert file.events == parse_midi(PLAIN).events
    assert len(file.remarks) == 2


@pytest.mark.parametrize("trailing", [b"\0" * 3, b"\0" * 50, b"junk behind the last track"])
def test_what_follows_the_last_track_is_nothing(trailing):
    assert parse_midi(PLAIN + trailing) == parse_midi(PLAIN)


def test_data_bytes_above_127_are_clipped(midi):
    data = midi([(0, b"\xb0\x07\xff"), (0, ON), (96, b"\x80\xbc\xff")])
    assert [event[4] for event in found(data)] == [[7, 127], [60, 64], [127, 127]]
    assert parse_midi(data).remarks == [
        "track 1 has data bytes above 127, in 2 of its messages; they are taken as 127"
    ]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda d: b"", "is empty"),
        (lambda d: b"RIFFxxxxWAVE", "does not start with MThd"),
        (lambda d: d[:9], "ends inside its header"),
        (lambda d: d[:9] + b"\x02" + d[10:], "format 2"),
        (lambda d: d[:12] + b"\0\0" + d[14:], "division of 0"),
        (lambda d: d[:12] + b"\x81\x10" + d[14:], "127 SMPTE frames"),
        (lambda d: d[:14], "holds no track"),
        (lambda d: d[:26], "track 1 has no end"),
        (lambda d: d[:28], "is cut off: the event at byte 26 reaches past the end of track 1"),
        (lambda d: d[:23] + b"\x3c" + d[24:], "a data byte where an event should begin at byte 23 (track 1)"),
        (lambda d: d[:22] + b"\xff\xff\xff\xff" + d[26:], "no event that can be read at byte 22 (track 1)"),
        (lambda d: d[:23] + b"\xf4" + d[24:], "no event that can be read at byte 22"),
        (lambda d: d[:23] + b"\xf0\x7f" + d[25:], "the event at byte 22 reaches past the end of track 1"),
        (lambda d: d + bytes(MAX_BYTES), "4 MB long"),
    ],
)
def test_reasons(midi, change, reason):
    data = midi([(0, ON), (0x60, OFF)])
    with pytest.raises(SongError) as caught:
        parse_midi(change(data))
    assert reason in str(caught.value)


@settings(max_examples=500, deadline=None)
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
        parse_midi(head() + chunk(rest))
