"""Side-by-side timing: runs in turns, medians, CSV lines, and the ratio that a claim rests on."""

from __future__ import annotations

import csv
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

MINI = Path(__file__).parents[2].parent / "shared" / "slakh_mini"


def in_turns(
    runs: Mapping[str, Callable[[], Any]], rounds: int, clock: Callable[[], float]
) -> dict[str, float]:
    """Median of each run over ``rounds`` rounds (after one that is not counted), taken in turns."""
    times: dict[str, list[float]] = {what: [] for what in runs}
    for counted in range(-1, rounds):
        for what, run in runs.items():
            began = clock()
            run()
            if counted >= 0:
                times[what].append(clock() - began)
    return {what: statistics.median(values) for what, values in times.items()}


def cpu_seconds() -> float:
    """Processor time of this process and of its finished children."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


wall_seconds = time.perf_counter


def report(rows: Mapping[str, float], unit: str, ratio: float, **more: float) -> None:
    """Print CSV with commit and machine, further figures as name=value, and ``ratio=`` last."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["commit", "machine", "what", unit])
    for what, value in rows.items():
        writer.writerow([commit(), machine(), what, f"{value:.3f}"])
    for name, value in more.items():
        print(f"{name}={value:.2f}")
    print(f"ratio={ratio:.2f}")


def commit() -> str:
    """Short name of the checkout's commit."""
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return found.stdout.strip() or "unknown"


def machine() -> str:
    """Processors and Python: enough to tell results apart."""
    return f"{platform.machine()}-{os.cpu_count()}cpu-python{platform.python_version()}"
