"""Resuming where a run was stopped, and refusing what is something else."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from slakh_hier.errors import InputError, LockedError
from slakh_hier.hierarchy import load_hierarchy
from slakh_hier.locks import folder_lock
from slakh_hier.slakh import scan
from slakh_hier.submix import write_submixes


@pytest.fixture(scope="module")
def whole(catalog, tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "out"
    write_submixes(catalog, out, level=1, jobs=1)
    return out


@pytest.fixture
def out(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "out")


def _delete(folder):
    (folder / "mix.flac").unlink()


def _flip(folder):
    path = folder / "clean_guitars.flac"
    data = bytearray(path.read_bytes())
    data[-40] ^= 1
    path.write_bytes(data)


def _cut(folder):
    os.truncate(folder / "metadata.yaml", 100)


def _forget(folder):
    (folder / ".made.json").write_text("{")


@pytest.mark.parametrize("damage", [_delete, _flip, _cut, _forget, shutil.rmtree])
def test_only_the_damaged_track_is_made_again(whole, out, catalog, plain, damage):
    damage(out / "Track00003")
    before = {path.name: path.stat().st_ino for path in out.iterdir()}
    report = write_submixes(catalog, out, level=1, jobs=1)
    assert (report.made, report.kept) == (1, 3)
    assert plain.files(out) == plain.files(whole)
    changed = [path.name for path in out.iterdir() if path.stat().st_ino != before.get(path.name)]
    assert changed == ["Track00003"]


def test_a_second_run_changes_nothing(out, catalog):
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.name != ".lock"}
    report = write_submixes(catalog, out, level=1, jobs=1)
    assert (report.made, report.kept, report.tracks) == (0, 4, 4)
    assert before == {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.name != ".lock"}


def test_a_changed_stem_is_noticed(songs, tree, tmp_path):
    root = shutil.copytree(songs, tmp_path / "songs")
    write_submixes(scan(root, tree), tmp_path / "out", level=1, jobs=1)
    first, second = sorted((root / "train" / "Track00001" / "stems").iterdir())[:2]
    first.write_bytes(second.read_bytes())
    report = write_submixes(scan(root, tree), tmp_path / "out", level=1, jobs=1)
    assert (report.made, report.kept) == (1, 3)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"level": 2}, r"\n  level +1 +2\n"),
        ({"level": 1, "sample_rate": 4000}, r"\n  sample_rate +native +4000\n"),
        ({"level": 1, "audio_format": "wav"}, r"\n  audio_format +flac +wav\n"),
        ({"level": 1, "on_clip": "float"}, r"\n  on_clip +scale +float\n"),
    ],
)
def test_other_parameters_are_refused(out, catalog, plain, options, line):
    before = plain.files(out)
    for dry_run in (True, False):
        with pytest.raises(InputError, match=line):
            write_submixes(catalog, out, jobs=1, dry_run=dry_run, **options)
    assert plain.files(out) == before


def test_another_tree_is_refused(out, catalog):
    with pytest.raises(
        InputError,
        match=r"\n  hierarchy.name +slakh34 +band\n  hierarchy.digest +\w{12}\.\.\. +\w{12}\.\.\.\n",
    ):
        write_submixes(catalog.with_hierarchy(load_hierarchy("band")), out, level=1, jobs=1)


def test_overwrite_removes_its_own_alone(out, catalog):
    (out / "notes.txt").write_text("mine")
    (out / "Track00099").mkdir()
    report = write_submixes(catalog, out, level=3, splits=["train"], jobs=1, overwrite=True)
    assert report.made == 2
    assert sorted(path.name for path in out.iterdir()) == [
        ".lock", "Track00001", "Track00002", "Track00099", "hierarchy.yaml", "notes.txt", "submix.json",
    ]  # fmt: skip


@pytest.mark.parametrize("linked", ["Track00001", "train", "train/Track00001"])
def test_what_lies_behind_links_is_only_read(catalog, plain, tmp_path, linked):
    level = "stems" if "train" in linked else 1
    out, place = tmp_path / "out", tmp_path / "out" / linked
    write_submixes(catalog, out, level=level, jobs=1)
    place.rename(tmp_path / "mine")
    place.symlink_to(tmp_path / "mine")
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    before = plain.files(tmp_path / "mine")
    assert write_submixes(catalog, out, level=level, jobs=1).kept == 4
    next((tmp_path / "mine").rglob("mix.*")).unlink()
    before = plain.files(tmp_path / "mine")
    with pytest.raises(InputError, match=rf"{linked}: is a symbolic link; nothing is written through"):
        write_submixes(catalog, out, level=level, jobs=1)
    assert plain.files(tmp_path / "mine") == before
    assert not list(out.glob(".tmp-*"))
    if linked == "train":  # a folder that it did not make is not removed
        place.unlink()
    assert write_submixes(catalog, out, level=level, jobs=1, overwrite=True).made == 4
    assert not place.is_symlink()
    assert plain.files(tmp_path / "mine") == before


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_folder_with_other_things_is_refused(catalog, tmp_path, overwrite):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(InputError, match=r"holds thesis.tex and no submix.json: it was not made by submix"):
        write_submixes(catalog, tmp_path, jobs=1, overwrite=overwrite)
    assert (tmp_path / "thesis.tex").read_text() == "mine"


@pytest.mark.parametrize("place", ["", "train/submixes"])
def test_the_data_set_is_only_read(catalog, songs, place):
    with pytest.raises(InputError, match="which is only read"):
        write_submixes(catalog, songs / place, jobs=1)
    assert not (songs / "submix.json").exists()


def test_further_splits_are_added(catalog, tmp_path, whole, plain):
    for splits, made in ((["test"], 1), (["train", "validation"], 3), ([], 0)):
        assert write_submixes(catalog, tmp_path / "out", level=1, splits=splits, jobs=1).made == made
    assert plain.files(tmp_path / "out") == plain.files(whole)
    with pytest.raises(InputError, match="did you mean train"):
        write_submixes(catalog, tmp_path / "out", level=1, splits=["trian"])


def test_one_writer(out, catalog):
    with folder_lock(out), pytest.raises(LockedError):
        write_submixes(catalog, out, level=1, jobs=1)


def test_dry_run_writes_nothing(catalog, whole, tmp_path):
    report = write_submixes(catalog, tmp_path / "out", level=1, dry_run=True)
    done = write_submixes(catalog, whole, level=1, jobs=1)
    assert not (tmp_path / "out").exists()
    assert (report.tracks, report.made, report.files) == (4, 0, done.files)
    assert report.hours == done.hours


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_stopped_at_any_time(whole, catalog, plain, tmp_path, number):
    """What a stopped run leaves under final names is complete, and another run completes the rest."""
    out = tmp_path / "out"
    command = ["submix", str(catalog.root), "-o", str(out), "--level", "1", "-j", "1"]
    running = subprocess.Popen(
        [sys.executable, "-m", "slakh_hier", *command], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
    )
    while running.poll() is None and not list(out.glob(".tmp-Track*/*.flac")):
        time.sleep(0.001)
    running.send_signal(number)
    _, said = running.communicate(timeout=60)
    assert running.returncode in (-9, 143)
    assert b"Traceback" not in said
    expected = plain.files(whole)
    there = {name: data for name, data in plain.files(out).items() if not name.startswith(".tmp-")}
    assert all(expected[name] == data for name, data in there.items())
    for track in out.glob("Track*"):
        names = {name for name in expected if name.startswith(f"{track.name}/")}
        assert names <= set(there)
    if number == signal.SIGTERM:
        assert not list(out.glob(".tmp-*"))
    assert write_submixes(catalog, out, level=1, jobs=1).tracks == 4
    assert plain.files(out) == expected
