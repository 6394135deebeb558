"""Seconds of audio that ``synth`` makes per CPU second: rendering, loudness, mixing, FLAC, all of it.

    python tests/benchmarks/synth.py [--songs 4] [--seconds 40] [--rounds 3]

Composed songs, one worker; stems count each by themselves. CSV on stdout: CPU seconds of each synthesiser that is there and
of composing alone; the last line is seconds of stems per CPU second of the built-in one.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable

from harness import cpu_seconds, in_turns, read_options, report, workspace

from slakh_hier.synth import DataSetReport, Synthesiser, make_data_set
from slakh_hier.synth.compose import compose_song, plan_songs


def main() -> None:
    options = read_options(__doc__, songs=4, seconds=40.0, rounds=3)
    reports: dict[str, DataSetReport] = {}
    with workspace() as work:
        out = work / "slakh"

        def making(synthesiser: Synthesiser) -> Callable[[], None]:
            def make() -> None:
                shutil.rmtree(out, ignore_errors=True)
                reports[synthesiser] = make_data_set(
                    [], out, compose=options.songs, seconds=options.seconds, synthesiser=synthesiser, jobs=1
                )

            return make

        runs: dict[str, Callable[[], object]] = {
            "composing": lambda: [
                compose_song(plan, options.seconds) for plan in plan_songs(options.songs, 588)
            ],
            "builtin": making("builtin"),
        }
        if _fluidsynth():
            runs["fluidsynth"] = making("fluidsynth")
        times = in_turns(runs, options.rounds, cpu_seconds)
    speeds = {what: _seconds(made)[1] / times[what] for what, made in reports.items()}
    report(
        times,
        "cpu_seconds",
        speeds["builtin"],
        mixtures_per_cpu_second=_seconds(reports["builtin"])[0] / times["builtin"],
        **{f"stems_per_cpu_second_{what}": speed for what, speed in speeds.items()},
    )


def _seconds(made: DataSetReport) -> tuple[float, float]:
    """Seconds of mixtures and of stems."""
    mixtures = sum(split.minutes for split in made.splits) * 60
    stems = sum(split.minutes * 60 * split.stems / max(split.tracks, 1) for split in made.splits)
    return mixtures, stems


def _fluidsynth() -> bool:
    try:
        import fluidsynth  # noqa: F401
    except ImportError:
        return False
    return True


if __name__ == "__main__":
    main()
