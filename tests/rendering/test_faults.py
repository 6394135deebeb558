"""Faults from outside: full disks, killed runs, killed workers, signals. What is published is whole, and a rerun ends well."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import slakh_hier as sh
from slakh_hier.files import file_sha256
from slakh_hier.shards.verify import verify

OPTIONS: dict[str, Any] = {"sample_rate": 44100, "shard_mb": 2.5}
FLAGS = ["--sample-rate", "44100", "--shard-mb", "2.5"]
HINT = "Run the same command again to resume"


@pytest.fixture(scope="module")
def reference(small_plan: sh.Plan, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small plan at a rate that takes a second or two; its plan files are what the commands read."""
    out = tmp_path_factory.mktemp("reference") / "out"
    sh.render(small_plan, out, jobs=1, **OPTIONS)
    return out


@pytest.fixture
def start(
    small_slakh: Path, reference: Path, tmp_path: Path
) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start ``slakh-hier render`` into tmp_path/out, in a process group of its own."""
    running = []

    def command(*flags: str) -> subprocess.Popen[str]:
        arguments = [sys.executable, "-m", "slakh_hier", "render", small_slakh, "--plan", reference]
        process = subprocess.Popen(
            [*arguments, "-o", tmp_path / "out", *FLAGS, *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        running.append(process)
        return process

    yield command
    for process in running:
        for kill in (lambda pid=process.pid: os.killpg(pid, signal.SIGKILL), process.wait):
            with contextlib.suppress(ProcessLookupError):
                kill()


def shards_in(out: Path) -> dict[str, str]:
    return {path.name: file_sha256(path) for path in out.glob("*.h5")}


def wait_for_shards(out: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while len(list(out.glob("*.h5"))) < count and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)


def check_resume(small_plan: sh.Plan, out: Path, reference: Path) -> None:
    """Every shard that is there is whole; the rest is rendered, and all is as without the fault."""
    whole = shards_in(reference)
    there = shards_in(out)
    assert there.items() <= whole.items()
    # A kill can fall between a shard and its note; what has a note is kept.
    noted = len(list(out.glob(".made/*.json")))
    report = sh.render(small_plan, out, jobs=1, **OPTIONS)
    assert report.kept == noted <= len(there)
    assert shards_in(out) == whole
    assert (out / "index.json").read_bytes() == (reference / "index.json").read_bytes()
    assert not list(out.glob(".tmp-*"))


@pytest.mark.timeout(120)
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_full_disk_stops_the_run_and_keeps_what_is_finished(
    small_plan: sh.Plan, small_slakh: Path, reference: Path, tmp_path: Path, jobs: str
) -> None:
    out = tmp_path / "out"
    limit = max(path.stat().st_size for path in reference.glob("*.h5")) - 1  # room for all but the largest
    code = (
        "import resource, sys; from slakh_hier.cli.main import main\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "main(sys.argv[1:])"
    )
    command = [sys.executable, "-B", "-c", code, "render", small_slakh, "--plan", reference, "-o", out]
    done = subprocess.run(
        [*command, *FLAGS, "-j", jobs], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 3, done.stderr
    assert "File too large. What is finished is kept; free disk space" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert not list(out.glob(".tmp-*"))
    assert not (out / "index.json").exists()
    check_resume(small_plan, out, reference)


REALLY_FULL = """
import contextlib, hashlib, json, subprocess, sys, time
from pathlib import Path

disk, *command = sys.argv[1:]
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100m", "none", disk], check=True)
ballast, out = Path(disk, "ballast"), Path(disk, "out")
process = subprocess.Popen([*command, "-o", out], stderr=subprocess.PIPE, text=True)
while process.poll() is None:
    time.sleep(0.005)
    if any(out.glob("*.h5")):  # somebody else fills the disk meanwhile
        with contextlib.suppress(OSError), open(ballast, "ab", buffering=0) as file:
            while file.write(bytes(1 << 14)):
                pass
