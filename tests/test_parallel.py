"""One interface, three backends: every task answered once, faults named, nothing hangs."""

from __future__ import annotations

import os
import pickle
import re
import signal
import subprocess
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from slakh_hier import dask_cluster, errors
from slakh_hier.errors import AudioError, FaultError, InputError, MissingExtraError, Problem, TextError
from slakh_hier.parallel import Tasks, resolve_jobs, run

BACKENDS = ["loky", "threading"]
cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import this file


def square(number: int) -> tuple[int, int]:
    if number == 3:
        raise AudioError("Track00003", "S01", "is broken")
    return number * number, os.getpid()


def die(number: int, folder: str) -> int:
    """Task 4 kills its process, after some others are done."""
    if number == 4:
        while len(os.listdir(folder)) < 3:
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGKILL)
    Path(folder, str(number)).touch()
    if number > 4:
        time.sleep(0.1)
    return number


def die_as_the_last_of_six(number: int, folder: str) -> int:
    """Task 5 kills its process when all six have begun; the others are busy until then."""
    Path(folder, str(number)).touch()
    while len(os.listdir(folder)) < 6:
        time.sleep(0.02)
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(30)
    return number


class ErrorOfTwo(Exception):
    """As many libraries' errors: it can be pickled, but not unpickled."""

    def __init__(self, first: str, second: str):
        super().__init__(f"{first} and {second}")


def raise_kind(kind: str) -> None:
    if kind == "memory":
        raise MemoryError
    if kind == "two":
        raise ErrorOfTwo("this", "that")
    if kind == "text":
        raise TextError([Problem("b.yaml", 2, 1, "second"), Problem("a.yaml", 1, 1, "first")])
    if kind == "extra":
        raise MissingExtraError("torch", "train")
    raise FaultError("disk full")


