"""What every command that writes promises alike; the checks run in a script, which forks itself for each command."""

from __future__ import annotations

import functools
import json
import signal
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pytorch_lightning")
pytest.importorskip("mido")
SCRIPT = Path(__file__).with_name("check_commands.py")
COMMANDS = ["activity", "render", "mask", "submix", "synth", "train"]


@functools.cache
def check(name: str) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-B", SCRIPT, name], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    expected = COMMANDS if name != "array" else ["activity", "render"]
    assert list(dict.fromkeys(line["command"] for line in found)) == expected
    return found


def test_a_second_run_is_refused_and_a_dead_ones_lock_is_not_in_the_way() -> None:
    found = check("lock")
    assert {line["refused"] for line in found} == {2}
    assert (
        max(line["seconds"] for line in found) < 5
    )  # 0.05 s on a quiet machine; composing 9999 songs takes an hour


def test_a_full_disk_stops_every_command_and_the_same_command_completes_its_work() -> None:
    assert len(check("full")) == 2 * len(COMMANDS)


def test_ctrl_c_and_sigterm_end_every_command_at_once() -> None:
    found = check("signals")
    for command in COMMANDS:
        seconds = {line["signal"]: line["seconds"] for line in found if line["command"] == command}
        assert seconds.keys() == {signal.SIGINT, signal.SIGTERM}, command
        assert statistics.median(seconds.values()) <= 2, command  # 0.3 s on a quiet machine
        assert max(seconds.values()) < 10, command


def test_inputs_are_only_read() -> None:
    assert all(line["files"] > 50 for line in check("lock"))


def test_shares_of_a_job_array_at_the_same_time_of_which_one_is_killed() -> None:
    assert all(line["killed"] == -9 for line in check("array"))
