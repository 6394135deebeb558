"""Systems that lack what Linux has, such as macOS: its calls are taken away, and the commands work."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from slakh_hier.parallel import cpu_cores, resolve_jobs
from slakh_hier.plain_files import open_plain

WITHOUT_LINUX = """
import builtins, os, sys
import h5py, joblib, numpy, pandas, soundfile, soxr, rich.console
for name in ("sched_getaffinity", "sched_setaffinity", "posix_fadvise", "copy_file_range", "memfd_create", "preadv",
             "O_TMPFILE"):
    if hasattr(os, name):
        delattr(os, name)
sys.platform = "darwin"
real = open
def refused(file, *arguments, **more):
    if str(file).startswith("/proc"):
        raise FileNotFoundError(2, "No such file or directory", str(file))
    return real(file, *arguments, **more)
builtins.open = refused
from pathlib import Path
from slakh_hier.cli.main import cli
from slakh_hier.testing import make_slakh
folder = Path(sys.argv[1])
make_slakh(folder / "slakh", tracks=4, seconds=6)
run = lambda *arguments: cli.main(args=[str(a) for a in arguments], standalone_mode=False)
data, shards = folder / "slakh", folder / "shards"
codes = [
    run("scan", data, "--split-scheme", "folders"),
    run("render", data, "-o", shards, "--any", "--no-queries", "--clip-seconds", "2", "--clips", "train=4",
        "--split-scheme", "folders", "--backend", "threading", "-j", "2"),
    run("verify", shards, "--full"),
    run("submix", data, "-o", folder / "submix", "--hierarchy", "band", "--level", "1", "--split-scheme", "folders", "-j", "1"),
]
print("codes", codes)
"""


@pytest.mark.timeout(120)
def test_commands_work_without_the_calls_that_only_linux_has(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_LINUX, tmp_path],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "codes [None, None, None, None]"


def test_cpu_cores_without_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert cpu_cores() == resolve_jobs(None) == os.cpu_count()
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cpu_cores() == 1


@pytest.mark.parametrize("number", [errno.ENXIO, errno.EOPNOTSUPP])
def test_a_socket_is_not_a_regular_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        monkeypatch.chdir(tmp_path)
        listener.bind("s")

        def refuse(*arguments: object) -> int:
            raise OSError(number, "what the system says", str(path))

        monkeypatch.setattr(os, "open", refuse)
        with pytest.raises(OSError, match="is not a regular file"):
            open_plain(path)
