"""One writer a folder, or the shares of a job array; a dead one is not in the way."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from slakh_hier.errors import InputError, LockedError, SlakhHierWarning
from slakh_hier.locks import folder_lock, refuse_locked

HOLDER = """
import sys, time
from pathlib import Path
from slakh_hier.locks import folder_lock
with folder_lock(Path(sys.argv[1]), part=(1, 8) if sys.argv[2] == "shared" else None):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def hold(tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[str]]]:
    """Start a process that holds the folder's lock, "alone" or "shared"."""
    with ExitStack() as stack:

        def start(how: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [sys.executable, "-c", HOLDER, tmp_path, how], stdout=subprocess.PIPE, text=True
            )
            stack.callback(process.wait)
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline() == "held\n"
            return process

        yield start


def test_a_second_writer_is_refused_and_learns_who_is_first(
    tmp_path: Path, hold: Callable[[str], subprocess.Popen[str]]
) -> None:
    first = hold("alone")
    for part in (None, (1, 2)):
        with (
            pytest.raises(LockedError, match=f"process {first.pid} on [^,]* is writing here") as caught,
            folder_lock(tmp_path, part=part),
        ):
            pass
        assert caught.value.exit_code == 2
        with pytest.raises(LockedError, match=f"process {first.pid} on "):
            refuse_locked(tmp_path, part=part)


def test_to_ask_whether_a_folder_is_free_leaves_nothing_there(tmp_path: Path) -> None:
    refuse_locked(tmp_path / "nowhere")
    refuse_locked(tmp_path, part=(1, 2))
    assert not list(tmp_path.iterdir())


def test_a_killed_holder_leaves_no_lock(tmp_path: Path, hold: Callable[[str], subprocess.Popen[str]]) -> None:
    first = hold("alone")
    first.send_signal(signal.SIGKILL)
    first.wait()
    with folder_lock(tmp_path):
        assert (tmp_path / ".lock").read_text().startswith(f"process {os.getpid()} on ")


FORKS = """
import os, sys, time
from pathlib import Path
from slakh_hier.locks import folder_lock
with folder_lock(Path(sys.argv[1])):
    if os.fork() == 0:
        print("forked", flush=True)
        time.sleep(20)  # as a worker, which learns of its parent's death after seconds
        os._exit(0)
    time.sleep(20)
"""


def test_a_forked_child_does_not_keep_holding_the_lock(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", FORKS, tmp_path], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "forked\n"
        try:
            with pytest.raises(LockedError), folder_lock(tmp_path):
                pass
            process.kill()
            process.wait(10)
            os.killpg(process.pid, 0)  # the child is still there
            with folder_lock(tmp_path):
                pass
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def test_shared_holders_stand_beside_each_other_but_not_beside_a_single_one(
    tmp_path: Path, hold: Callable[[str], subprocess.Popen[str]]
) -> None:
    with folder_lock(tmp_path):  # its name must not be taken for that of a later holder
        pass
    first = hold("shared")
    refuse_locked(tmp_path, part=(2, 8))
    with folder_lock(tmp_path, part=(2, 8)), folder_lock(tmp_path, part=(3, 8)):
        pass
    with pytest.raises(LockedError, match=f"process {first.pid} on "), folder_lock(tmp_path, part=(1, 8)):
        pass
    with pytest.raises(LockedError, match=f"process {first.pid} on "):
        refuse_locked(tmp_path, part=(1, 8))
    first.kill()
    first.wait()
    second = hold("shared")
    with pytest.raises(LockedError, match=f"process {second.pid} on "), folder_lock(tmp_path):
        pass


def test_a_lock_is_given_back_after_an_exception(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), folder_lock(tmp_path):
        raise ZeroDivisionError
    with folder_lock(tmp_path):
        pass


def test_a_file_system_without_locks_is_used_with_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.warns(SlakhHierWarning, match="No locks available"), folder_lock(tmp_path):
        held = True
    assert held


def test_a_folder_that_cannot_be_written_to_is_named() -> None:
    with pytest.raises(InputError, match="/proc/self: cannot be written to"), folder_lock(Path("/proc/self")):
        pass


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (
            errno.EROFS,
            r"cannot be written to \(Read-only .*\); /.* is mounted read-only: choose another place, or mount",
        ),
        (errno.EACCES, r"cannot be written to \(Permission denied\); give yourself the right to write there"),
    ],
)
@pytest.mark.parametrize("there", [True, False])
def test_a_folder_that_cannot_be_written_is_no_reason_to_remove_a_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, said: str, there: bool
) -> None:
    if there:
        (tmp_path / ".lock").touch()

    def refuse(path: Path, *arguments: object, **more: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(InputError, match=said) as caught, folder_lock(tmp_path):
        pass
    assert str(caught.value).startswith(f"{tmp_path}: ")
    assert "Remove" not in str(caught.value)
