"""Scores as MIDI files, read back by pretty_midi."""

from __future__ import annotations

import io

import pytest

from slakh_hier.synth.write_song import TrackScore, score_midi


def test_pretty_midi_reads_what_was_written():
    pretty_midi = pytest.importorskip("pretty_midi")
    tracks = [
        TrackScore(
            "Čembalo", 6, False, [(480, 240, 60, 90), (0, 480, 64, 80)], [(0, 7, 100)], [(240, -8192)]
        ),
        TrackScore("Kit", 0, True, [(0, 30, 36, 100)]),
    ]
    data = score_midi([(0, 60.0), (480, 120.0)], [(0, 3, 4)], tracks)
    file = pretty_midi.PrettyMIDI(io.BytesIO(data))
    piano, drums = file.instruments
    assert (piano.program, piano.is_drum, drums.is_drum) == (6, False, True)
    assert sorted((n.pitch, n.velocity, n.start, n.end) for n in piano.notes) == [
        (60, 90, 1.0, pytest.approx(1.25)), (64, 80, 0.0, pytest.approx(1.0)),
    ]  # fmt: skip
    assert [(c.number, c.value) for c in piano.control_changes] == [(7, 100)]
    assert [(b.pitch, b.time) for b in piano.pitch_bends] == [(-8192, 0.5)]
    assert [(t.numerator, t.denominator) for t in file.time_signature_changes] == [(3, 4)]
    assert list(file.get_tempo_changes()[1]) == pytest.approx([60.0, 120.0])


def test_a_key_struck_again_ends_before_it_begins(midi):
    data = score_midi([(0, 120.0)], [], [TrackScore("", 0, False, [(0, 480, 60, 90), (480, 480, 60, 91)])])
    assert data.index(bytes((0x80, 60, 90))) < data.index(bytes((0x90, 60, 91)))


def test_channels_go_round_without_the_drums():
    mido = pytest.importorskip("mido")
    tracks = [TrackScore("", number, False, [(0, 1, 60, 1)]) for number in range(17)]
    file = mido.MidiFile(file=io.BytesIO(score_midi([], [], tracks)))
    channels = [message.channel for track in file.tracks for message in track if message.type == "note_on"]
    assert channels == [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12, 13, 14, 15, 0, 1]
