"""How much faster ``render -j 2`` is than ``-j 1``, in wall time, with both in turns.

    python tests/benchmarks/jobs.py [--data SLAKH] [--clips 400] [--seconds 120] [--rounds 3]

The default is about ten seconds of work; ``--clips 2400`` gives a minute. Beside other programs the wall time says
little: ``cpu_inflation`` is the CPU seconds of two jobs over those of one, what splitting costs wherever it runs.
CSV on stdout; the last line is wall seconds of one job over those of two.
"""

from __future__ import annotations

from pathlib import Path

from harness import cpu_seconds, in_turns, planned, read_options, report, wall_seconds, workspace

from slakh_hier.rendering import render


def main() -> None:
    options = read_options(__doc__, data=Path, clips=400, seconds=120.0, rounds=3)
    with workspace() as work:
        plan = planned(work, options)
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
