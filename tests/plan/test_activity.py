"""The pass over the audio: same bytes however it is run, stopped or repeated; damage is never taken for figures."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import soundfile

from slakh_hier import load_hierarchy, plan_clips, scan
from slakh_hier.errors import FaultError, InputError, LockedError, PlanError
from slakh_hier.files import file_sha256
from slakh_hier.locks import folder_lock
from slakh_hier.plan import activity as module
from slakh_hier.plan import measure_activity
from slakh_hier.plan.activity_file import ActivityFile
from slakh_hier.slakh import Catalog


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tracks in the order in which they are measured (by this process)."""
    tracks: list[str] = []
    real = module.measure_track

    def spy(rows: list[module.StemRef], root: Path) -> module.TrackActivity:
        tracks.append(rows[0].track)
        return real(rows, root)

    monkeypatch.setattr(module, "measure_track", spy)
    return tracks


@pytest.fixture
def copy_of_slakh(small_slakh: Path, tmp_path: Path) -> Path:
    return shutil.copytree(small_slakh, tmp_path / "slakh")


def catalog_of(root: Path) -> Catalog:
    return scan(root, load_hierarchy("slakh34"), jobs=1, cache=False)


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_the_file_has_the_same_bytes_for_any_number_of_jobs(
    small_catalog: Catalog, small_activity: Path, tmp_path: Path, backend: module.Backend
) -> None:
    path = measure_activity(small_catalog, tmp_path / "activity.h5", jobs=2, backend=backend)
    assert file_sha256(path) == file_sha256(small_activity)
    assert [p.name for p in tmp_path.iterdir()] == ["activity.h5"]


def test_what_is_measured_is_not_measured_again(
    small_catalog: Catalog, tmp_path: Path, measured: list[str]
) -> None:
    path = measure_activity(small_catalog, tmp_path / "new" / "activity.h5", jobs=1)
    assert measured == sorted(small_catalog.frame["track"].unique())
    before = path.stat().st_mtime_ns
    measured.clear()
    # Another tree, and errata or not, are questions to the same figures.
    other = small_catalog.with_hierarchy(load_hierarchy("band"))
    excluded = small_catalog.frame.copy()
    excluded.loc[3, "status"] = "excluded"
    for catalog in (small_catalog, other, replace(small_catalog, frame=excluded)):
        assert measure_activity(catalog, path, jobs=1) == path
    assert measured == []
    assert path.stat().st_mtime_ns == before


def test_by_default_it_lies_in_the_cache_and_not_in_the_data_set(
    small_catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLAKH_HIER_CACHE", str(tmp_path / "cache"))
    before = sorted(small_catalog.root.rglob("*"))
    path = measure_activity(small_catalog, jobs=1)
    assert path.is_relative_to(tmp_path / "cache")
    assert sorted(small_catalog.root.rglob("*")) == before
    moved = replace(small_catalog, root=small_catalog.root.parent)
    assert module.default_path(moved.root) != path


def test_a_pass_that_was_stopped_resumes_where_it_was(
    small_catalog: Catalog,
    small_activity: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    measured: list[str],
) -> None:
    path = tmp_path / "activity.h5"
    real = module.publish

    def killed(target: Path, data: bytes, **more: int) -> None:
        real(target, data, **more)
        if len(measured) == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "publish", killed)
        with pytest.raises(KeyboardInterrupt):
            measure_activity(small_catalog, path, jobs=1)
    assert not path.exists()
    first = list(measured)
    measured.clear()
    (tmp_path / "activity.h5.parts" / ".tmp-left").write_bytes(b"by a kill")
    measure_activity(small_catalog, path, jobs=1)
    assert len(first) == 3
    assert sorted(first + measured) == sorted(small_catalog.frame["track"].unique())
    assert file_sha256(path) == file_sha256(small_activity)
    assert [p.name for p in tmp_path.iterdir()] == ["activity.h5"]


