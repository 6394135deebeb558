"""Side-by-side timing: runs in turns, medians, CSV lines, and the ratio that a claim rests on."""

from __future__ import annotations

import csv
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from slakh_hier.testing import make_slakh

MINI = Path(__file__).parents[2].parent / "shared" / "slakh_mini"


def music(work: Path, seconds: float, given: Path | None = None, *, channels: int = 1) -> Path:
    """The data set that a benchmark reads: the given one, else a small one whose tracks last ``seconds``.

    Real music where ../shared/slakh_mini is there, repeated until it is long enough: on tracks of 16 s nearly every
    window overlaps with every other, which is not so in songs of four minutes. In stereo the right channel is 11 samples
    ahead.
    """
    if given is not None:
        return given
    if not MINI.is_dir():
        return make_slakh(work / "slakh", tracks=12, seconds=seconds, stems=10, channels=channels)
    for metadata in sorted(MINI.glob("*/Track*/metadata.yaml")):
        folder = work / "slakh" / metadata.parent.relative_to(MINI)
        (folder / "stems").mkdir(parents=True)
        shutil.copy(metadata, folder)
        for stem in sorted((metadata.parent / "stems").glob("*.flac")):
            samples, rate = soundfile.read(stem, dtype="int16")
            repeated = np.resize(samples, round(seconds * rate))
            sides = [np.roll(repeated, -11 * channel) for channel in range(channels)]
            soundfile.write(folder / "stems" / stem.name, np.stack(sides, axis=1), rate)
    return work / "slakh"


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
    """GPU if PyTorch uses one, processor, how many of them, and Python: enough to tell results apart."""
    found = platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        found = names[0].replace(",", " ") if names else found
    if "torch" in sys.modules and sys.modules["torch"].cuda.is_available():
        found = f"{sys.modules['torch'].cuda.get_device_name()} + {found}"
    return f"{found} x{os.cpu_count()} python{platform.python_version()}"
