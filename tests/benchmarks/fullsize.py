"""Time, CPU time, and memory of every process, from a scan to an epoch of reading, on a data set of any size.

    python tests/benchmarks/fullsize.py HOURS [--jobs 2] [--songs 12] [--any-share 0.2] [--work FOLDER] [--beside PYTHON]

Slakh2100 has 145 hours of mixtures. The set is made of a few composed songs and hard links to them, each track a song of its
own: as many files to open and decode, hardly any disk. The files stay in the page cache; a disk comes on top (docs/performance.md).
Every song has the target's stems: tracks without would not be measured. Clips are drawn in the paper's proportion to the hours,
for all nodes (--any) a share of them, whose shards take 3.6 times the disk: 64 GB for 145 hours. Shards are removed once they
are measured.

Every step is a command in a process of its own. --beside names the Python of another checkout's virtual environment, which takes
the same steps in turns. CSV on stdout: wall seconds, CPU seconds, and peak memory (MB) of the main process and of each that it
started; the last line is minutes from the scan to the paper's shards (--target).
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path

from harness import report

SECONDS = 51.0
"""Of a song, as the mean of a track that has Slakh2100's audio in 10,200 tracks."""
CLIPS = {"train": 10_000, "validation": 5_000, "test": 3_000}
SLAKH_HOURS = 145.0
TARGET = "clean_guitars"
TO_SHARDS = ("scan", "activity", "plan --target", "render --target")
_EPOCH = """
from slakh_hier.models.batches import InOrder
from slakh_hier.models.data import ClipDataset
from slakh_hier.models.reader import Reader
from slakh_hier.models.selection import select_clips
from slakh_hier.shards import open_shards
shards = open_shards("path-shards", "train")
dataset = ClipDataset(shards, select_clips(shards, "sss"))
for batch in Reader(dataset.batch, InOrder(len(dataset), 8)):
    pass
"""
EPOCH: tuple[str, list[object]] = ("an epoch of reading", ["-c", _EPOCH])


