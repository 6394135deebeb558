"""SoundFonts, of which every byte is known, and the one that pretty_midi ships."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest

from slakh_hier.errors import InputError
from slakh_hier.synth.extras import default_soundfont
from slakh_hier.synth.soundfont import DRUM_BANK, SoundFont


def test_generators_become_units(make_soundfont):
    # attack 0.5 s, hold 0.25 s, decay 2 s, sustain 12.3 dB, release 1 s, attenuation 20 dB in the file, +1 semitone
    generators = {34: -1200, 35: -2400, 36: 1200, 37: 123, 38: 0, 48: 200, 51: 1, 52: 7, 57: 3, 8: 6900}
    (zone,) = SoundFont(make_soundfont(generators)).zones(0, 0)
    assert zone.attack == pytest.approx(0.5)
    assert zone.hold == pytest.approx(0.25)
    assert zone.decay == pytest.approx(2.0)
    assert zone.release == pytest.approx(1.0)
    assert zone.sustain == pytest.approx(12.3)
    assert zone.attenuation == pytest.approx(8.0)
    assert zone.tune == 107
    assert zone.group == 3
    assert zone.cutoff == pytest.approx(440.0, rel=1e-3)
    assert (zone.keys, zone.velocities, zone.root, zone.looped) == ((0, 127), (0, 127), 69, True)


def test_pitch_ratio(make_soundfont):
    (zone,) = SoundFont(make_soundfont()).zones(0, 0)
    assert zone.ratio(69, 44_100) == pytest.approx(1.0)
    assert zone.ratio(81, 44_100) == pytest.approx(2.0)
    assert zone.ratio(69, 22_050) == pytest.approx(2.0)


def test_samples_are_read_as_they_are(make_soundfont):
    samples = np.round(np.random.default_rng(0).uniform(-0.5, 0.5, 3000) * 32767) / 32767
    font = SoundFont(make_soundfont(samples=samples, loop=(10, 2000)))
    (zone,) = font.zones(0, 0)
    np.testing.assert_allclose(font.samples(zone), samples * 32767 / 32768, atol=1e-6)


def test_compressed_samples(make_soundfont):
    plain, packed = SoundFont(make_soundfont()), SoundFont(make_soundfont(vorbis=True))
    (a,), (b,) = plain.zones(0, 0), packed.zones(0, 0)
    assert (b.loop_start, b.loop_end) == (a.loop_start, a.loop_end)
    assert np.corrcoef(plain.samples(a), packed.samples(b))[0, 1] > 0.99


def test_a_missing_preset_falls_back(make_soundfont):
    font = SoundFont(make_soundfont())
    assert font.zones(8, 0) == font.zones(0, 0) != ()
    assert font.zones(0, 5) == ()
    drums = SoundFont(make_soundfont(bank=DRUM_BANK))
    assert drums.zones(DRUM_BANK, 25) == drums.zones(DRUM_BANK, 0) != ()


def test_the_default_has_every_general_midi_program():
    font = SoundFont(default_soundfont())
    assert all(font.zones(0, program) for program in range(128))
    assert font.zones(DRUM_BANK, 0)


@pytest.mark.parametrize("size", [0, 11, 100, 10_000])
def test_a_cut_file_is_refused(make_soundfont, tmp_path, size):
    path = tmp_path / "cut.sf2"
    path.write_bytes(make_soundfont().read_bytes()[:size])
    with pytest.raises(InputError, match=r"cut\.sf2: is not a SoundFont"):
        SoundFont(path)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read: No such file"):
        SoundFont(tmp_path / "none.sf2")


def test_damaged_tables_end_in_an_error_or_in_zones(make_soundfont, tmp_path):
    data = make_soundfont().read_bytes()
    random = np.random.default_rng(1)
    path = tmp_path / "damaged.sf2"
    for _ in range(200):
        damaged = bytearray(data)
        # The samples may hold anything; the tables lie at the end.
        damaged[random.integers(len(data) - 700, len(data))] = random.integers(256)
        path.write_bytes(damaged)
        with suppress(InputError):
            font = SoundFont(path)
            assert all(len(font.samples(zone)) >= 2 for zone in font.zones(0, 0))
