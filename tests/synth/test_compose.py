"""Composed songs: theory in closed form, and what a set must hold."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slakh_hier.synth.compose import compose_song, plan_songs
from slakh_hier.synth.compose.form import lay_out
from slakh_hier.synth.compose.material import steps
from slakh_hier.synth.compose.song import comfortable
from slakh_hier.synth.compose.styles import STYLES
from slakh_hier.synth.compose.theory import SCALES, Key, voicing
from slakh_hier.synth.gm import register
from slakh_hier.synth.instruments import categories, category_of, tree
from slakh_hier.synth.midi_file import parse_midi
from slakh_hier.synth.read_song import read_song

C, A_MINOR = Key(0, "major"), Key(9, "minor")


@pytest.mark.parametrize(
    ("key", "symbol", "tones"),
    [
        (C, "I", {0, 4, 7}),
        (C, "vi", {9, 0, 4}),
        (C, "V7", {7, 11, 2, 5}),
        (C, "ii7", {2, 5, 9, 0}),
        (C, "bVII", {10, 2, 5}),
        (C, "Imaj7", {0, 4, 7, 11}),
        (C, "#ivo", {6, 9, 0}),
        (C, "iih7", {2, 5, 8, 0}),
        (A_MINOR, "i", {9, 0, 4}),
        (A_MINOR, "bVI", {5, 9, 0}),
        (A_MINOR, "V7", {4, 8, 11, 2}),
    ],
)
def test_chords(key, symbol, tones):
    assert set(key.chord(symbol).tones) == tones


def test_the_scale_bends_to_the_chord():
    assert A_MINOR.scale_over(A_MINOR.chord("i")) == {9, 11, 0, 2, 4, 5, 7}
    assert A_MINOR.scale_over(A_MINOR.chord("V7")) == {
        9,
        11,
        0,
        2,
        4,
        5,
        8,
    }  # the leading tone for the seventh


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_every_progression_is_readable(style):
    for scale, *sections in style.progressions:
        assert scale in SCALES
        for section in sections:
            for symbol in section.replace(",", " ").split():
                chord = Key(5, scale).chord(symbol)
                assert set(chord.tones) <= Key(5, scale).scale_over(chord)


@given(
    st.integers(0, 11),
    st.sampled_from(["I", "ii7", "V7", "IVmaj7", "vi", "I9"]),
    st.integers(1, 4),
    st.integers(30, 60),
)
def test_voicings(tonic, symbol, voices, low):
    chord = Key(tonic, "major").chord(symbol)
    keys = voicing(chord, low, low + 22, voices, None, low + 11)
    assert len(keys) == voices
    assert list(keys) == sorted(set(keys))
    assert all(low <= key <= low + 22 and key % 12 in chord.tones for key in keys)


def test_voices_move_little():
    before = None
    for symbol in ("I", "vi", "IV", "V7", "I"):
        keys = voicing(C.chord(symbol), 50, 72, 3, before, 61)
        if before is not None:
            assert sum(abs(a - b) for a, b in zip(keys, before, strict=True)) <= 9
        before = keys


def test_steps():
    assert steps("X--.x-x.") == [(0.0, 0.75, 1.0), (1.0, 0.5, 0.0), (1.5, 0.25, 0.0)]


@pytest.mark.parametrize("beats", [3, 4])
@pytest.mark.parametrize("seconds", [8, 20, 40, 90, 300])
def test_form(beats, seconds):
    progressions = {"verse": "I V vi IV", "chorus": "IV I V vi", "bridge": "vi IV I V"}
    sections = lay_out(C, beats, 120, seconds, progressions)
    assert sections[-1].kind == "ending"
    assert "chorus" in {section.kind for section in sections}
    assert sections[-1].end / 2 == pytest.approx(seconds, abs=7)
    place = 0.0
    for section in sections:
        assert section.start == place
        for span in section.spans:
            assert span.start == place
            place += span.length
        assert section.end == place


@pytest.mark.parametrize("seed", [588, 0, 1, 2])
def test_a_set_has_all_categories_and_all_styles(seed):
    plans = plan_songs(20, seed)
    assert {category_of(p.program) for plan in plans for p in plan.players} >= set(categories())
    assert {plan.style.name for plan in plans[:9]} == {style.name for style in STYLES}
    assert len({(plan.key, plan.tempo) for plan in plans}) > 15


def test_a_plan_does_not_depend_on_how_many_follow():
    assert plan_songs(5, 3) == plan_songs(12, 3)[:5]
    assert plan_songs(5, 3) != plan_songs(5, 4)


@pytest.fixture(scope="module")
def songs():
    return [(plan, compose_song(plan, 30)) for plan in plan_songs(18, 11)]


def test_songs_are_what_was_planned(songs):
    assert len({song.md5 for _, song in songs}) == len(songs)
    for plan, song in songs:
        found = read_song(song.data)
        assert 20 < found.end < 42
        assert [part.program_num for part in found.parts] == [player.program for player in plan.players]
        assert found.meters[0][1] == plan.style.beats
        # The last bar is slower.
        assert found.tempos[-1][1] < found.tempos[0][1] == pytest.approx(plan.tempo, rel=1e-4)


def test_the_same_plan_gives_the_same_bytes(songs):
    plan, song = songs[0]
    assert compose_song(plan, 30) == song
    assert compose_song(plan, 31).md5 != song.md5 or plan.style.beats * 60 / plan.tempo > 1


def test_every_note_can_be_played(songs):
    for _, song in songs:
        for part in read_song(song.data).parts:
            if not part.is_drum:
                reach = register(part.program)
                assert all(reach.low <= note.key <= reach.high for note in part.notes), part.name


def test_registers_stay_inside_the_instruments():
    for style in STYLES:
        for role in (*style.roles, *style.optional):
            for program in role.programs:
                if program < 128:
                    inner, whole = comfortable(program, role.register, role.job), register(program)
                    assert whole.low <= inner.low <= inner.high <= whole.high
                    assert inner.high - inner.low >= 11


def test_clean_guitars_sound_with_a_neighbour_of_the_middle_nearly_all_the_time(songs):
    for _, song in songs:
        found = read_song(song.data)
        sounding: dict[str, set[int]] = defaultdict(set)
        for part in found.parts:
            category = category_of(part.program_num)
            if category is not None and tree().top(category) == "midrange_strings_keys":
                node = tree().categories[category].node
                for note in part.notes:
                    sounding[node].update(range(int(note.start), int(note.end) + 1))
        seconds: Counter[int] = Counter()
        for node, heard in sounding.items():
            seconds.update(dict.fromkeys(heard, 100 if node == "clean_guitars" else 1))
        both = sum(value > 100 for value in seconds.values())
        assert both > 0.6 * found.end


def test_the_tunes_are_in_key(songs):
    """Nine notes of ten of pitched parts lie in the key, or in the chord that bends it."""
    for plan, song in songs:
        scale = {(plan.key.tonic + step) % 12 for step in SCALES[plan.key.scale]}
        names = {"lead", "counter", "inner"}
        jobs = {player.role.name for player in plan.players if player.role.job in names}
        keys = [
            note.key % 12 for part in read_song(song.data).parts if part.name in jobs for note in part.notes
        ]
        assert sum(key in scale for key in keys) > 0.7 * len(keys)


def test_dynamics_and_time_are_alive(songs):
    for plan, song in songs:
        parts = read_song(song.data).parts
        assert all(len({note.velocity for note in part.notes}) > 5 for part in parts if len(part.notes) > 30)
        if plan.style.swing > 0.6:
            beat = 60 / plan.tempo
            ride = [n.start / beat % 1 for n in parts[0].notes if n.key == 51]
            late = [place for place in ride if 0.3 < place < 0.9]
            assert sum(late) / len(late) == pytest.approx(plan.style.swing, abs=0.02)


def test_the_tempo_is_written_where_the_ending_begins(songs):
    for _, song in songs:
        assert len(parse_midi(song.data).tempos) == 2
