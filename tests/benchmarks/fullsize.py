"""Time, CPU time, and memory of every process, from a scan to an epoch of reading, on a data set of any size.

    python tests/benchmarks/fullsize.py HOURS [--jobs 2] [--songs 12] [--work FOLDER]

Slakh2100 has 145 hours of mixtures. The set is made of a few composed songs and hard links to them, each track a song of its
own: as many files to open and decode, hardly any disk. The files stay in the page cache; a disk comes on top (docs/performance.md).
Clips are drawn in the paper's proportion to the hours. Every step is a command in a process of its own. CSV on stdout: wall
seconds, CPU seconds, and peak memory (MB) of the main process and of its largest worker; the last line is minutes from the scan
to the paper's shards (--target).
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
_EPOCH = """
import sys
from slakh_hier.models.batches import InOrder
from slakh_hier.models.data import ClipDataset
from slakh_hier.models.reader import Reader
from slakh_hier.models.selection import select_clips
from slakh_hier.models.stored import signals_of
from slakh_hier.shards import open_shards
shards = open_shards(sys.argv[1], "train")
dataset = ClipDataset(shards, select_clips(shards, "sss"))
for batch in Reader(dataset, InOrder(len(dataset), 8)):
    signals_of(batch)
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("hours", type=float)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--songs", type=int, default=12, help="composed ones, to which the others are linked")
    parser.add_argument("--work", type=Path, help="where to work; default: the folder for temporary files")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slakh-hier-fullsize-", dir=options.work) as name:
        work = Path(name)
        data = linked(composed(work / "songs", options.songs), work / "slakh", options.hours)
        share = options.hours / SLAKH_HOURS
        clips = ",".join(f"{split}={max(4, round(count * share))}" for split, count in CLIPS.items())
        drawing = ["--clips", clips, "--activity", work / "activity.h5", "--split-scheme", "folders"]
        jobs = ["-j", options.jobs]
        steps: dict[str, list[object]] = {
            "scan": ["scan", data, "--split-scheme", "folders", *jobs],
            "activity": ["activity", data, "-o", work / "activity.h5", "--split-scheme", "folders", *jobs],
            "plan --target": ["plan", data, "-o", work / "path", "--target", TARGET, *drawing, *jobs],
            "render --target": ["render", data, "--plan", work / "path", "-o", work / "path-shards", *jobs],
            "plan --any": ["plan", data, "-o", work / "any", "--any", *drawing, *jobs],
            "render --any": ["render", data, "--plan", work / "any", "-o", work / "any-shards", *jobs],
            "verify --quick": ["verify", work / "path-shards", "--quick", *jobs],
        }
        run = [sys.executable, "-m", "slakh_hier"]
        measured = {what: Measured([*run, *map(str, step)], work) for what, step in steps.items()}
        measured["an epoch of reading"] = Measured(
            [sys.executable, "-c", _EPOCH, str(work / "path-shards")], work
        )
        stored = sum(path.stat().st_size for path in (work / "path-shards").glob("*.h5"))
    rows = {
        f"{what}, {figure}": value
        for what, one in measured.items()
        for figure, value in one.figures().items()
    }
    to_shards = ("scan", "activity", "plan --target", "render --target")
    minutes = sum(measured[what].wall for what in to_shards) / 60
    report(rows, "wall s, CPU s, MB", minutes, hours=options.hours, gigabytes_of_shards=stored / 1e9)


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


class Measured:
    """Runs a command, and looks at its processes until it ends.

    Attributes
    ----------
    wall, cpu : float, s
    main, worker : float, MB
        Peak memory of the process and of the largest of those that it started.
    """

    def __init__(self, command: list[str], work: Path):
        self._peaks: dict[int, float] = {}
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        log = work / "log.txt"
        environment = {**os.environ, "SLAKH_HIER_CACHE": str(work / "cache"), "OMP_NUM_THREADS": "1"}
        with open(log, "w", encoding="utf-8") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, env=environment)
            watching = threading.Thread(target=self._watch, args=(process,))
            watching.start()
            process.wait()
            watching.join()
        self.wall = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        self.main = self._peaks.pop(process.pid, 0.0)
        self.worker = max(self._peaks.values(), default=0.0)
        if process.returncode not in (0, 1):  # 1: fewer clips than asked for
            sys.exit(f"{' '.join(command)}:\n{log.read_text(encoding='utf-8')[-2000:]}")
        print(f"{' '.join(command[3:5])}: {self.figures()}", file=sys.stderr, flush=True)

    def figures(self) -> dict[str, float]:
        return {"wall": self.wall, "CPU": self.cpu, "main process": self.main, "largest worker": self.worker}

    def _watch(self, process: subprocess.Popen[bytes]) -> None:
        """Linux keeps the peak of each process, so that a look now and then is enough."""
        import psutil

        while process.poll() is None:
            with suppress(psutil.Error):
                whole = psutil.Process(process.pid)
                for one in (whole, *whole.children(recursive=True)):
                    with suppress(OSError, IndexError):
                        text = Path(f"/proc/{one.pid}/status").read_text(encoding="ascii")
                        self._peaks[one.pid] = int(text.split("VmHWM:")[1].split()[0]) / 1024
            time.sleep(0.1)


if __name__ == "__main__":
    main()
