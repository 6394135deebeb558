"""General MIDI names and registers, against pretty_midi and real metadata."""

from __future__ import annotations

import pytest
import yaml

from slakh_hier.synth.gm import PROGRAM_NAMES, instrument_class, program_name, register


def test_names_are_pretty_midis():
    pretty_midi = pytest.importorskip("pretty_midi")
    theirs = [pretty_midi.program_to_instrument_name(program) for program in range(128)]
    theirs[54] = "Synth Voice"  # so in General MIDI and in Slakh's metadata
    assert list(PROGRAM_NAMES) == theirs


def test_classes_are_pretty_midis_but_for_slakhs_spellings_and_one_program():
    pretty_midi = pytest.importorskip("pretty_midi")
    slakhs = {
        "Ensemble": "Strings (continued)",
        "Synth Effects": "Sound Effects",
        "Sound Effects": "Sound effects",
    }
    for program in set(range(128)) - {119}:
        theirs = pretty_midi.program_to_instrument_class(program)
        assert instrument_class(program) == slakhs.get(theirs, theirs)
    assert instrument_class(119) == "Sound effects"  # the reverse cymbal, in slakh-utils' chart


def test_names_and_classes_are_those_of_real_metadata(slakh_mini):
    stems = [
        stem
        for path in slakh_mini.glob("*/Track*/metadata.yaml")
        for stem in yaml.safe_load(path.read_text())["stems"].values()
    ]
    assert len(stems) > 50
    for stem in stems:
        program = stem["program_num"]
        assert (program_name(program), instrument_class(program)) == (
            stem["midi_program_name"],
            stem["inst_class"],
        )


def test_every_register_is_wide_enough_for_a_tune():
    for program in range(128):
        found = register(program)
        assert 0 <= found.low < found.low + 12 <= found.high <= 127
