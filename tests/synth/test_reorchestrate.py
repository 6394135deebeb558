"""Parts on other instruments: playable, recognisable, spread."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from slakh_hier.synth.gm import register
from slakh_hier.synth.instruments import categories, category_of
from slakh_hier.synth.reorchestrate import into_range, octaves_into, reorchestrate
from slakh_hier.synth.songs import Note, Part

KEYS = st.lists(st.integers(0, 127), min_size=1, max_size=40)


def part(keys, *, drums=False, chords=False):
    step = 0.0 if chords else 0.5
    notes = [Note(i * step, i * step + 0.5, key, 80) for i, key in enumerate(keys)]
    return Part("x", 0, drums, 0, tuple(sorted(notes)))


@given(st.lists(KEYS, min_size=1, max_size=6), st.text(max_size=4))
def test_every_note_is_in_the_new_register_and_keeps_its_name(songs, seed):
    parts = [part(keys) for keys in songs]
    for before, after in zip(parts, reorchestrate(parts, seed), strict=True):
        instrument = register(after.program)
        assert all(instrument.low <= note.key <= instrument.high for note in after.notes)
        if instrument.high - instrument.low >= 11:
            by_start = {note.start: note for note in before.notes}
            assert all((note.key - by_start[note.start].key) % 12 == 0 for note in after.notes)
        assert [note.start for note in after.notes] == [note.start for note in before.notes]


def test_the_same_seed_gives_the_same_instruments_and_others_do_not():
    parts = [part([60, 64, 67]) for _ in range(5)]
    assert reorchestrate(parts, "a") == reorchestrate(parts, "a")
    assert len({tuple(p.program for p in reorchestrate(parts, str(i))) for i in range(10)}) > 5


def test_drums_stay():
    drums = part([36, 38], drums=True)
    assert reorchestrate([drums], "x") == (drums,)


def test_chords_go_to_instruments_that_play_chords():
    for seed in range(60):
        (after,) = reorchestrate([part([60, 64, 67, 71], chords=True)], str(seed))
        assert register(after.program).chords


def test_all_categories_are_reached():
    ranges = [(28, 40), (40, 55), (48, 64), (60, 76), (72, 88)]
    parts = [part(range(low, high)) for low, high in ranges]
    found = {category_of(p.program) for seed in range(200) for p in reorchestrate(parts, str(seed))}
    assert found == set(categories()) - {"drum_kit"}


def test_a_song_has_no_category_twice_while_there_are_others():
    parts = [part(range(55, 70)) for _ in range(8)]
    used = [category_of(p.program) for p in reorchestrate(parts, "s")]
    assert len(set(used)) == 8


def test_octaves_into_takes_the_smallest_move():
    tuba = register(58)
    assert octaves_into([40, 45, 50], tuba) == 0
    assert octaves_into([60, 65], tuba) == -1
    assert octaves_into([20, 110], tuba) is None
    # Two outliers in a hundred notes do not move the part.
    assert octaves_into([45] * 98 + [100, 101], tuba) == 0


@given(st.integers(0, 127), st.integers(0, 127))
def test_into_range(key, program):
    instrument = register(program)
    assert instrument.low <= into_range(key, instrument) <= instrument.high
