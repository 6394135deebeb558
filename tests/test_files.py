"""Files that are complete or not there."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections import namedtuple
from pathlib import Path

import pytest

from slakh_hier import files
from slakh_hier.caches import CACHE_VARIABLE, cache_folder
from slakh_hier.errors import FaultError, InputError
from slakh_hier.files import (
    file_sha256,
    make_folder,
    publish,
    publish_folder,
    publish_json,
    remove_temporaries,
    require_free,
    sha256,
    temporary_folder,
)
from slakh_hier.locks import Owner, folder_lock


def test_a_published_file_has_its_bytes_and_ordinary_permissions(tmp_path: Path) -> None:
    path = tmp_path / "a.bin"
    publish(path, b"old")
    publish(path, memoryview(b"new"))
    (tmp_path / "ordinary").touch()
    assert path.read_bytes() == b"new"
    assert path.stat().st_mode == (tmp_path / "ordinary").stat().st_mode
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.bin", "ordinary"]


def test_bytes_are_on_disk_before_the_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def spy(name: str) -> None:
        real = getattr(os, name)

        def call(*arguments: object) -> object:
            folder = name == "fsync" and os.path.isdir(f"/proc/self/fd/{arguments[0]}")
            calls.append(f"{name} folder" if folder else name)
            return real(*arguments)

        monkeypatch.setattr(os, name, call)

    spy("fsync")
    spy("replace")
    publish(tmp_path / "a", b"x")
    assert calls == ["fsync", "replace", "fsync folder"]


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), FaultError),
        (KeyboardInterrupt(), KeyboardInterrupt),
    ],
    ids=["disk full", "Ctrl-C"],
)
def test_what_stops_publishing_leaves_the_folder_as_it_was(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    call: str,
    raised: BaseException,
    expected: type[BaseException],
) -> None:
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail(*arguments: object) -> None:
        raise raised

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(expected) as caught:
        publish(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]
    assert path.read_bytes() == b"old"
    if expected is FaultError:
        assert str(path) in str(caught.value)
        assert "No space left" in str(caught.value)


def test_a_file_too_large_for_the_disk_is_a_fault(tmp_path: Path) -> None:
    # Python runs with -B: the limit would cut off the compiled modules that it keeps, too.
    code = (
        "import resource, sys; from pathlib import Path; from slakh_hier.files import publish\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        "publish(Path(sys.argv[1]) / 'small', bytes(99_999))\n"
        "publish(Path(sys.argv[1]) / 'large', bytes(500_000))\n"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, tmp_path], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "FaultError: cannot write" in done.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["small"]


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, r" \(0\.0 MB, [\d.]+ MB free\): No space left .*; free disk space and run"),
        (errno.EDQUOT, r"MB free\): .*; free disk space and run"),
        (errno.EFBIG, r"MB free\): .*raise the limit on the size of files \(ulimit -f\), and run"),
        (
            errno.EACCES,
            r"a\.bin: Permission denied\. What is finished is kept; give yourself the right to write there",
        ),
        (
            errno.EROFS,
            r"a\.bin: Read-only .*; /.* is mounted read-only: choose another place, or mount it for writing",
        ),
        (errno.EIO, r"a\.bin: Input/output error\. What is finished is kept; run the same command again$"),
    ],
)
def test_advice_to_free_space_goes_with_full_disks_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    def fail(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(FaultError, match=rf"cannot write {re.escape(str(tmp_path))}/a\.bin.*") as caught:
        publish(tmp_path / "a.bin", b"new")
    assert re.search(advice, str(caught.value))


def test_publishing_into_a_folder_that_is_gone_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(FaultError, match="No such file"):
        publish(tmp_path / "gone" / "a", b"x")


@pytest.mark.parametrize(("parent", "published"), [("alive", True), ("itself", True), ("dead", False)])
def test_a_worker_without_its_parent_publishes_nothing(tmp_path: Path, parent: str, published: bool) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    pid = {"alive": str(os.getpid()), "itself": "os.getpid()", "dead": str(dead.pid)}[parent]
    code = (
        "import os, sys; from pathlib import Path; from slakh_hier.files import publish\n"
        "from slakh_hier.locks import Owner; place = Path(sys.argv[1])\n"
        f"publish(place / 'a', b'x', owner=Owner(str(place / '.lock'), '', {pid}))\nprint('went on')"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", code, tmp_path], capture_output=True, text=True, timeout=60, check=False
    )
    assert ("went on" in done.stdout) == published
    assert ("the run that asked for this has ended" in done.stderr) != published
    assert [p.name for p in tmp_path.iterdir()] == (["a"] if published else [])


@pytest.mark.parametrize("folder", [False, True])
def test_what_a_cluster_still_does_for_a_killed_run_is_not_published_into_a_newer_one(
    tmp_path: Path, folder: bool
) -> None:
    """Its client is gone, but the worker lives: only the lock file tells."""

    def write(owner: Owner) -> None:
        if folder:
            with temporary_folder(tmp_path, "track") as made:
                (made / "file").touch()
                publish_folder(made, tmp_path / "out", owner=owner)
        else:
            publish(tmp_path / "out", b"x", owner=owner)

    with folder_lock(tmp_path) as first:
        first = first.of_workers("tcp://elsewhere:8786")
        write(first)
    write(first)  # nobody else came: the work is good
    shutil.rmtree(tmp_path / "out") if folder else (tmp_path / "out").unlink()
    with folder_lock(tmp_path) as second:
        with pytest.raises(FaultError, match="has ended"):
            write(first)
        write(second)
    with folder_lock(tmp_path, part=(1, 2)) as share, folder_lock(tmp_path, part=(2, 2)):
        with pytest.raises(FaultError, match="has ended"):
            write(second)
        write(share)
    with folder_lock(tmp_path), pytest.raises(FaultError, match="has ended"):
        write(share)
    assert {path.name for path in tmp_path.iterdir()} == {"out", ".lock"}


STOPPED = (
    "import os, sys, time; from pathlib import Path; from slakh_hier.files import publish\n"
    "os.fsync = lambda handle: (print('there', flush=True), time.sleep(60))\n"
    "publish(Path(sys.argv[1]), b'half')\n"
)
"""A process that stops in the middle of publishing a file."""


def test_what_a_kill_left_beside_a_file_is_removed_when_it_is_written_again(tmp_path: Path) -> None:
    names = ["plan.yaml", "plan", "ä" * 127]  # the last of them has nearly as many bytes as a name can have
    for name in names:
        with subprocess.Popen(
            [sys.executable, "-B", "-c", STOPPED, tmp_path / name], stdout=subprocess.PIPE
        ) as killed:
            assert killed.stdout is not None
            killed.stdout.readline()
            left = [path.name for path in tmp_path.iterdir()]
            publish(tmp_path / name, b"of another process")
            assert [path.name for path in tmp_path.iterdir() if path.name != name] == left  # it is at work
            killed.kill()
        assert len(left) == 1
        (tmp_path / name).unlink()
        for other in names:
            if other != name:
                publish(tmp_path / other, b"another file")
                (tmp_path / other).unlink()
        assert [path.name for path in tmp_path.iterdir()] == left
        publish(tmp_path / name, b"whole")
        assert [path.name for path in tmp_path.iterdir()] == [name]
        (tmp_path / name).unlink()


def test_only_files_that_publishing_makes_are_taken_for_abandoned(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.touch()
    out = tmp_path / "out"
    (out / f".tmp-a-{'0' * 16}").mkdir(parents=True)
    (out / f".tmp-a-{'1' * 16}").symlink_to(outside)
    os.mkfifo(out / f".tmp-a-{'2' * 16}")
    (out / ".tmp-a-notes").touch()
    before = sorted(path.name for path in out.iterdir())
    publish(out / "a", b"x")
    assert sorted(path.name for path in out.iterdir()) == [*before, "a"]
    assert outside.exists()


def test_a_file_that_is_taken_for_abandoned_before_it_is_locked_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process looks between the making of the file and its lock."""
    real, removed = files._lock, []

    def late(handle: int, path: Path) -> bool:
        if not removed:
            removed.append(path)
            files._remove_abandoned(tmp_path / "a")
            assert not path.exists()
        return real(handle, path)

    monkeypatch.setattr(files, "_lock", late)
    publish(tmp_path / "a", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_many_processes_that_publish_the_same_file_do_not_remove_each_others(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from slakh_hier.files import publish\n"
        "for number in range(200): publish(Path(sys.argv[1]), bytes(1000))\n"
    )
    running = [subprocess.Popen([sys.executable, "-B", "-c", code, tmp_path / "a"]) for _ in range(3)]
    assert [process.wait(60) for process in running] == [0, 0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_published_file_is_not_locked(tmp_path: Path) -> None:
    """HDF5 refuses to open a file that is, and a process that was forked meanwhile inherits the lock."""
    code = (
        "import fcntl, os, sys; from pathlib import Path; from slakh_hier import files\n"
        "def look(folder):\n"
        "    fcntl.flock(os.open(sys.argv[1], os.O_RDONLY), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        "files.sync_folder = look\n"
        "files.publish(Path(sys.argv[1]), b'x')\n"
    )
    subprocess.run([sys.executable, "-B", "-c", code, tmp_path / "a"], timeout=60, check=True)


@pytest.mark.parametrize("linked", ["train", "train/Track00001"])
def test_a_folder_is_not_published_through_links(tmp_path: Path, linked: str) -> None:
    mine, out = tmp_path / "mine", tmp_path / "out"
    mine.mkdir()
    (out / linked).parent.mkdir(parents=True)
    (out / linked).symlink_to(mine)
    (tmp_path / "linked").symlink_to(out)  # the folder that people name may be a link
    for named in (out, tmp_path / "linked"):
        with temporary_folder(named, "Track00001") as folder:
            (folder / "mix").touch()
            with pytest.raises(InputError, match=f"{linked}: is a symbolic link"):
                publish_folder(folder, named / "train" / "Track00001")
        with temporary_folder(named, "Track00002") as folder:
            publish_folder(folder, named / "test" / "Track00002")
    assert not list(mine.iterdir())
    assert not list(out.glob(".tmp-*"))


def test_many_threads_publish_with_the_permissions_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        threads = [
            threading.Thread(target=lambda i=i: [publish(tmp_path / f"{i}-{k}", b"x") for k in range(10)])
            for i in range(6)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o640}
        assert len(list(tmp_path.iterdir())) == 60
    finally:
        assert os.umask(before) == 0o027


def test_json_is_utf8_with_a_final_newline(tmp_path: Path) -> None:
    publish_json(tmp_path / "a.json", {"name": "Träck", "n": [1, None]})
    assert (tmp_path / "a.json").read_text("utf-8") == (
        '{\n  "name": "Träck",\n  "n": [\n    1,\n    null\n  ]\n}\n'
    )


def test_json_has_no_word_for_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        publish_json(tmp_path / "a.json", {"delta": float("nan")})
    assert not (tmp_path / "a.json").exists()


def test_digests_are_those_of_hashlib(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "a").write_bytes(data)
    assert sha256(data) == file_sha256(tmp_path / "a") == hashlib.sha256(data).hexdigest()


def test_only_temporary_files_are_removed(tmp_path: Path) -> None:
    for name in (".tmp-abc", ".tmp-", "train-00000.h5", ".lock", "a.tmp-"):
        (tmp_path / name).touch()
    (tmp_path / ".tmp-folder").mkdir()
    assert {path.name for path in remove_temporaries(tmp_path)} == {".tmp-abc", ".tmp-"}
    assert {path.name for path in tmp_path.iterdir()} == {"train-00000.h5", ".lock", "a.tmp-"}


def test_where_runs_share_a_folder_only_old_temporaries_are_removed(tmp_path: Path) -> None:
    for name, age in ((".tmp-old", 101), (".tmp-new", 5)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    (tmp_path / ".tmp-nowhere").symlink_to("nothing")
    assert [path.name for path in remove_temporaries(tmp_path, older_than=100)] == [".tmp-old"]
    assert {path.name for path in tmp_path.iterdir()} == {".tmp-new", ".tmp-nowhere"}


def test_a_file_cannot_be_made_a_folder(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    for path in (tmp_path / "a", tmp_path / "a" / "b"):
        with pytest.raises(InputError, match="cannot be used as a folder"):
            make_folder(path)
    assert make_folder(tmp_path / "b" / "c").is_dir()


def test_room_is_asked_for_with_a_margin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 0, 1_000_000))
    require_free(tmp_path, 950_000, "rendering")
    with pytest.raises(FaultError, match=r"rendering needs 0\.96 MB, but only 1\.00 MB are free") as caught:
        require_free(tmp_path, 960_000, "rendering")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({CACHE_VARIABLE: "/scratch/me", "XDG_CACHE_HOME": "/xdg"}, "/scratch/me"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/slakh-hier"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/slakh-hier"),
        ({}, "/home/me/.cache/slakh-hier"),
    ],
)
def test_the_cache_lies_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str
) -> None:
    for name in (CACHE_VARIABLE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


def test_two_workers_that_publish_the_same_folder_do_not_disturb_each_other(tmp_path: Path) -> None:
    """As when Dask runs a task a second time while the first worker still lives."""
    target, failed = tmp_path / "train" / "Track00001", []

    def work(number: int) -> None:
        try:
            for _ in range(20):
                with temporary_folder(tmp_path, "Track00001") as folder:
                    (folder / "mix").write_text("the same")
                    publish_folder(folder, target)
        except OSError as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert (target / "mix").read_text() == "the same"
    assert [path.name for path in tmp_path.iterdir()] == ["train"]
