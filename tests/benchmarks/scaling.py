"""What scan, activity, plan and render cost against the number of tracks and of workers, and how much memory.

    python tests/benchmarks/scaling.py [--tracks 14,140,700,2100] [--jobs 1,2] [--seconds 6]

Tracks are generated, short (so that what is measured is the cost of a track's bookkeeping, not of its audio): 4
stems of 8 kHz. Every stage runs in a process of its own; peak memory is that of this process (and of
its largest worker). Two clips of 2 s are drawn a track. CSV on stdout; the last line is the CPU seconds that a track takes with
the largest number of tracks over those with the one before: 1 where time grows with the tracks and no faster.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import cpu_seconds, report

STAGES = ("scan", "scan again", "activity", "plan", "render")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tracks", default="14,140,700,2100")
    parser.add_argument("--jobs", default="1,2")
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--stage", help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        print(json.dumps(measured(options.stage, options.work, int(options.jobs))))
        return
    counts = [int(text) for text in options.tracks.split(",")]
    jobs = [int(text) for text in options.jobs.split(",")]
    seconds: dict[str, float] = {}
    more: dict[str, float] = {}
    each: list[float] = []
    for tracks in counts:
        with tempfile.TemporaryDirectory(prefix="slakh-hier-scaling-") as name:
            work = Path(name)
            make(work / "slakh", tracks, options.seconds)
            each.append(0.0)
            for count in jobs if tracks == counts[-1] else jobs[:1]:
                for stage in STAGES if count == jobs[0] else ("activity", "render"):
                    row = child(stage, work, count)
                    what = f"{stage}, {tracks} tracks, {count} jobs"
                    seconds[what] = row["cpu"]
                    more |= {f"{figure} of {what}": row[figure] for figure in ("wall", "peak", "worker")}
                    each[-1] += row["cpu"] / tracks if count == jobs[0] else 0.0
                    print(f"{what}: {row}", file=sys.stderr)
    report(seconds, "cpu_seconds", each[-1] / each[-2] if len(each) > 1 else 1.0, **more)


def make(root: Path, tracks: int, seconds: float) -> None:
    from slakh_hier.testing import make_slakh

    make_slakh(root, tracks=tracks, seconds=seconds, sample_rate=8000, stems=4, every_category=False)


def child(stage: str, work: Path, jobs: int) -> dict[str, Any]:
    """Run a stage in a process of its own."""
    command = [sys.executable, __file__, "--stage", stage, "--work", str(work), "--jobs", str(jobs)]
    environment = {**os.environ, "SLAKH_HIER_CACHE": str(work / "cache")}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout))


def measured(stage: str, work: Path, jobs: int) -> dict[str, float]:
    """Wall and processor time of one stage (without imports), and peaks of memory (with them)."""
    import slakh_hier as sh

    tree = sh.load_hierarchy("slakh34")
    activity = work / f"activity-{jobs}.h5"
    if stage.startswith("scan"):
        run = lambda: sh.scan(work / "slakh", tree, split_scheme="folders", jobs=jobs)
    else:
        catalog = sh.scan(work / "slakh", tree, split_scheme="folders", jobs=1)
        tracks = catalog.frame["track"].nunique()
        if stage == "activity":
            run = lambda: sh.measure_activity(catalog, activity, jobs=jobs)
        elif stage == "plan":
            run = lambda: draw(sh, catalog, tree, activity, tracks).save(work / "plan")
        else:
            plan = sh.Plan.load(work / "plan", work / "slakh")
            run = lambda: sh.render(plan, work / f"out-{jobs}", sample_rate=8000, shard_mb=8, jobs=jobs)
    began, cpu = time.perf_counter(), cpu_seconds()
    run()
    wall, cpu = time.perf_counter() - began, cpu_seconds() - cpu
    if jobs > 1:  # its processes are counted when they have ended
        from joblib.externals.loky import get_reusable_executor

        get_reusable_executor().shutdown(wait=True)
        cpu = cpu_seconds()
    peak, worker = (
        resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return {"wall": wall, "cpu": cpu, "peak": peak, "worker": worker if jobs > 1 else 0.0}


def draw(sh: Any, catalog: Any, tree: Any, activity: Path, tracks: int) -> Any:
    share = {"train": tracks, "validation": tracks // 2, "test": tracks // 2}
    return sh.plan_clips(catalog, tree, clips=share, clip_seconds=2, step=0.5, activity=activity, jobs=1)


if __name__ == "__main__":
    main()
