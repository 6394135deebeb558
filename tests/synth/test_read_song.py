"""Songs out of MIDI files: what sounds when, and on which instrument."""

from __future__ import annotations

import io
import itertools

import numpy as np
import pytest

from slakh_hier.errors import SongError
from slakh_hier.synth.read_song import read_song
from slakh_hier.synth.write_song import song_midi

ON, OFF = b"\x90\x3c\x64", b"\x80\x3c\x00"


def only(song):
    assert len(song.parts) == 1
    return song.parts[0]


def test_same_notes_as_pretty_midi(music):
    pretty_midi = pytest.importorskip("pretty_midi")
    for path in sorted(music.glob("*/Track*/all_src.mid")):
        data = path.read_bytes()
        if b"\xb0\x40" in data:
            continue  # pretty_midi leaves pedals to the synthesiser
        reference = pretty_midi.PrettyMIDI(io.BytesIO(data))
        expected = sorted({(n.pitch, float(n.start)) for i in reference.instruments for n in i.notes})
        found = sorted({(n.key, n.start) for p in read_song(data).parts for n in p.notes})
        # One note where a key is struck twice at one instant.
        np.testing.assert_allclose(found, expected, atol=1e-6, err_msg=str(path))


def test_tempo_changes(midi):
    tempos = [(0, b"\xff\x51\x03" + (500_000).to_bytes(3)), (960, b"\xff\x51\x03" + (250_000).to_bytes(3))]
    part = only(read_song(midi(tempos, [(480, ON), (960, OFF)])))
    # Half a second a beat, then a quarter from beat 2 on.
    assert part.notes[0].start == pytest.approx(0.5)
    assert part.notes[0].end == pytest.approx(1.0 + 0.25)


def test_smpte_time(midi):
    part = only(read_song(midi([(0, ON), (1000, OFF)], division=(256 - 25) << 8 | 40)))
    assert part.notes[0].end == pytest.approx(1.0)


def test_a_program_change_inside_a_track_splits_it(midi):
    song = read_song(midi([(0, b"\xc0\x05"), (0, ON), (480, OFF), (0, b"\xc0\x28"), (0, ON), (480, OFF), (0, b"\xc0\x05"),
                           (0, ON), (480, OFF)]))  # fmt: skip
    assert [(part.program, len(part.notes)) for part in song.parts] == [(5, 2), (40, 1)]


def test_one_stem_for_each_track_channel_and_program(midi):
    two = [(0, ON), (480, OFF), (0, b"\x91\x3c\x64"), (480, b"\x81\x3c\x00")]
    assert len(read_song(midi(two, two)).parts) == 4


def test_programs_hold_across_tracks(midi):
    song = read_song(midi([(0, b"\xc0\x28")], [(0, ON), (480, OFF)]))
    assert only(song).program == 40


def test_notes_never_released(midi):
    song = read_song(midi([(0, ON), (960, b"\xb0\x07\x40")], [(0, b"\x91\x40\x50")]))
    assert [part.notes[0].end for part in song.parts] == [1.0, 1.0]
    alone = read_song(midi([(480, ON)]))
    assert only(alone).notes[0].end > only(alone).notes[0].start


def test_a_key_struck_again_ends_its_last_note(midi):
    notes = only(read_song(midi([(0, ON), (480, ON), (480, OFF)]))).notes
    assert [(n.start, n.end) for n in notes] == [(0.0, 0.5), (0.5, 1.0)]


def test_notes_of_no_length_are_hits(midi):
    assert len(only(read_song(midi([(0, ON), (0, OFF), (480, ON), (0, OFF)]))).notes) == 2


def test_pedal_holds_notes(midi):
    down, up = b"\xb0\x40\x7f", b"\xb0\x40\x00"
    notes = only(read_song(midi([(0, down), (0, ON), (240, OFF), (720, up), (0, ON), (240, OFF)]))).notes
    assert [n.end for n in notes] == [1.0, 1.25]


def test_all_notes_off(midi):
    assert (
        only(read_song(midi([(0, ON), (480, b"\xb0\x7b\x00"), (480, b"\x80\x3e\x00")]))).notes[0].end == 0.5
    )


