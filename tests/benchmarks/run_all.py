"""``make bench``: every benchmark once, its figures appended to docs/benchmarks/results.csv.

    python tests/benchmarks/run_all.py [NAME ...]

What has a goal is listed at the end, with the goal. A name is the start of a line of RUNS. The small data set is made once and shared. Each line of the table is one figure:
date, commit, machine, benchmark, what, unit, value; the ratio that a goal is about is called ``ratio``.
"""

from __future__ import annotations

import csv
import datetime
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import MINI, commit, machine, music

RESULTS = Path(__file__).parents[2] / "docs" / "benchmarks" / "results.csv"
HEADER = ("date", "commit", "machine", "benchmark", "what", "unit", "value")
RUNS = {
    "startup": "startup.py",
    "scan": "scan.py",
    "activity": "activity.py --data {data}",
    "render path": "render.py --data {data}",
    "render any": "render.py --data {data} --any",
    "render at 44.1 kHz": "render.py --data {data} --any --rate 44100 --clips 20",
    "jobs": "jobs.py --data {data} --clips 1200 --rounds 1",
    "first epoch": "first_epoch.py --data {data}",
    "first epoch, FLAC": "first_epoch.py --data {data} --suffix .flac",
    "loader": "loader.py --data {data} --rounds 3",
    "import": "importing.py",
    "import at 16 kHz": "importing.py --rate 16000",
    "submix": "submix.py --minutes 2 --rounds 3",
    "synth": "synth.py --songs 2",
    "training step": "training_step.py --rounds 3",
    "training step 96": "training_step.py --rounds 3 --units 96 --layers 2 --batch 8",
    "training sss": "training.py --clips 60 --steps 15",
    "training qbe": "training.py --task qbe --clips 60 --steps 15",
    "separate": "separate.py",
    "stereo": "stereo.py",
    "compression": "compression.py --data {data}",
    "scaling": "scaling.py --tracks 14,700,2100",
    "full size": "fullsize.py 2",
}
GOALS: dict[tuple[str, str], tuple[str, float]] = {
    ("startup", "ratio"): ("at most", 1),
    ("activity", "ratio"): ("at most", 0.8),
    ("activity", "target_per_second_over_all"): ("at most", 1.1),
    ("render path", "ratio"): ("at most", 0.85),
    ("render any", "ratio"): ("at most", 1.1),
    ("jobs", "ratio"): ("at least", 1.8),
    ("first epoch", "ratio"): ("at least", 2.2),
    ("first epoch, FLAC", "ratio"): ("at least", 3.5),
    ("first epoch", "further_epochs"): ("at least", 10),
    ("loader", "ratio"): ("at least", 1.0),
    ("loader", "stored_over_raw_h5py"): ("at least", 1.5),
    ("submix", "ratio"): ("at least", 1.5),
    ("training step", "ratio"): ("at most", 1.15),
    ("training step 96", "ratio"): ("at most", 1.5),
    ("separate", "ratio"): ("at most", 1.3),
    ("scan", "ratio"): ("at most", 2),
    ("scan", "cache_speedup"): ("at least", 10),
    ("stereo", "ratio"): ("at most", 1),
}
"""Of a figure of a benchmark: the same as in docs/benchmarks.md, but for the goal of 145 hours, which ``fullsize.py 145`` measures."""


def main() -> None:
    wanted = sys.argv[1:]
    runs = {name: line for name, line in RUNS.items() if not wanted or name.startswith(tuple(wanted))}
    if not runs:
        sys.exit(f"no benchmark is called {' '.join(wanted)}; there are {', '.join(RUNS)}")
    lines: list[tuple[str, ...]] = []
    # As it is now: the table itself changes on the way.
    about = (datetime.datetime.now(datetime.UTC).date().isoformat(), commit(), machine())
    with tempfile.TemporaryDirectory(prefix="slakh-hier-bench-") as name:
        data = music(Path(name), 120.0)
        print("music:", "repeated from slakh_mini" if MINI.is_dir() else "composed of formulas")
        for benchmark, line in runs.items():
            script, *options = line.format(data=data).split()
            print(f"\n{benchmark}: {line}", flush=True)
            done = subprocess.run(
                [sys.executable, str(Path(__file__).with_name(script)), *options],
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            print(done.stdout, end="", flush=True)
            lines += [(*about, benchmark, *figure) for figure in figures(done.stdout)]
    append(lines)
    print("\ngoals:")
    values = {(benchmark, what): float(value) for *_, benchmark, what, _, value in lines}
    for place, (bound, goal) in GOALS.items():
        if place[0] in runs:
            met = values[place] <= goal if bound == "at most" else values[place] >= goal
            print(f"{', '.join(place)}: {values[place]:g}, {bound} {goal:g}: {'met' if met else 'MISSED'}")


def figures(text: str) -> list[tuple[str, str, str]]:
    """(what, unit, value) of a benchmark's output."""
    rows = list(csv.reader(text.splitlines()))
    table = [row for row in rows if len(row) == 4]
    unit = table[0][3]
    found = [(what, unit, value) for _, _, what, value in table[1:]]
    for row in rows:
        if len(row) == 1 and "=" in row[0]:
            what, _, value = row[0].partition("=")
            found.append((what, "", value))
    return found


def append(lines: list[tuple[str, ...]]) -> None:
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    new = not RESULTS.exists()
    with open(RESULTS, "a", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        if new:
            writer.writerow(HEADER)
        writer.writerows(lines)


if __name__ == "__main__":
    main()
