"""How much faster ``render -j 2`` is than ``-j 1``, in wall time, with both in turns.

    python tests/benchmarks/jobs.py [--data SLAKH] [--clips 400] [--seconds 120] [--rounds 3]

The default is about ten seconds of work; ``--clips 2400`` gives a minute. Beside other programs the wall time says
little: ``cpu_inflation`` is the CPU seconds of two jobs over those of one, what splitting costs wherever it runs.
CSV on stdout; the last line is wall seconds of one job over those of two.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from harness import cpu_seconds, in_turns, music, report, wall_seconds

from slakh_hier.hierarchy import load_hierarchy
from slakh_hier.plan import plan_clips
from slakh_hier.rendering import render
from slakh_hier.slakh import scan


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="a data set; default: a small one")
    parser.add_argument("--clips", type=int, default=400, help="training clips at most")
    parser.add_argument("--seconds", type=float, default=120.0, help="length of a track")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slakh-hier-bench-") as name:
        work = Path(name)
        tree = load_hierarchy("slakh34")
        catalog = scan(music(work, options.seconds, options.data), tree, split_scheme="folders", cache=False)
        plan = plan_clips(catalog, tree, clips={"train": options.clips}, activity=work / "activity.h5")
        cpu: dict[int, list[float]] = {1: [], 2: []}

        def rendering(jobs: int) -> None:
            began = cpu_seconds()
            render(plan, work / "out", jobs=jobs, shard_mb=16, overwrite=True)
            cpu[jobs].append(cpu_seconds() - began)

        medians = in_turns(
            {"jobs 1": lambda: rendering(1), "jobs 2": lambda: rendering(2)}, options.rounds, wall_seconds
        )
        # Workers stay for the next run, and count only once they are gone.
        from joblib.externals.loky import get_reusable_executor

        before = cpu_seconds()
        get_reusable_executor().shutdown(wait=True)
        two = (sum(cpu[2]) + cpu_seconds() - before) / len(cpu[2])
    report(
        medians,
        "seconds",
        medians["jobs 1"] / medians["jobs 2"],
        cpu_inflation=two / (sum(cpu[1]) / len(cpu[1])),
        clips=len(plan.clips),
    )


if __name__ == "__main__":
    main()