def test_only_a_changed_track_is_measured_again(
    copy_of_slakh: Path, tmp_path: Path, measured: list[str]
) -> None:
    path = measure_activity(catalog_of(copy_of_slakh), tmp_path / "activity.h5", jobs=1)
    stem = next(copy_of_slakh.glob("*/Track00002/stems/S00.*"))
    samples, rate = soundfile.read(stem, dtype="int16")
    soundfile.write(stem, samples // 2, rate, subtype="PCM_16")
    with ActivityFile(path) as file:
        before = {track: file.read(track) for track in file}
    measured.clear()
    measure_activity(catalog_of(copy_of_slakh), path, jobs=1)
    assert measured == ["Track00002"]
    with ActivityFile(path) as file:
        assert list(file) == list(before)
        for track, old in before.items():
            new = file.read(track)
            same = [stem for stem in old.stems if (track, stem) != ("Track00002", "S00")]
            places = [old.stems.index(stem) for stem in same]
            for now, then in zip(new.moments, old.moments, strict=True):
                np.testing.assert_array_equal(now.sums[:, places], then.sums[:, places])
            assert np.array_equal(new.moments[0].sums, old.moments[0].sums) == (track != "Track00002")


def test_shares_of_a_job_array_are_put_together_by_a_last_call(
    small_catalog: Catalog, small_activity: Path, tmp_path: Path, measured: list[str]
) -> None:
    path = tmp_path / "activity.h5"
    parts = [measure_activity(small_catalog, path, jobs=1, part=(i, 4)) for i in (1, 2, 3)]
    assert parts == [tmp_path / "activity.h5.parts"] * 3
    assert not path.exists()
    assert len(measured) == len(set(measured)) == 5
    assert measure_activity(small_catalog, path, jobs=1) == path
    assert len(measured) == len(set(measured)) == 6
    assert file_sha256(path) == file_sha256(small_activity)


def test_a_second_pass_into_the_same_file_is_refused(small_catalog: Catalog, tmp_path: Path) -> None:
    parts = tmp_path / "activity.h5.parts"
    parts.mkdir()
    with folder_lock(parts), pytest.raises(LockedError):
        measure_activity(small_catalog, tmp_path / "activity.h5", jobs=1)


def test_broken_stems_are_noted_and_left_out_of_plans(
    tmp_path: Path, little_slakh: Callable[..., Path]
) -> None:
    """Faults that only decoding shows: a cut file, a flipped bit, a NaN."""
    defects = ("truncated_flac", "bit_flip", "nan")
    root = little_slakh(tmp_path / "slakh", seconds=6, stems=6, defects=defects)
    catalog = catalog_of(root)
    broken = {("Track00001", "S02"), ("Track00001", "S04"), ("Track00002", "S04")}
    assert not (catalog.frame["status"] == "broken").any()
    path = measure_activity(catalog, tmp_path / "activity.h5", jobs=1)
    with ActivityFile(path) as file:
        reasons = file.all_broken()
        assert reasons.keys() == broken
        assert "NaN" in reasons["Track00002", "S04"]
        for track, stem in broken:
            activity = file.read(track)
            place = activity.stems.index(stem)
            (mid,) = activity.moments
            assert not mid.sums[:, place].any()
            assert not mid.gram[:, place].any()
            assert not mid.gram[:, :, place].any()
            others = [i for i, name in enumerate(activity.stems) if (track, name) not in broken]
            assert mid.gram[:, others, others].any(axis=0).all()
    plan = plan_clips(
        catalog, catalog.hierarchy, clips={"train": 50}, clip_seconds=2, step=0.5, activity=path, jobs=1
    )
    rows = plan.catalog.frame.set_index(["track", "stem"])
    assert set(rows.index[rows["status"] == "broken"]) == broken
    assert not set(zip(plan.catalog.usable["track"], plan.catalog.usable["stem"], strict=True)) & broken
    assert "NaN" in rows.loc[("Track00002", "S04"), "why"]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: b"not HDF5" * 100,
        lambda data: bytes(len(data)),
    ],
    ids=["cut", "empty", "text", "zeros"],
)
def test_a_file_that_is_no_activity_is_refused_with_advice(
    small_catalog: Catalog, small_activity: Path, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = tmp_path / "activity.h5"
    path.write_bytes(damage(small_activity.read_bytes()))
    with pytest.raises(PlanError, match=r"activity\.h5: .*Delete it, or give another name, and run again"):
        measure_activity(small_catalog, path, jobs=1)


def test_other_hdf5_files_are_not_taken_for_activity(small_catalog: Catalog, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["a"] = [1]
    with pytest.raises(PlanError, match="is not an activity file of version 2"):
        measure_activity(small_catalog, tmp_path / "other.h5", jobs=1)
    with pytest.raises(InputError, match="is a folder"):
        measure_activity(small_catalog, tmp_path, jobs=1)


def test_a_flipped_bit_is_an_error_or_without_effect(small_activity: Path, tmp_path: Path) -> None:
    intact = small_activity.read_bytes()
    with ActivityFile(small_activity) as file:
        right = {track: (file.key(track), file.read(track)) for track in file}
    path = tmp_path / "activity.h5"
    random = np.random.default_rng(11)
    noticed = 0
    for at in random.integers(0, len(intact), 150):
        damaged = bytearray(intact)
        damaged[at] ^= 1 << random.integers(8)
        path.write_bytes(damaged)
        try:
            with ActivityFile(path) as file:
                assert list(file) == list(right)
                for track, (key, activity) in right.items():
                    assert file.key(track) == key
                    got = file.read(track)
                    assert (got.stems, got.broken, got.sample_rate, got.frames) == (
                        activity.stems, activity.broken, activity.sample_rate, activity.frames
                    )  # fmt: skip
                    for found, wanted in zip(got.moments, activity.moments, strict=True):
                        np.testing.assert_array_equal(found.sums, wanted.sums)
                        np.testing.assert_array_equal(found.gram, wanted.gram)
        except PlanError:
            noticed += 1
    assert noticed > 100


def test_a_merge_that_misses_a_track_is_a_fault(
    small_catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_measure", lambda *arguments: None)
    with pytest.raises(FaultError, match=r"6 tracks were not measured \(Track00001 first\)"):
        measure_activity(small_catalog, tmp_path / "activity.h5", jobs=1)


FULL_DISK = """
import json, os, resource, sys
from pathlib import Path
from slakh_hier.errors import FaultError
from slakh_hier.plan.activity_file import ActivityFile, streamed

def merge(limit, target):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        with ActivityFile(Path(sys.argv[1])) as source, streamed(target, target.parent) as add:
            for track in source:
                add(source, track)
    except FaultError as error:
        return 3 if "File too large. What is finished is kept; free disk space" in str(error) else 4
    return 0

for limit in json.loads(sys.argv[3]):
    folder = Path(sys.argv[2]) / str(limit)
    folder.mkdir()
    if (child := os.fork()) == 0:
        sys.exit(merge(limit, folder / "activity.h5"))  # HDF5 could crash as late as here
    print(limit, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), *os.listdir(folder), flush=True)
"""


def test_a_full_disk_ends_the_merge_in_order(small_activity: Path, tmp_path: Path) -> None:
    """Not with HDF5's segmentation fault, wherever the disk ends, nor with a file of a final name."""
    size = small_activity.stat().st_size
    limits = [0, 1, 100, 2048, *np.linspace(4096, size - 1, 25).astype(int).tolist(), size]
    command = [sys.executable, "-c", FULL_DISK, small_activity, tmp_path, str(limits)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    expected = [f"{limit} 3" for limit in limits[:-1]] + [f"{size} 0 activity.h5"]
    assert done.stdout.splitlines() == expected
    assert file_sha256(tmp_path / str(size) / "activity.h5") == file_sha256(small_activity)


INTERRUPTED = """
import os, signal, sys, threading, time
from pathlib import Path
from slakh_hier.plan.activity_file import ActivityFile, streamed
source_path, target = Path(sys.argv[1]), Path(sys.argv[2])
caught = threading.Event()

def press(delay):
    time.sleep(delay)
    while not caught.is_set():  # once is not always enough: destructors cannot pass the exception on
        os.kill(os.getpid(), signal.SIGINT)
        caught.wait(0.2)

sys.unraisablehook = lambda lost: None
for attempt in range(10):
    thread = threading.Thread(target=press, args=(0.003 * attempt,))
    try:
        thread.start()
        for _ in range(1000):
            with ActivityFile(source_path) as source, streamed(target, target.parent) as add:
                for track in source:
                    add(source, track)
        print("never stopped")
    except KeyboardInterrupt:
        pass
    caught.set()
    thread.join()
    caught.clear()
print(*os.listdir(target.parent))
"""


def test_ctrl_c_in_the_merge_leaves_nothing_half_made(small_activity: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "activity.h5"
    target.parent.mkdir()
    command = [sys.executable, "-c", INTERRUPTED, small_activity, target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout in ("activity.h5\n", "\n")


def test_the_same_share_is_measured_by_one_process_at_a_time(small_catalog: Catalog, tmp_path: Path) -> None:
    target = tmp_path / "activity.h5"
    parts = measure_activity(small_catalog, target, jobs=1, part=(1, 2))
    with folder_lock(parts, part=(2, 2)):
        with pytest.raises(LockedError, match="is writing here"):
            measure_activity(small_catalog, target, jobs=1, part=(2, 2))
        measure_activity(small_catalog, target, jobs=1, part=(1, 2))
    measure_activity(small_catalog, target, jobs=1)
    assert list(tmp_path.iterdir()) == [target]


def test_a_merge_works_in_the_folder_that_a_rerun_cleans(
    small_catalog: Catalog, small_activity: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill leaves what is half-made there, and the same call removes it."""
    target = tmp_path / "activity.h5"
    copy, seen = ActivityFile.copy, []

    def killed(self: ActivityFile, *arguments: Any) -> None:
        seen.extend(path.parent for path in tmp_path.rglob(".tmp-*"))
        copy(self, *arguments)
        (tmp_path / "activity.h5.parts" / ".tmp-as-a-kill-leaves-it").touch()

    monkeypatch.setattr(ActivityFile, "copy", killed)
    measure_activity(small_catalog, target, jobs=1)
    assert set(seen) == {tmp_path / "activity.h5.parts"}
    assert list(tmp_path.iterdir()) == [target]
    assert file_sha256(target) == file_sha256(small_activity)


def test_parts_of_a_run_that_was_killed_after_the_merge_are_removed(
    small_catalog: Catalog, small_activity: Path, tmp_path: Path
) -> None:
    target = tmp_path / "activity.h5"
    shutil.copy(small_activity, target)
    parts = tmp_path / "activity.h5.parts"
    parts.mkdir()
    shutil.copy(small_activity, parts / "part-0123456789abcdef.h5")
    with folder_lock(parts):  # somebody works there
        assert measure_activity(small_catalog, target, jobs=1) == target
    assert len(list(parts.glob("*.h5"))) == 1
    assert measure_activity(small_catalog, target, jobs=1) == target
    assert not parts.exists()