Step = tuple[str, list[object]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("hours", type=float)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--songs", type=int, default=12, help="composed ones, to which the others are linked")
    parser.add_argument("--any-share", type=float, default=1.0, help="of the clips, for all nodes; 0: none")
    parser.add_argument("--work", type=Path, help="where to work; default: the folder for temporary files")
    parser.add_argument("--beside", type=Path, help="Python of another checkout, measured in turns")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slakh-hier-fullsize-", dir=options.work) as name:
        work = Path(name).resolve()
        data = linked(composed(work / "songs", options.songs), work / "slakh", options.hours)
        pythons = {"": Path(sys.executable)} | ({"beside, ": options.beside} if options.beside else {})
        runs = [Run(python, work / f"run-{place}") for place, python in enumerate(pythons.values())]
        measured: dict[str, Measured] = {}
        stored = 0
        for stage in stages(data, options):
            for label, run in zip(pythons, runs, strict=True):
                for what, words in stage:
                    if label and what == EPOCH[0]:  # another checkout may read in another way
                        continue
                    measured[label + what] = run(words)
                    print(f"{label}{what}: {measured[label + what].figures()}", file=sys.stderr, flush=True)
                if not label and stage[0][0] == "render --target":
                    stored = sum(path.stat().st_size for path in (run.folder / "path-shards").glob("*.h5"))
                run.remove_shards()
    minutes = {label: sum(measured[label + what].wall for what in TO_SHARDS) / 60 for label in pythons}
    beside = {"minutes_to_shards_beside": minutes["beside, "]} if options.beside else {}
    report(
        {
            f"{what}, {figure}": value
            for what, one in measured.items()
            for figure, value in one.figures().items()
        },
        "wall s, CPU s, MB",
        minutes[""],
        hours=options.hours,
        gigabytes_of_shards=stored / 1e9,
        **beside,
    )


def stages(data: Path, options: argparse.Namespace) -> list[list[Step]]:
    """The steps, in groups after which shards are removed; paths that are not absolute lie in the folder of a run."""
    share = options.hours / SLAKH_HOURS
    scheme, jobs = ["--split-scheme", "folders"], ["-j", options.jobs]

    def drawing(part: float) -> list[object]:
        clips = ",".join(f"{split}={max(4, round(count * part))}" for split, count in CLIPS.items())
        return ["--clips", clips, "--activity", "activity.h5", *scheme, *jobs]

    found: list[list[Step]] = [
        [("scan", ["scan", data, *scheme, *jobs])],
        [("activity", ["activity", data, "-o", "activity.h5", *scheme, *jobs])],
        [("plan --target", ["plan", data, "-o", "path", "--target", TARGET, *drawing(share)])],
        [
            ("render --target", ["render", data, "--plan", "path", "-o", "path-shards", *jobs]),
            ("verify --quick", ["verify", "path-shards", "--quick", *jobs]),
            EPOCH,
        ],
    ]
    if options.any_share:
        any_ = drawing(share * options.any_share)
        found += [
            [("plan --any", ["plan", data, "-o", "any", "--any", *any_])],
            [("render --any", ["render", data, "--plan", "any", "-o", "any-shards", *jobs])],
        ]
    return found


def composed(folder: Path, songs: int) -> Path:
    from slakh_hier.synth import make_data_set

    make_data_set([], folder, compose=songs, seconds=SECONDS)
    return folder


def linked(songs: Path, data: Path, hours: float) -> Path:
    """Tracks in turn of each song, until there are enough hours."""
    sources = sorted(path.parent for path in songs.glob("*/Track*/metadata.yaml"))
    for number in range(1, 1 + max(len(sources), round(hours * 3600 / SECONDS))):
        source = sources[number % len(sources)]
        track = data / source.parent.name / f"Track{number:05d}"
        (track / "stems").mkdir(parents=True)
        lines = (source / "metadata.yaml").read_text(encoding="utf-8").splitlines(keepends=True)
        song = f"UUID: {uuid.uuid5(uuid.NAMESPACE_OID, track.name).hex}\n"
        text = "".join(song if line.startswith("UUID:") else line for line in lines)
        (track / "metadata.yaml").write_text(text, encoding="utf-8")
        for stem in (source / "stems").iterdir():
            try:
                os.link(stem, track / "stems" / stem.name)
            except OSError:  # as many links as the file system allows
                shutil.copy(stem, track / "stems" / stem.name)
    return data


class Run:
    """The steps with one checkout's Python, in a folder of their own."""

    def __init__(self, python: Path, folder: Path):
        self.python, self.folder = python.absolute(), folder
        folder.mkdir()

    def __call__(self, words: list[object]) -> Measured:
        start = ["-m", "slakh_hier"] if words != EPOCH[1] else []
        return Measured([str(self.python), *start, *map(str, words)], self.folder)

    def remove_shards(self) -> None:
        for shards in self.folder.glob("*-shards"):
            shutil.rmtree(shards)


class Measured:
    """Runs a command in a folder, and looks at its processes until it ends.

    Attributes
    ----------
    wall, cpu : float, s
    memory : dict, MB
        Peak of the main process, of each worker, and of the processes that keep account of what they share.
    """

    def __init__(self, command: list[str], folder: Path):
        self._peaks: dict[int, tuple[str, float]] = {}
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        log = folder / "log.txt"
        environment = {**os.environ, "SLAKH_HIER_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # or every process compiles every module
        with open(log, "w", encoding="utf-8") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, cwd=folder)
            watching = threading.Thread(target=self._watch, args=(process,))
            watching.start()
            process.wait()
            watching.join()
        self.wall = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.memory = self._by_name()
        if process.returncode not in (0, 1):  # 1: fewer clips than asked for
            sys.exit(f"{' '.join(command)}:\n{log.read_text(encoding='utf-8')[-2000:]}")

    def figures(self) -> dict[str, float]:
        return {"wall": self.wall, "CPU": self.cpu, **self.memory}

    def _by_name(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for kind in ("main process", "worker", "tracker"):
            peaks = sorted((peak for name, peak in self._peaks.values() if name == kind), reverse=True)
            names = (
                [kind] if kind == "main process" else [f"{kind} {place + 1}" for place in range(len(peaks))]
            )
            found.update(zip(names, peaks, strict=True))
        return found

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """Linux keeps the peak of each process, so that a look now and then is enough."""
        import psutil

        while process.poll() is None:
            with suppress(psutil.Error):
                whole = psutil.Process(process.pid)
                for one in (whole, *whole.children(recursive=True)):
                    with suppress(OSError, IndexError):
                        text = Path(f"/proc/{one.pid}/status").read_text(encoding="ascii")
                        words = Path(f"/proc/{one.pid}/cmdline").read_text(encoding="utf-8")
                        kind = "tracker" if "resource_tracker" in words else "worker"
                        name = "main process" if one.pid == process.pid else kind
                        self._peaks[one.pid] = name, int(text.split("VmHWM:")[1].split()[0]) / 1024
            time.sleep(0.1)


if __name__ == "__main__":
    main()
