"""A shard is whole or not there: errors in the middle, what HDF5 may open, what a stopped run leaves running."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import pytest

import slakh_hier as sh
from slakh_hier.files import file_sha256
from slakh_hier.shards.mask import Mask
from slakh_hier.shards.mask_files import add_mask
from slakh_hier.signals import TrackReader

HDF5 = "2.0.0"
"""The version whose bytes the digests below are; others may lay files out differently."""
DIGESTS = {  # of version 0.2.0, which stands in every shard
    "test-00000.h5": "f05c6fd5820f03cafd510079189da64d1a73927f428cbcbcfc1ddebed7f40a27",
    "train-00000.h5": "e97083b95c859563ede13bc463b04f18b0cb3b0e0c5005592f9d62226375be60",
    "validation-00000.h5": "f8ff97d5bc1d5a2affde4f4e831e25c89322646197b1d932cb36fd0912dc0c69",
}


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


@pytest.mark.parametrize("clip", [0, 2, 13])
def test_an_error_in_a_clip_leaves_no_part_of_its_shard(
    clip: int, small_plan: sh.Plan, small_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"sample_rate": 8000, "shard_mb": 0.8, "masks": ["leaf:50"], "jobs": 1}
    real, calls = TrackReader.clip, []

    def fail(self: TrackReader, *arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == clip + 1:
            raise ZeroDivisionError("in the middle")
        return real(self, *arguments)

    monkeypatch.setattr(TrackReader, "clip", fail)
    with pytest.raises(ZeroDivisionError):
        sh.render(small_plan, tmp_path / "out", **options)
    monkeypatch.undo()
    left = [
        path for path in (tmp_path / "out").iterdir() if path.name.startswith(".tmp") or path.suffix == ".h5"
    ]
    assert all(file_sha256(path) == file_sha256(small_set / path.name) for path in left)
    assert not any(path.name.startswith(".tmp") for path in left)
    assert not (tmp_path / "out" / "index.json").exists()
    report = sh.render(small_plan, tmp_path / "out", **options)
    assert report.kept == len(left)
    assert names(tmp_path / "out") == names(small_set)


def test_hdf5_never_opens_a_final_name_for_writing(
    small_plan: sh.Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk that is a segmentation fault, and mode w truncates before it asks for a lock."""
    opened: list[tuple[object, str]] = []
    real = h5py.File.__init__

    def watch(self: h5py.File, name: Any, mode: str = "r", *arguments: Any, **options: Any) -> None:
        opened.append((name, mode))
        real(self, name, mode, *arguments, **options)

    monkeypatch.setattr(h5py.File, "__init__", watch)
    sh.render(small_plan, tmp_path / "out", sample_rate=8000, jobs=1)
    add_mask(tmp_path / "out", Mask("leaf", 90))
    sh.measure_activity(small_plan.catalog, tmp_path / "activity.h5", jobs=1)
    written = [name for name, mode in opened if mode != "r"]
    assert len(written) >= 4
    assert not any(isinstance(name, str | bytes | Path) for name in written)


@pytest.mark.skipif(h5py.version.hdf5_version != HDF5, reason=f"the digests are those of HDF5 {HDF5}")
def test_bytes_are_those_of_the_day_they_were_noted(
    small_plan: sh.Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the native rate nothing is resampled, so no CPU rounds differently. A plan's digest, which is in every shard, changes
    with what a plan knows, and no byte of the audio with it: here it is a constant.
    """
    monkeypatch.setitem(small_plan.__dict__, "digest", "ab" * 32)
    sh.render(small_plan, tmp_path / "out", sample_rate=11025, jobs=1)
    shards = {path.name: file_sha256(path) for path in sorted((tmp_path / "out").glob("*.h5"))}
    assert shards == DIGESTS


@pytest.mark.timeout(120)
def test_nothing_is_written_after_a_run_was_terminated(
    small_slakh: Path, small_set: Path, tmp_path: Path
) -> None:
    """Signalled alone, as `kill` does, the run takes its workers with it."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "slakh_hier", "render", small_slakh, "--plan", small_set, "-o", out]
    process = subprocess.Popen(
        [*command, "--sample-rate", "44100", "--shard-mb", "2.5", "-j", "2"],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 60
    while not list(out.glob("*.h5")) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 143
    time.sleep(2)
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    time.sleep(1)
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before
    assert not (out / "index.json").exists()
