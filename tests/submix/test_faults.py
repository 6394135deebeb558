"""Stems that cannot be decoded, disks that are full, catalogs that lead elsewhere."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from slakh_hier.errors import AudioError, FaultError, InputError
from slakh_hier.slakh import Catalog, scan
from slakh_hier.submix import write_submixes
from slakh_hier.testing import make_slakh


@pytest.fixture(scope="module")
def faulty(tmp_path_factory, tree):
    """Track00001/S04 and Track00002/S04 can be opened, but not decoded."""
    root = make_slakh(
        tmp_path_factory.mktemp("faulty") / "slakh",
        tracks=3,
        seconds=2,
        sample_rate=8000,
        every_category=False,
        defects=["bit_flip", "nan"],
    )
    return scan(root, tree)


def test_stop_names_the_stem(faulty, tmp_path):
    with pytest.raises(AudioError, match=r"Track0000[12]/S04: "):
        write_submixes(faulty, tmp_path / "out", jobs=1)
    assert not list((tmp_path / "out").glob(".tmp-*"))
    assert not (tmp_path / "out" / "Track00001").exists()


def test_skip_leaves_the_track_out(faulty, tmp_path, plain):
    report = write_submixes(faulty, tmp_path / "out", on_broken="skip", jobs=1)
    assert [(failure.track, failure.stem) for failure in report.failures] == [
        ("Track00001", "S04"),
        ("Track00002", "S04"),
    ]
    assert "NaN" in report.failures[1].reason
    assert [path.name for path in (tmp_path / "out").glob("Track*")] == ["Track00003"]


def test_skip_of_everything_is_a_fault(faulty, tmp_path):
    with pytest.raises(FaultError, match="every track has a stem that cannot be decoded"):
        write_submixes(faulty, tmp_path / "out", splits=["train"], on_broken="skip", jobs=1)


def test_no_room_is_said_before_any_work(songs, tree, tmp_path, monkeypatch):
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(FaultError, match=r"out: writing the submixes needs .* MB, but only"):
        write_submixes(scan(songs, tree), tmp_path / "out", jobs=1)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [".lock"]


def test_known_faults_are_reported_and_left_out(songs, tree, tmp_path, plain):
    catalog = scan(songs, tree).with_broken({("Track00004", "S00"): "is noise"})
    with pytest.raises(
        InputError,
        match=r"1 stem is missing or cannot be decoded; nothing was done.\n  Track00004/S00: is noise",
    ):
        write_submixes(catalog, tmp_path / "out", splits=["test"], jobs=1)
    assert not (tmp_path / "out").exists()
    write_submixes(catalog, tmp_path / "out", splits=["test"], on_broken="skip", jobs=1)
    about = plain.metadata(tmp_path / "out" / "Track00004")["submix"]
    assert about["left_out"] == {"S00": "is noise"}
    assert "S00" not in about["files"]["mix"]["stems"]
    np.testing.assert_array_equal(
        plain.sound(tmp_path / "out" / "Track00004" / "mix.flac"),
        plain.submixes(catalog, "Track00004")["mix"],
    )


def test_a_track_without_audio_is_named(make_track, tree, tmp_path):
    make_track({0: None, 24: None})
    root = make_track({0: np.ones(50, np.int16)}, track="Track00002")
    report = write_submixes(scan(root, tree), tmp_path / "out", jobs=1)
    assert (report.empty, report.tracks) == (("Track00001",), 1)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("path", "S00.flac", "where a scan finds no stem"),
        ("track", "../x", "where a scan finds no stem"),
        ("stem", "../../x", "where a scan finds no stem"),
        ("sample_rate", 4000, "4000 Hz"),
    ],
)
def test_a_catalog_cannot_lead_elsewhere(catalog, tmp_path, column, value, message):
    frame = catalog.frame.copy()
    usable = frame.index[(frame["status"] == "audio") & (frame["track"] == "Track00001")]
    frame.loc[usable[-1:] if column == "sample_rate" else usable, column] = value
    forged = Catalog(catalog.root, catalog.hierarchy, catalog.scheme, frame)
    with pytest.raises(InputError, match=message):
        write_submixes(forged, tmp_path / "out", jobs=1)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"audio_format": "mp3"}, "format must be flac or wav, not 'mp3'"),
        ({"sample_rate": 10}, "between 1000 and 384000"),
        ({"sample_rate": 70_001}, "FLAC has no sample rate of 70001 Hz"),
        ({"on_clip": "wrap"}, "on_clip must be one of scale, float, error"),
        ({"on_broken": "guess"}, "on_broken must be stop or skip"),
        ({"level": 9}, "has no level 9"),
    ],
)
def test_wrong_options_touch_nothing(catalog, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        write_submixes(catalog, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()
