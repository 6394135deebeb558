"""The samples of submixes, against reading all stems and adding them up."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile
import soxr

from slakh_hier.signals import BLOCK, length_at
from slakh_hier.slakh import scan
from slakh_hier.submix import write_submixes

TRACKS = ["Track00001", "Track00002", "Track00003", "Track00004"]
"""The second has one stereo stem."""


@pytest.fixture(scope="module")
def out(catalog, tmp_path_factory):
    out = tmp_path_factory.mktemp("submixes") / "out"
    write_submixes(catalog, out, jobs=1)
    return out


@pytest.mark.parametrize("track", TRACKS)
def test_every_file_is_the_plain_sum(out, catalog, plain, track):
    expected = plain.submixes(catalog, track)
    written = {path.stem: plain.sound(path) for path in (out / track).glob("*.flac")}
    assert set(written) == set(expected)
    for name, samples in expected.items():
        np.testing.assert_array_equal(written[name], samples, err_msg=name)


def test_a_track_has_the_channels_of_its_widest_stem(out, plain):
    for track in TRACKS:
        files = list((out / track).glob("*.flac"))
        channels = 2 if track == "Track00002" else 1
        assert {soundfile.info(path).channels for path in files} == {channels}
        assert plain.metadata(out / track)["submix"]["channels"] == channels


def test_stereo_is_folded_down_when_asked(catalog, plain, tmp_path):
    write_submixes(catalog, tmp_path / "out", channels=1, jobs=1)
    # The fold lies between two integers; which of them it is decides numpy for both, but before or after the sum.
    expected = plain.submixes(catalog, "Track00002", fold=True)
    for name, samples in expected.items():
        written = plain.sound(tmp_path / "out" / "Track00002" / f"{name}.flac").astype(np.int64)
        assert np.abs(written - samples).max() <= 1, name
    assert expected["mix"].any()


@pytest.mark.parametrize("level", [1, 2, 3, "category"])
@pytest.mark.parametrize("rate", [None, 5513])
def test_levels_add_up_bit_by_bit(catalog, tmp_path, plain, level, rate):
    write_submixes(catalog, tmp_path / "out", level=level, sample_rate=rate, jobs=1)
    for track in TRACKS:
        files = {path.stem: plain.sound(path) for path in (tmp_path / "out" / track).glob("*.flac")}
        mix = files.pop("mix").astype(np.int64)
        assert len(files) > 1
        np.testing.assert_array_equal(sum(part.astype(np.int64) for part in files.values()), mix)
        assert mix.any()


def test_all_levels_add_up(out, catalog, plain):
    for track in TRACKS:
        entries = plain.metadata(out / track)["submix"]["files"]
        for level in (1, 2, 3):
            parts = [e["file"] for name, e in entries.items() if e["level"] == level or name == "unassigned"]
            total = sum(plain.sound(out / track / file).astype(np.int64) for file in parts)
            np.testing.assert_array_equal(total, plain.sound(out / track / "mix.flac"))


@pytest.mark.parametrize("rate", [16000, 5513, 44100])
def test_resampling_is_soxrs_within_rounding(catalog, tmp_path, plain, rate):
    write_submixes(catalog, tmp_path / "out", sample_rate=rate, jobs=1)
    for track in TRACKS:
        stems = len(plain.metadata(tmp_path / "out" / track)["submix"]["files"]["mix"]["stems"])
        for name, samples in plain.submixes(catalog, track).items():
            exact = soxr.resample(samples.astype(np.float64), plain.rate, rate, quality="HQ")
            written = plain.sound(tmp_path / "out" / track / f"{name}.flac")
            assert soundfile.info(tmp_path / "out" / track / f"{name}.flac").samplerate == rate
            assert len(written) == length_at(len(samples), plain.rate, rate)
            exact = exact[: len(written)]
            # Each stem is rounded by half a step at most; soxr's 32-bit path adds a little.
            assert np.abs(written - exact).max() <= stems / 2 + 0.1, name


def test_blocks_leave_no_seam(make_track, tree, tmp_path, plain):
    """Several blocks, a length that is no multiple of one, two rates: as in one piece."""
    noise = np.random.default_rng(1).integers(-9000, 9000, (2, 2 * BLOCK + 12345)).astype(np.int16)
    root = make_track({0: noise[0], 24: noise[1][:-777]})
    catalog = scan(root, tree)
    write_submixes(catalog, tmp_path / "same", level=1, jobs=1)
    write_submixes(catalog, tmp_path / "up", level=1, sample_rate=11025, jobs=1)
    mix = noise[0].astype(np.int64)
    mix[:-777] += noise[1][:-777]
    np.testing.assert_array_equal(plain.sound(tmp_path / "same" / "Track00001" / "mix.flac"), mix)
    exact = soxr.resample(mix.astype(np.float64), plain.rate, 11025, quality="HQ")
    written = plain.sound(tmp_path / "up" / "Track00001" / "mix.flac")
    assert len(written) == length_at(len(mix), plain.rate, 11025)
    assert np.abs(written - exact[: len(written)]).max() <= 1.1


def test_one_sample_is_a_file(make_track, tree, tmp_path, plain):
    root = make_track({0: np.array([1234], np.int16)}, rate=44100)
    write_submixes(scan(root, tree), tmp_path / "out", level=1, sample_rate=8000, jobs=1)
    assert plain.sound(tmp_path / "out" / "Track00001" / "mix.flac").shape == (1,)


def test_24_bit_stems_are_rounded_once(make_track, tree, tmp_path, plain):
    steps = np.random.default_rng(2).integers(-(2**21), 2**21, (3, 4000)).astype(np.int32)
    root = make_track({0: steps[0] << 8, 24: steps[1] << 8, 25: steps[2] << 8}, subtype="PCM_24")
    write_submixes(scan(root, tree), tmp_path / "out", audio_format="wav", level=1, jobs=1)
    # Both guitars go into the same files: they are added before they are rounded.
    guitars = np.rint((steps[1] + steps[2]) / 256)
    folder = tmp_path / "out" / "Track00001"
    np.testing.assert_array_equal(plain.sound(folder / "clean_guitars.wav"), guitars)
    np.testing.assert_array_equal(plain.sound(folder / "mix.wav"), guitars + np.rint(steps[0] / 256))


def test_wav_holds_the_same_samples(out, catalog, tmp_path, plain):
    write_submixes(catalog, tmp_path / "wav", audio_format="wav", jobs=1)
    files = list((tmp_path / "wav").rglob("*.wav"))
    assert len(files) == len(list(out.rglob("*.flac")))
    for path in files:
        twin = (out / path.relative_to(tmp_path / "wav")).with_suffix(".flac")
        np.testing.assert_array_equal(plain.sound(path), plain.sound(twin))


def test_same_bytes_whatever_the_jobs(out, catalog, tmp_path, plain):
    write_submixes(catalog, tmp_path / "threads", jobs=3, backend="threading")
    assert plain.files(tmp_path / "threads") == plain.files(out)
