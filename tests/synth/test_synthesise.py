"""The built-in sampler and FluidSynth behind the same function."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from slakh_hier.errors import InputError, MissingExtraError
from slakh_hier.synth.extras import default_soundfont
from slakh_hier.synth.songs import Note, Part
from slakh_hier.synth.synthesise import synthesise

RATE = 44_100
PIANO = Part("x", 4, False, 0, tuple(Note(i * 0.5, i * 0.5 + 0.4, 55 + i, 90) for i in range(6)))


def render(part, synthesiser, seconds=4.0):
    blocks = synthesise(
        part,
        frames=round(seconds * RATE),
        rate=RATE,
        soundfont=str(default_soundfont()),
        synthesiser=synthesiser,
    )
    return np.concatenate(list(blocks))


def envelope(sound):
    return np.sqrt(np.mean(np.square(sound[: len(sound) // 4410 * 4410]).reshape(-1, 4410), axis=1))


def test_notes_sound_when_they_are_played_and_the_same_each_time():
    sound = render(PIANO, "builtin")
    assert sound.shape == (4 * RATE,)
    heard = envelope(sound) > 0.01
    for note in PIANO.notes:
        assert heard[round(note.start * 10) + 1]
    np.testing.assert_array_equal(render(PIANO, "builtin"), sound)


def test_fluidsynth_agrees_with_the_built_in_sampler():
    try:
        import fluidsynth  # noqa: F401
    except ImportError:
        pytest.skip("the FluidSynth library is not installed")
    ours, theirs = render(PIANO, "builtin"), render(PIANO, "fluidsynth")
    spectra = [
        np.log(
            1e-3 * np.abs(x).max()
            + np.abs(np.fft.rfft(x[: len(x) // 1024 * 1024].reshape(-1, 1024) * np.hanning(1024)))
        )
        for x in (ours, theirs)
    ]
    assert np.corrcoef(spectra[0].ravel(), spectra[1].ravel())[0, 1] > 0.95


def test_without_fluidsynth(monkeypatch):
    monkeypatch.setitem(sys.modules, "fluidsynth", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'slakh-hier\[synth\]'"):
        render(PIANO, "fluidsynth")


def test_unknown_synthesiser():
    with pytest.raises(InputError, match="builtin or fluidsynth, not 'timidity'"):
        render(PIANO, "timidity")
