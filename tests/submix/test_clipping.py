"""What happens when a sum exceeds full scale: never silent clipping."""

from __future__ import annotations

import re

import numpy as np
import pytest
import soundfile

from slakh_hier.errors import ClippingError
from slakh_hier.signals import BLOCK
from slakh_hier.slakh import scan
from slakh_hier.submix import write_submixes

LOUD = 24_000


@pytest.fixture
def loud(make_track, tree):
    """Piano, two guitars and drums: the guitars alone exceed full scale, once, far behind the first block."""
    random = np.random.default_rng(3)
    stems = random.integers(-3000, 3000, (4, BLOCK + 5000)).astype(np.int16)
    stems[1:3, BLOCK + 4000] = LOUD
    stems[::3, BLOCK + 4000] = 100
    return scan(make_track(dict(zip((0, 24, 25, 128), stems, strict=True)), overall_gain=0.5), tree), stems


def test_scale_keeps_the_sums(loud, tmp_path, plain):
    catalog, stems = loud
    report = write_submixes(catalog, tmp_path / "out", level=1, jobs=1)
    folder = tmp_path / "out" / "Track00001"
    about = plain.metadata(folder)
    gain = about["submix"]["gain"]
    (record,) = report.clipped
    assert record.gain == gain < 1
    assert about["overall_gain"] == 0.5 * gain
    files = {path.stem: plain.sound(path).astype(np.int64) for path in folder.glob("*.flac")}
    mix = files.pop("mix")
    np.testing.assert_array_equal(sum(files.values()), mix)
    # Three atoms (piano, both guitars, drums), each rounded once.
    assert np.abs(mix - gain * stems.astype(np.int64).sum(axis=0)).max() <= 1.5
    loudest = np.abs(stems.astype(np.int64).sum(axis=0)).max()
    assert record.peak_dbfs == pytest.approx(20 * np.log10(loudest / 32768), abs=0.006)
    assert 32700 <= max(np.abs(samples).max() for samples in (mix, *files.values())) <= 32767


def test_float_keeps_the_samples(loud, tmp_path, plain):
    catalog, stems = loud
    report = write_submixes(catalog, tmp_path / "out", on_clip="float", jobs=1)
    folder = tmp_path / "out" / "Track00001"
    assert not list(folder.glob("*.flac"))
    mix, _ = soundfile.read(folder / "mix.wav", dtype="float32")
    assert soundfile.info(folder / "mix.wav").subtype == "FLOAT"
    np.testing.assert_array_equal(mix * 32768.0, stems.astype(np.int64).sum(axis=0))
    about = plain.metadata(folder)["submix"]
    assert (about["gain"], about["subtype"]) == (1.0, "FLOAT")
    assert {entry["file"] for entry in about["files"].values()} == {
        path.name for path in folder.glob("*.wav")
    }
    assert about["files"]["mix"]["peak_dbfs"] > 0
    assert [record.track for record in report.clipped] == ["Track00001"]


def test_error_names_track_node_and_peak(loud, tmp_path):
    catalog, stems = loud
    peak = np.abs(stems.astype(np.int64)[1:3].sum(axis=0)).max()
    with pytest.raises(ClippingError) as stop:
        write_submixes(catalog, tmp_path / "out", level="category", on_clip="error", jobs=1)
    mix = np.abs(stems.astype(np.int64).sum(axis=0)).max()
    expected = ("mix", mix) if mix >= peak else ("acoustic_guitar", peak)
    found = re.match(r"Track00001/(\w+): peaks at \+([0-9.]+) dBFS", str(stop.value))
    assert found
    assert found[1] == expected[0]
    assert float(found[2]) == pytest.approx(20 * np.log10(expected[1] / 32768), abs=0.006)
    assert stop.value.exit_code == 3
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        ".lock",
        "hierarchy.yaml",
        "submix.json",
    ]


def test_a_node_clips_though_the_mix_does_not(make_track, tree, tmp_path, plain):
    """Two stems against a third: the mix is small, a submix of two is not."""
    half = np.full(3000, 20_000, np.int16)
    catalog = scan(make_track({24: half, 30: half, 128: -half}), tree)
    (record,) = write_submixes(catalog, tmp_path / "out", jobs=1).clipped
    assert record.loudest in ("guitars", "midrange_strings_keys")
    about = plain.metadata(tmp_path / "out" / "Track00001")["submix"]["files"]
    assert about["mix"]["peak_dbfs"] < -4
    assert about["guitars"]["peak_dbfs"] <= 0
    # What is not written does not count: level 1 alone fits.
    assert write_submixes(catalog, tmp_path / "one", level=1, jobs=1).clipped == []


@pytest.mark.parametrize(("value", "fits"), [(16_383, True), (16_384, False), (-16_384, True)])
def test_full_scale_is_the_border(make_track, tree, tmp_path, plain, value, fits):
    stem = np.full(100, value, np.int16)
    report = write_submixes(scan(make_track({0: stem, 128: stem}), tree), tmp_path / "out", jobs=1)
    assert (report.clipped == []) == fits
    mix = plain.sound(tmp_path / "out" / "Track00001" / "mix.flac")
    assert (mix == 2 * value).all() == fits


def test_resampling_that_overshoots_is_seen(make_track, tree, tmp_path, plain):
    """A square at full scale fits at its own rate and rings above it at another."""
    square = np.where(np.arange(4000) // 40 % 2, 32767, -32768).astype(np.int16)
    catalog = scan(make_track({0: square}), tree)
    assert write_submixes(catalog, tmp_path / "same", jobs=1).clipped == []
    (record,) = write_submixes(catalog, tmp_path / "other", sample_rate=11025, jobs=1).clipped
    assert 0.5 < record.peak_dbfs < 3
    assert np.abs(plain.sound(tmp_path / "other" / "Track00001" / "mix.flac").astype(int)).max() <= 32767


def test_float_stems_far_above_full_scale(make_track, tree, tmp_path, plain):
    catalog = scan(make_track({0: np.full(500, 1e6, np.float32)}, subtype="FLOAT"), tree)
    write_submixes(catalog, tmp_path / "out", jobs=1)
    mix = plain.sound(tmp_path / "out" / "Track00001" / "mix.flac")
    assert (mix[10:-10] > 32000).all()