@pytest.mark.parametrize(
    ("before", "drums"),
    [
        ([], False),
        ([(0, b"\xb0\x00\x78")], True),  # GM2 rhythm bank
        ([(0, b"\xb0\x00\x7f")], False),  # a GS file's MT-32 bank is melodic
        ([(0, b"\xf0\x08\x43\x10\x4c\x00\x00\x7e\x00\xf7"), (0, b"\xb0\x00\x7f")], True),  # XG on, drum bank
        ([(0, b"\xf0\x0a\x41\x10\x42\x12\x40\x11\x15\x01\x19\xf7")], True),  # GS: use part 1 for rhythm
        ([(0, b"\xf0\x0a\x41\x10\x42\x12\x40\x12\x15\x01\x18\xf7")], False),  # part 2 is another channel
    ],
)
def test_several_drum_channels(midi, before, drums):
    standard = [(0, b"\x99\x24\x64"), (480, b"\x89\x24\x00")]
    song = read_song(midi([*before, (0, ON), (480, OFF)], standard))
    assert [part.is_drum for part in song.parts] == [drums, True]
    assert song.parts[1].program_num == 128


def test_bank_selects(midi):
    song = read_song(
        midi([(0, b"\xb0\x00\x08"), (0, b"\xb0\x20\x00"), (0, b"\xc0\x18"), (0, ON), (480, OFF)])
    )
    assert (only(song).bank, only(song).program) == (8, 24)


def test_volume_and_expression_are_a_curve(midi):
    song = read_song(midi([(0, b"\xb0\x07\x7f"), (0, ON), (480, b"\xb0\x0b\x40"), (480, OFF)]))
    gain = only(song).gain
    assert gain.at(0.2) == 1.0
    assert gain.at(0.7) == pytest.approx((64 / 127) ** 2)


def test_bends_follow_their_range(midi):
    wide = [(0, b"\xb0\x65\x00"), (0, b"\xb0\x64\x00"), (0, b"\xb0\x06\x0c")]
    for before, semitones in ([], -2.0), (wide, -12.0):
        song = read_song(midi([*before, (0, ON), (480, b"\xe0\x00\x00"), (480, OFF)]))
        assert only(song).bend.at(0.7) == pytest.approx(semitones)


def test_empty_tracks_are_no_parts(midi):
    assert len(read_song(midi([], [(0, ON), (480, OFF)], [(0, b"\xc3\x10")])).parts) == 1
    with pytest.raises(SongError, match="holds no note"):
        read_song(midi([], [(0, b"\xc3\x10")]))


def test_names(midi):
    for raw, name in (
        ("Čembalo 日本".encode(), "Čembalo 日本"),
        ("Flöte".encode("latin-1"), "Flöte"),
        (b"a\x00\x1b\nb", "ab"),
    ):
        song = read_song(midi([(0, b"\xff\x03" + bytes((len(raw),)) + raw), (0, ON), (480, OFF)]))
        assert only(song).name == name


def test_longer_than_an_hour(midi):
    hour = 480 * 2 * 3600
    song = read_song(midi([(0, ON), (480, OFF), (hour, ON), (480, OFF)]))
    assert song.end == pytest.approx(3601.0)
    endless = midi([(0, ON), (480, OFF), (7 * hour, ON), (480, OFF)])
    with pytest.raises(SongError, match=r"lasts 7\.0 h"):
        read_song(endless)
    assert len(only(read_song(endless, max_seconds=60)).notes) == 1


def test_max_seconds(midi):
    data = midi([(0, ON), (9600, OFF)], [(4800, b"\x91\x3c\x64"), (480, b"\x81\x3c\x00")])
    song = read_song(data, max_seconds=4.0)
    assert only(song).notes[0].end == 4.0
    with pytest.raises(SongError, match=r"no note in its first 0\.5 s"):
        read_song(midi([(4800, ON), (480, OFF)]), max_seconds=0.5)


def test_written_parts_read_back(midi, song_bytes):
    tempos = [(0, b"\xff\x51\x03" + (400_000).to_bytes(3)), (960, b"\xff\x51\x03" + (650_000).to_bytes(3))]
    bends = [(0, b"\xb0\x0b\x20"), (0, ON), (480, b"\xe0\x00\x60"), (0, b"\xb0\x0b\x70"), (960, OFF)]
    for data in (song_bytes, midi(tempos, bends)):
        song = read_song(data)
        again = read_song(song_midi(song.parts, song))
        for part, copy in itertools.zip_longest(song.parts, again.parts):
            assert (part.name, part.program_num) == (copy.name, copy.program_num)
            assert [n[2:] for n in part.notes] == [n[2:] for n in copy.notes]
            assert [n[:2] for n in copy.notes] == [pytest.approx(n[:2], abs=0.002) for n in part.notes]
            ratio = copy.gain.at(1.2) / copy.gain.at(0.0)
            assert ratio == pytest.approx(part.gain.at(1.2) / part.gain.at(0.0), rel=0.1)
            assert copy.bend.at(1.2) == pytest.approx(part.bend.at(1.2), abs=0.01)
