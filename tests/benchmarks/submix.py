"""CPU seconds of the script that people write over those of ``submix``, and of submix over the floor.

    python tests/benchmarks/submix.py [--data SLAKH] [--split test] [--tracks 2] [--minutes 4] [--level N]
                                       [--sample-rate HZ] [--rounds 5]

Tracks are repeated until they are as long as Slakh2100's (4.1 minutes in the mean), so that what each track costs
besides has the weight that it has there. Measured in the same run and in turns, one process. The script is
``soundfile.read`` of every stem, ``numpy.sum`` for every node, ``soundfile.write``; it neither checks nor resumes, and
holds a whole track in memory. The floor decodes each stem once, adds up and encodes each file once. CSV on stdout; the last
line is how many times faster submix is than the script.

The floor encodes a file for every node, as the script does. submix encodes nodes in which the same stems sound once,
so that it can be below.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import numpy as np
import soundfile
import soxr
from harness import cpu_seconds, in_turns, music, read_options, report, workspace

from slakh_hier.hierarchy import load_hierarchy
from slakh_hier.slakh import Catalog, scan
from slakh_hier.submix import write_submixes
from slakh_hier.submix.tasks import TrackTasks
from slakh_hier.submix.track import TrackTask


def main() -> None:
    options = read_options(
        __doc__, data=Path, split="test", tracks=2, minutes=4.0, level=int, sample_rate=int, rounds=5
    )
    with workspace() as work:
        data = music(work, None, options.data)
        tree = load_hierarchy("slakh34")
        lengthen(scan(data, tree, split_scheme="folders"), options, work / "long")
        catalog = scan(work / "long", tree, split_scheme="folders", cache=False)
        tasks = TrackTasks(catalog, options.level, [options.split])
        for folder in ("floor", "script"):
            (work / folder).mkdir()
        medians = in_turns(
            {
                "floor": lambda: floor(catalog, tasks, work / "floor", options.sample_rate),
                "script": lambda: script(catalog, tasks, work / "script", options.sample_rate),
                "submix": lambda: submix(catalog, work / "out", options),
            },
            options.rounds,
            cpu_seconds,
        )
        seconds = sum(task.frames / task.sample_rate for task in tasks.values())
        files = sum(len(task.files.outputs) for task in tasks.values())
    report(
        {f"{what}, {files} files": value for what, value in medians.items()},
        "cpu_seconds",
        medians["script"] / medians["submix"],
        over_floor=medians["submix"] / medians["floor"],
        seconds_of_music_per_cpu_second=seconds / medians["submix"],
        seconds_written_per_cpu_second=seconds * files / len(tasks) / medians["submix"],
    )


def lengthen(catalog: Catalog, options: argparse.Namespace, out: Path) -> None:
    """A data set of the first tracks of a split, their stems repeated."""
    tasks = TrackTasks(catalog, None, [options.split])
    for task in list(tasks.values())[: options.tracks]:
        folder = out / options.split / task.track
        (folder / "stems").mkdir(parents=True)
        shutil.copy(catalog.root / task.source / "metadata.yaml", folder)
        frames = round(options.minutes * 60 * task.sample_rate)
        for stem in task.stems:
            samples = soundfile.read(catalog.root / stem.path, dtype="int16")[0]
            soundfile.write(
                folder / "stems" / f"{stem.stem}.flac", np.resize(samples, frames), stem.sample_rate
            )


def submix(catalog: Catalog, out: Path, options: argparse.Namespace) -> None:
    """The whole of it: digests, sha256, fsync and metadata too."""
    write_submixes(
        catalog, out, level=options.level, splits=[options.split], sample_rate=options.sample_rate, jobs=1
    )
    shutil.rmtree(out)


def floor(catalog: Catalog, tasks: dict[str, TrackTask], out: Path, sample_rate: int | None) -> None:
    """The work that a plain implementation cannot leave out, in the cheapest types."""
    for task in tasks.values():
        stems = {stem.stem: soundfile.read(catalog.root / stem.path, dtype="int16")[0] for stem in task.stems}
        for output in task.files.outputs:
            total = np.zeros(task.frames, np.int32)
            for stem in output.stems:
                total[: len(stems[stem])] += stems[stem]
            rate = sample_rate or task.sample_rate
            if rate != task.sample_rate:
                total = soxr.resample(total.astype(np.float32), task.sample_rate, rate, quality="HQ")
            soundfile.write(out / f"{output.name}.flac", total.astype(np.int16), rate)


def script(catalog: Catalog, tasks: dict[str, TrackTask], out: Path, sample_rate: int | None) -> None:
    """What is written in ten lines: soundfile's default type, a list of stems a node."""
    for task in tasks.values():
        stems = {}
        for stem in task.stems:
            samples, native = soundfile.read(catalog.root / stem.path)
            stems[stem.stem] = np.pad(samples, (0, task.frames - len(samples)))
        for output in task.files.outputs:
            total = np.sum([stems[stem] for stem in output.stems], axis=0)
            rate = sample_rate or native
            if rate != native:
                total = soxr.resample(total, native, rate)
            soundfile.write(out / f"{output.name}.flac", total, rate)


if __name__ == "__main__":
    main()
