"""CPU seconds of ``activity`` over decoding every stem once with soundfile, one process; and of what a node's plan needs.

    python tests/benchmarks/activity.py [--data SLAKH] [--seconds 120] [--rounds 3]

``target_per_second_over_all`` compares a second of stems of the tracks in which ``--target`` has stems with one of all: 1 is
proportional. CSV on stdout; the last line is activity over decoding.
"""

from __future__ import annotations

from pathlib import Path

import soundfile
from harness import cpu_seconds, in_turns, music, read_options, report, workspace

from slakh_hier.hierarchy import load_hierarchy
from slakh_hier.plan.activity import measure_activity
from slakh_hier.slakh import scan

TARGET = "clean_guitars"


def main() -> None:
    options = read_options(__doc__, data=Path, seconds=120.0, rounds=3)
    with workspace() as work:
        data = music(work, options.seconds, options.data)
        catalog = scan(data, load_hierarchy("slakh34"), split_scheme="folders", cache=False)
        stems = [catalog.root / path for path in catalog.frame["path"] if path]

        def decode() -> None:
            for stem in stems:
                soundfile.read(stem, dtype="int16")

        def activity() -> None:
            measure_activity(catalog, work / "activity.h5", jobs=1).unlink()

        usable = catalog.usable
        tracks = set(usable["track"][usable["level_1"] == TARGET])

        def of_target() -> None:
            measure_activity(catalog, work / "activity.h5", tracks=tracks, jobs=1).unlink()

        medians = in_turns(
            {"decode": decode, "activity": activity, "activity of the target's tracks": of_target},
            options.rounds,
            cpu_seconds,
        )
        lengths = catalog.frame["frames"] / catalog.frame["sample_rate"].clip(1)
        seconds, needed = float(lengths.sum()), float(lengths[catalog.frame["track"].isin(tracks)].sum())
    report(
        medians,
        "cpu_seconds",
        medians["activity"] / medians["decode"],
        seconds_of_stems_per_cpu_second=seconds / medians["activity"],
        share_of_the_target=needed / seconds,
        target_per_second_over_all=medians["activity of the target's tracks"]
        / needed
        * seconds
        / medians["activity"],
    )


if __name__ == "__main__":
    main()
