"""Side-by-side timing: runs in turns, medians, CSV lines, and the ratio that a claim rests on."""

from __future__ import annotations

import argparse
import csv
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from slakh_hier.hierarchy import load_hierarchy
from slakh_hier.plan import Plan, plan_clips
from slakh_hier.slakh import scan
from slakh_hier.testing import make_slakh

MINI = Path(__file__).parents[2].parent / "shared" / "slakh_mini"
HELP = {
    "data": "a data set; default: a small one",
    "seconds": "length of a track or a clip",
    "minutes": "length of a track",
    "clips": "training clips at most",
    "any": "all nodes with queries instead of the guitar path",
    "suffix": "of the files at 16 kHz",
    "split": "its tracks are taken",
    "level": "default: all numbered levels",
    "sample_rate": "default: as the data set has it",
    "step": argparse.SUPPRESS,
    "preset": "default: paper with a GPU, small without",
}


def read_options(description: str | None, **options: Any) -> argparse.Namespace:
    """Options of the command line, one per keyword: ``--clips`` takes a whole number for ``clips=24``, which is its default.

    A class in place of a default: there is none. False: a flag. A list: may be given several times. A tuple: choices, the first of
    which is the default.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, value in options.items():
        kinds: dict[str, Any] = {"type": type(value), "default": value}
        if isinstance(value, type):
            kinds = {"type": value}
        elif value is False:
            kinds = {"action": "store_true"}
        elif isinstance(value, list):
            kinds = {"action": "append", "default": value}
        elif isinstance(value, tuple):
            kinds = {"choices": value, "default": value[0]}
        parser.add_argument(f"--{name.replace('_', '-')}", help=HELP.get(name), **kinds)
    return parser.parse_args()


@contextmanager
def workspace() -> Iterator[Path]:
    """A folder that is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="slakh-hier-bench-") as name:
        yield Path(name)


def music(work: Path, seconds: float | None, given: Path | None = None, *, channels: int = 1) -> Path:
    """The data set that a benchmark reads: the given one, else a small one whose tracks last ``seconds`` (None: as they are).

    Real music where ../shared/slakh_mini is there, repeated until it is long enough: on tracks of 16 s nearly every
    window overlaps with every other, which is not so in songs of four minutes. In stereo the right channel is 11 samples
    ahead.
    """
    if given is not None:
        return given
    if not MINI.is_dir():
        return make_slakh(work / "slakh", tracks=12, seconds=seconds or 60, stems=10, channels=channels)
    if seconds is None:
        return MINI
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


def planned(work: Path, options: argparse.Namespace) -> Plan:
    """Training clips with queries of all nodes, of the music that the options ``data`` and ``seconds`` name."""
    tree = load_hierarchy("slakh34")
    catalog = scan(music(work, options.seconds, options.data), tree, split_scheme="folders", cache=False)
    return plan_clips(catalog, tree, clips={"train": options.clips}, activity=work / "activity.h5")


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
    """CPU time of this process and of its finished children."""
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


wall_seconds = time.perf_counter


def report(rows: Mapping[str, float], unit: str, ratio: float, **more: float) -> None:
    """Print CSV with commit and machine, further values as name=value, and ``ratio=`` last."""
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
    """GPU if PyTorch uses one, CPU, how many cores it has, and Python: enough to tell results apart."""
    found = platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        found = names[0].replace(",", " ") if names else found
    if "torch" in sys.modules and sys.modules["torch"].cuda.is_available():
        found = f"{sys.modules['torch'].cuda.get_device_name()} + {found}"
    return f"{found} x{os.cpu_count()} python{platform.python_version()}"
