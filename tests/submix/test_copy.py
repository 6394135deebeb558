"""``level="stems"``: a converted copy of a data set in its own layout."""

from __future__ import annotations

import os
import shutil
import warnings

import numpy as np
import pytest
import soundfile
import yaml

from slakh_hier.errors import InputError
from slakh_hier.slakh import scan
from slakh_hier.submix import write_submixes

LABELS = ["track", "song", "split", "stem", "patch", "program", "is_drum", "inst_class", "category", "status"]


@pytest.fixture(scope="module")
def copy(catalog, tmp_path_factory):
    out = tmp_path_factory.mktemp("copy") / "out"
    write_submixes(catalog, out, level="stems", audio_format="wav", sample_rate=4000, jobs=1)
    return out


def test_scan_finds_the_same(copy, catalog, tree):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = scan(copy, tree, strict=True, deep=True)
    assert found.frame[LABELS].equals(catalog.frame[LABELS])
    sounding = found.frame[found.frame["status"] != "no_audio"]
    assert set(sounding["sample_rate"]) == {4000}
    stereo = sounding["track"] == "Track00002"
    assert set(sounding.loc[stereo, "channels"]) == {2}
    assert set(sounding.loc[~stereo, "channels"]) == {1}
    assert sounding["path"].str.endswith(".wav").all()


def test_stems_add_up_to_the_mix(copy, plain):
    folders = [path.parent for path in copy.rglob("mix.wav")]
    assert len(folders) == 4
    for folder in folders:
        stems = [plain.sound(path).astype(np.int64) for path in (folder / "stems").iterdir()]
        assert len(stems) >= 7
        np.testing.assert_array_equal(sum(stems), plain.sound(folder / "mix.wav"))


def test_metadata_and_midi_are_kept(copy, songs):
    for source in songs.rglob("metadata.yaml"):
        folder = copy / source.parent.relative_to(songs)
        there = yaml.safe_load((folder / "metadata.yaml").read_text())
        about = there.pop("submix")
        assert there == yaml.safe_load(source.read_text())
        assert (about["level"], about["sample_rate"], about["gain"]) == ("stems", 4000, 1.0)
        midi = sorted(path.relative_to(source.parent) for path in source.parent.rglob("*.mid"))
        assert len(midi) >= 8
        assert sorted(path.relative_to(folder) for path in folder.rglob("*.mid")) == midi
        for path in midi:
            assert (folder / path).read_bytes() == (source.parent / path).read_bytes()


@pytest.mark.parametrize(
    ("name", "most"), [("all_src.mid", 16 << 20), ("MIDI/S00.mid", 16 << 20), ("metadata.yaml", 1 << 20)]
)
def test_gigantic_files_are_not_read(songs, tree, tmp_path, name, most):
    root = shutil.copytree(songs, tmp_path / "songs")
    catalog = scan(root, tree)
    path = root / "train" / "Track00001" / name
    os.truncate(path, 1 << 40)
    with pytest.raises(
        InputError,
        match=rf"{path.name} cannot be read: it has {1 << 40} bytes; at most {most} are read; .*remove it",
    ):
        write_submixes(catalog, tmp_path / "out", level="stems", jobs=1)
    assert not list((tmp_path / "out").rglob("mix.*"))


def test_without_a_change_samples_are_the_same(catalog, songs, tmp_path, plain):
    write_submixes(catalog, tmp_path / "out", level="stems", jobs=1)
    for path in tmp_path.rglob("S*.flac"):
        before = soundfile.read(songs / path.relative_to(tmp_path / "out"), dtype="int16", always_2d=True)[0]
        after = plain.sound(path).reshape(-1, 2 if "Track00002" in path.parts else 1)
        np.testing.assert_array_equal(
            after[: len(before)], np.broadcast_to(before, (len(before), after.shape[1]))
        )
        assert not after[len(before) :].any()


def test_a_dropping_tree_drops_nothing_of_a_copy(make_track, mixed_tree, tmp_path, plain):
    from slakh_hier.hierarchy import parse_hierarchy

    tree = parse_hierarchy(mixed_tree.text + "unassigned: drop\n", "t.yaml")
    root = make_track({0: np.full(9, 1, np.int16), 99: np.full(9, 2, np.int16)})
    write_submixes(scan(root, tree), tmp_path / "out", level="stems", jobs=1)
    assert plain.sound(tmp_path / "out" / "Track00001" / "mix.flac")[4] == 3
    assert not (tmp_path / "out" / "hierarchy.yaml").exists()


def test_music(music, tree, tmp_path, plain):
    """The sum of the stems is the data set's own mix, within its rounding."""
    catalog = scan(music, tree)
    report = write_submixes(catalog, tmp_path / "out", level="stems", splits=["validation"], jobs=1)
    assert report.tracks == 2
    for folder in (tmp_path / "out" / "validation").iterdir():
        (path,) = (music / "validation" / folder.name).glob("mix.*")
        mix, _ = soundfile.read(path, dtype="int16")
        assert np.abs(plain.sound(folder / "mix.flac").astype(int) - mix).max() <= 16