def check_squares(results: list[Any], tasks: int) -> None:
    assert sorted(result.id for result in results) == sorted(f"task {n}" for n in range(tasks))
    for result in results:
        number = int(result.id.split()[1])
        if number == 3:
            with pytest.raises(AudioError, match="Track00003/S01: is broken"):
                result.unwrap()
        else:
            assert result.unwrap()[0] == number**2


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("jobs", [1, 2, 5])
def test_every_task_is_answered_once_errors_too(backend: Any, jobs: int) -> None:
    tasks = {f"task {n}": (n,) for n in range(12)}
    results = list(run(square, tasks, jobs=jobs, backend=backend))
    check_squares(results, 12)
    pids = {result.value[1] for result in results if result.value}
    assert (os.getpid() in pids) == (backend == "threading" or jobs == 1)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_task_is_no_work(backend: Any) -> None:
    assert list(run(square, {}, jobs=2, backend=backend)) == []


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("jobs", "backend"), [(1, "loky"), (2, "loky"), (2, "threading"), (2, "dask")], ids=str
)
def test_arguments_are_made_when_their_task_is_sent(
    jobs: int, backend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if backend == "dask":
        pytest.importorskip("distributed")
        monkeypatch.setattr(dask_cluster, "OPEN", 4)
    made: list[str] = []

    def make(id: str) -> tuple[float]:
        made.append(id)
        return (0.1,)

    tasks = Tasks(map(str, range(40)), make)
    results = run(time.sleep, tasks, jobs=jobs, backend=backend)
    next(results)
    assert len(made) < 20
    assert len({result.id for result in islice(results, 30)}) == 30
    results.close()
    assert (len(tasks), list(tasks)[:2]) == (40, ["0", "1"])
    with pytest.raises(KeyError):
        tasks["40"]


def test_a_dead_worker_ends_the_run_naming_what_was_open(tmp_path: Path) -> None:
    done = []
    tasks = {f"shard {n}": (n, str(tmp_path)) for n in range(40)}
    results = run(die, tasks, jobs=2)
    with pytest.raises(FaultError, match="worker process died") as caught:
        done.extend(result.id for result in results)
    assert "shard 4" in str(caught.value)
    assert not any(f" {id}," in str(caught.value) for id in done)
    assert len(done) < 40
    shown, more = re.search("tasks: (.*?)(?: and ([0-9]+) more)?[.] Fin", str(caught.value)).groups("0")  # type: ignore[union-attr]
    assert len(shown.split(", ")) + int(more) < 15  # not the many that no worker was given
    assert caught.value.exit_code == 3
    # The next run gets its own results and no other's.
    check_squares(list(run(square, {f"task {n}": (n,) for n in range(8)}, jobs=2)), 8)


def note_process(number: int, folder: str) -> None:
    Path(folder, f"{os.getpid()}").touch()
    time.sleep(30)


@pytest.mark.timeout(60)
def test_a_worker_that_dies_while_tasks_are_given_out_ends_the_run_alike(tmp_path: Path) -> None:
    def arguments(id: str) -> tuple[int, str]:
        if id == "c":  # the workers have begun with the first two
            deadline = time.monotonic() + 30
            while not os.listdir(tmp_path) and time.monotonic() < deadline:
                time.sleep(0.02)
            for pid in os.listdir(tmp_path):
                os.kill(int(pid), signal.SIGKILL)
            time.sleep(1)  # until that is noticed
        return 0, str(tmp_path)

    with pytest.raises(FaultError, match=r"a worker process died .* with one of these tasks: a, b, c"):
        list(run(note_process, Tasks("abcdef", arguments), jobs=2))


def test_a_worker_that_dies_while_it_starts_ends_the_run_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its pipe is broken then, which click would take for that of the output, and leave without a word."""
    import joblib

    def broken(self: Any, calls: Any) -> Any:
        next(iter(calls))
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(joblib.Parallel, "__call__", broken)
    with pytest.raises(FaultError, match=r"a worker process died .* with one of these tasks: a\."):
        list(run(time.sleep, {"a": (0,), "b": (0,)}, jobs=2))


@pytest.mark.parametrize("error", [OSError(11, "no process left"), ImportError("no semaphores")])
def test_workers_that_cannot_start(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    import joblib

    def failing(self: Any, calls: Any) -> Any:
        raise error

    monkeypatch.setattr(joblib.Parallel, "__call__", failing)
    with pytest.raises(
        FaultError,
        match=r"worker processes cannot be started here \(no .*--jobs 1, or with --backend threading",
    ):
        list(run(time.sleep, {"a": (0,), "b": (0,)}, jobs=2))


def test_a_pool_that_breaks_before_it_has_a_task(monkeypatch: pytest.MonkeyPatch) -> None:
    import joblib
    from joblib.externals.loky.process_executor import BrokenProcessPool

    def broken(self: Any, calls: Any) -> Any:
        raise BrokenProcessPool("no shared memory")

    monkeypatch.setattr(joblib.Parallel, "__call__", broken)
    with pytest.raises(FaultError, match=r"cannot be started here \(no shared memory\)"):
        list(run(time.sleep, {"a": (0,), "b": (0,)}, jobs=2))


KILLED = """
import os, signal, sys, threading, time
from pathlib import Path
from slakh_hier.parallel import run

def work(n):
    time.sleep(0.01)

def children():
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, rest = stat.parent.name, stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if rest[1] == str(os.getpid()):
            yield int(pid)

def kill():
    for pid in list(children()) if sys.argv[1] == "children" else [os.getpid()]:
        os.kill(pid, signal.SIGKILL)

try:
    for number, _ in enumerate(run(work, {str(n): (n,) for n in range(2000)}, jobs=2)):
        if number == 20:
            kill()
except Exception as error:
    print(type(error).__name__)
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="children are found in /proc")
@pytest.mark.parametrize(("killed", "said"), [("children", "FaultError\n"), ("parent", "")])
def test_killed_processes_leave_no_tracebacks(killed: str, said: str) -> None:
    """Joblib's process that notes what is shared would tell of it when it ends, or is started again."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", KILLED, killed],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.stdout, done.stderr) == (said, "")


def test_what_each_of_many_workers_held_is_named(tmp_path: Path) -> None:
    tasks = {f"shard {n}": (n, str(tmp_path)) for n in range(40)}
    with pytest.raises(FaultError, match="shard 5"):
        list(run(die_as_the_last_of_six, tasks, jobs=6))


@pytest.mark.timeout(60)
def test_ctrl_c_never_reaches_a_worker_not_even_while_it_starts() -> None:
    """Else it would answer with a traceback. In a new process, whose first run also starts what workers share."""
    code = """