said = process.stderr.read()
left = [path.name for path in out.iterdir() if ".tmp-" in path.name or path.name == "index.json"]
there = {path.name: path.read_bytes() for path in out.glob("*.h5")}
ballast.unlink()
rerun = subprocess.run([*command, "-o", out], capture_output=True).returncode
made = {path.name: path.read_bytes() for path in out.glob("*.h5")}
found = {name: hashlib.sha256(data).hexdigest() for name, data in made.items()}
kept = there.items() <= made.items() and len(there)
print(json.dumps([process.returncode, said, left, kept, rerun, found]))
"""


@pytest.mark.timeout(120)
def test_a_disk_that_fills_up_meanwhile_stops_the_run_and_the_same_command_completes_it(
    small_slakh: Path, reference: Path, tmp_path: Path
) -> None:
    """The system's own refusal, on a file system of 100 MB in a name space of its own."""
    try:
        subprocess.run(
            ["unshare", "-rm", "mount", "-t", "tmpfs", "none", tmp_path], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine lets users make no name spaces, and so no file system to fill")
    disk = tmp_path / "disk"
    disk.mkdir()
    command = [
        sys.executable,
        "-m",
        "slakh_hier",
        "render",
        small_slakh,
        "--plan",
        reference,
        *FLAGS,
        "-j",
        "2",
    ]
    script = ["unshare", "-rm", sys.executable, "-c", REALLY_FULL, disk, *command]
    done = subprocess.run(script, capture_output=True, text=True, timeout=110, check=True)
    code, said, left, kept, rerun, found = json.loads(done.stdout)
    assert code == 3
    assert "No space left on device" in said
    assert "free disk space" in said
    assert "Traceback" not in said
    assert left == []
    assert kept >= 1
    assert rerun == 0
    assert found == shards_in(reference)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("shards", [1, 4])
def test_a_killed_run_publishes_no_more_and_a_rerun_ends_as_if_nothing_was(
    small_plan: sh.Plan,
    reference: Path,
    tmp_path: Path,
    start: Callable[..., subprocess.Popen[str]],
    shards: int,
) -> None:
    out = tmp_path / "out"
    process = start("-j", "2")
    wait_for_shards(out, shards, process)
    process.kill()
    process.wait(10)
    time.sleep(1.5)  # joblib's workers outlive their parent and would continue
    before = shards_in(out)
    assert 0 < len(before) < len(shards_in(reference))
    time.sleep(0.5)
    assert shards_in(out) == before
    check_resume(small_plan, out, reference)


@pytest.mark.timeout(120)
def test_a_killed_worker_ends_the_run_naming_the_open_shards(
    small_plan: sh.Plan, reference: Path, tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    out = tmp_path / "out"
    process = start("-j", "2")
    wait_for_shards(out, 1, process)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [pid for pid in children if b"LokyProcess" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(int(workers[0]), signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "a worker process died" in said
    assert "with one of these tasks: t" in said  # train-..., test-...
    assert "Traceback" not in said
    check_resume(small_plan, out, reference)


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("number", "code", "flags"),
    [
        (signal.SIGINT, 130, ["-j", "1"]),
        (signal.SIGINT, 130, ["-j", "2"]),
        (signal.SIGTERM, 143, ["-j", "2"]),
        (signal.SIGINT, 130, ["-j", "2", "--backend", "threading"]),
    ],
    ids=["one process", "loky", "loky, SIGTERM", "threads"],
)
def test_signals_to_all_processes_end_the_run_quickly_and_quietly(
    small_plan: sh.Plan,
    reference: Path,
    tmp_path: Path,
    start: Callable[..., subprocess.Popen[str]],
    number: signal.Signals,
    code: int,
    flags: list[str],
) -> None:
    """As a terminal sends Ctrl-C: to the run and its workers."""
    out = tmp_path / "out"
    process = start(*flags)
    wait_for_shards(out, 2, process)
    began = time.monotonic()
    os.killpg(process.pid, number)
    shown, said = process.communicate(timeout=60)
    assert time.monotonic() - began < 6  # 0.5 s on a quiet machine
    assert process.returncode == code
    assert HINT in said
    assert "Traceback" not in said
    assert "Exception" not in said
    assert shown == ""
    check_resume(small_plan, out, reference)


NASTY = """
import os, signal, time
from slakh_hier.cli import main as module
from slakh_hier.errors import FaultError

class Nasty:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.05)

@module.cli.command("work")
def work():
    x = Nasty()
    del x
    AFTER

module.main(["work"])
"""


@pytest.mark.parametrize(
    "after",
    [
        "time.sleep(20)",  # Python cannot raise in a destructor, and h5py runs them all the time
        'raise FaultError("a worker died")',  # as of a run that just forks, and finds its worker ended by the same signal
    ],
)
def test_an_interrupt_that_hits_a_destructor_comes_again(after: str) -> None:
    command = [sys.executable, "-c", NASTY.replace("AFTER", after)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (143, "")
    assert re.fullmatch(
        rf"\n?interrupted: .*{HINT}\n", done.stderr
    )  # click ends the line of a terminal's ^C first


def test_a_second_run_into_the_same_folder_is_refused_at_once(
    reference: Path, tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    out = tmp_path / "out"
    first = start("-j", "1")
    wait_for_shards(out, 1, first)
    os.kill(first.pid, signal.SIGSTOP)
    try:
        before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
        second = start("-j", "1", "--overwrite")
        _, said = second.communicate(timeout=30)
        assert second.returncode == 2
        assert f"process {first.pid} on" in said
        assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before
    finally:
        os.kill(first.pid, signal.SIGCONT)
    first.communicate(timeout=60)
    assert first.returncode == 0
    assert shards_in(out) == shards_in(reference)


@pytest.mark.timeout(120)
def test_a_dask_scheduler_elsewhere_renders_the_same(
    reference: Path, tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    """Its workers are nobody's children here, and must not take themselves for orphans."""
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        process = start("--backend", "dask", "--scheduler", cluster.scheduler_address)
        _, said = process.communicate(timeout=90)
    assert process.returncode == 0, said
    assert shards_in(tmp_path / "out") == shards_in(reference)
    assert verify(tmp_path / "out", full=True, jobs=1) == []
