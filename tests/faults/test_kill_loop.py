"""The short form of kill_loop.py: a few kills of every command. Many more: python tests/faults/kill_loop.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("kill_loop.py")
KILLS = {
    "activity": 2,
    "render": 2,
    "mask": 3,
    "submix": 2,
    "synth": 2,
    "train": 2,
    "merge": 3,
    "scan": 4,
    "plan": 2,
}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The inputs, made once for all commands."""
    return tmp_path_factory.mktemp("kills")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("command", KILLS)
def test_killed_at_random_and_run_again_the_bytes_are_the_same(command: str, work: Path) -> None:
    if command == "train":
        pytest.importorskip("pytorch_lightning")
    if command == "synth":
        pytest.importorskip("mido")
    arguments = ["--command", command, "--kills", str(KILLS[command]), "--seed", "1", "--twice", "0.2"]
    done = subprocess.run(
        [sys.executable, SCRIPT, *arguments, "--keep", work],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all reruns byte-identical, nothing left behind" in done.stdout