import signal
from slakh_hier.parallel import run

def blocked(n):
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())

print({result.value for result in run(blocked, {str(n): (n,) for n in range(4)}, jobs=2)})
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True
    )
    assert done.stdout == "{True}\n"


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(
    ("kind", "expected", "text"),
    [
        ("fault", FaultError, "disk full"),
        ("memory", FaultError, "kind memory: not enough memory"),
        # As it is where Dask has taught pickle about such errors, else as a fault that tells of it.
        ("two", Exception, "this and that"),
        ("text", TextError, "a.yaml:1:1: first\nb.yaml:2:1: second"),
        ("extra", MissingExtraError, "pip install 'slakh-hier[train]'"),
    ],
)
def test_errors_come_back_from_workers_whatever_their_kind(
    jobs: int, kind: str, expected: type[Exception], text: str
) -> None:
    results = list(run(raise_kind, {f"kind {kind}": (kind,), "other": ("fault",)}, jobs=jobs))
    (result,) = [result for result in results if result.id == f"kind {kind}"]
    with pytest.raises(expected) as caught:
        result.unwrap()
    assert text in str(caught.value)


def test_every_error_of_the_package_can_be_pickled() -> None:
    """As it is after a worker raised it: same type, same text, same attributes."""
    made = {
        errors.AudioError: ("Track00001", "S00", "is broken"),
        errors.MissingExtraError: ("torch", "train"),
    }
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.SlakhHierError)
    ]
    assert len(kinds) > 10
    for kind in kinds:
        if issubclass(kind, TextError):
            error: errors.SlakhHierError = kind([Problem("a.yaml", 3, 4, "wrong")])
        else:
            error = kind(*made.get(kind, ("text",)))
        again = pickle.loads(pickle.dumps(error))
        assert type(again) is kind
        assert str(again) == str(error)
        assert vars(again) == vars(error)


def test_a_caller_that_stops_early_is_not_kept_waiting(tmp_path: Path) -> None:
    began = time.monotonic()
    for result in run(time.sleep, {str(n): (0.0 if n == 0 else 20.0,) for n in range(4)}, jobs=2):
        assert result.id == "0"
        break
    assert time.monotonic() - began < 10


THREADS = """
import sys, time, h5py, io
from slakh_hier.parallel import run
def work(n):
    if n == 0:
        time.sleep(0.3)
        raise ValueError("stop")
    end = time.monotonic() + 1.5
    while time.monotonic() < end:  # holds h5py's lock most of the time
        with h5py.File(io.BytesIO(), "w") as file:
            file["a"] = range(100)
try:
    for result in run(work, {str(n): (n,) for n in range(8)}, jobs=3, backend="threading"):
        result.unwrap()
except ValueError:
    print("stopped")
"""


def test_a_run_with_threads_that_fails_lets_python_exit() -> None:
    done = subprocess.run(
        [sys.executable, "-c", THREADS], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "stopped\n", "")


@pytest.mark.timeout(120)
def test_dask_answers_every_task_and_gives_up_on_one_that_kills_its_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dask = pytest.importorskip("dask")
    pytest.importorskip("distributed")
    monkeypatch.setattr(die, "__module__", "__main__")  # Dask too sends it by value then
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):  # not three times, to save time
        tasks = {f"shard {n}": (n, str(tmp_path)) for n in range(6)}
        results = {result.id: result for result in run(die, tasks, jobs=2, backend="dask")}
    assert len(results) == 6
    with pytest.raises(FaultError, match=r"could not run shard 4: .* workers died"):
        results["shard 4"].unwrap()
    # The task that ran beside it may be blamed too.
    assert sum(result.error is None for result in results.values()) >= 3
    assert all(result.value == int(id[-1]) for id, result in results.items() if result.error is None)


def test_without_dask_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'slakh-hier\[dask\]'"):
        list(run(square, {"task 0": (0,)}, backend="dask"))


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(InputError, match="backend must be one of loky, threading, dask, not 'ray'"):
        list(run(square, {}, backend="ray"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="not -1"):
        list(run(square, {}, jobs=-1))
    assert resolve_jobs(None) == resolve_jobs(0) == len(os.sched_getaffinity(0))
