"""CPU seconds of ``render`` over the floor: decode what is needed once, resample what differs once, write once.

    python tests/benchmarks/render.py [--data SLAKH] [--any] [--clips 40] [--seconds 120] [--rate 16000] [--rounds 3]

The floor, measured in the same run and in turns: read the union of the clips' and queries' windows of every stem once
with soundfile, resample one signal for each distinct sum of stems at the finest rendered level with soxr HQ, write the
stored bytes once with h5py. Clips: 40 train, 12 validation, 20 test, some three a minute of music, as in the paper.
CSV on stdout, with the largest memory of the process; the last line is render over floor.
"""

from __future__ import annotations

import resource
from pathlib import Path

import h5py
import numpy as np
import soundfile
import soxr
from harness import cpu_seconds, in_turns, music, read_options, report, workspace

from slakh_hier.hierarchy import load_hierarchy
from slakh_hier.plan import Plan, plan_clips
from slakh_hier.plan.membership import column_membership
from slakh_hier.rendering import render
from slakh_hier.shards import open_shards
from slakh_hier.slakh import scan

Segment = tuple[Path, int, int]


def main() -> None:
    options = read_options(__doc__, data=Path, any=False, clips=40, seconds=120.0, rate=16_000, rounds=3)
    with workspace() as work:
        data = music(work, options.seconds, options.data)
        tree = load_hierarchy("slakh34")
        plan = plan_clips(
            scan(data, tree, split_scheme="folders"),
            tree,
            target=None if options.any else "clean_guitars",
            clips={"train": options.clips, "validation": options.clips * 3 // 10, "test": options.clips // 2},
            activity=work / "activity.h5",
        )
        segments = needed_segments(plan)
        sums = distinct_sums(plan)
        render(plan, work / "once", sample_rate=options.rate, jobs=1)
        stored = sum(record.rows for record in open_shards(work / "once").index.shards)
        medians = in_turns(
            {
                "floor": lambda: floor(segments, sums, stored, plan, options.rate, work / "floor.h5"),
                "render": lambda: render(
                    plan, work / "out", sample_rate=options.rate, jobs=1, overwrite=True
                ),
            },
            options.rounds,
            cpu_seconds,
        )
    clips = len(plan.clips)
    report(
        {f"{what}, {clips} clips, {len(sums)} sums": value for what, value in medians.items()},
        "cpu_seconds",
        medians["render"] / medians["floor"],
        clips_per_cpu_second=clips / medians["render"],
        peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    )


def floor(segments: list[Segment], sums: list[int], rows: int, plan: Plan, new_rate: int, path: Path) -> None:
    """The work that no implementation can leave out.

    Parameters
    ----------
    segments
        File, first frame and frames of every stretch that some clip needs.
    sums
        Native sample rate of every signal that has to be resampled.
    rows
        Signals to store.
    new_rate
        At which they are stored.
    """
    for file, first, frames in segments:
        soundfile.read(file, start=first, frames=frames, dtype="int16")
    noise = np.random.default_rng(0).standard_normal(round(plan.parameters.clip_seconds * max(sums)))
    for rate in sums:
        source = noise[: round(plan.parameters.clip_seconds * rate)].astype(np.float32)
        signal = soxr.resample(source, rate, new_rate, quality="HQ") if rate != new_rate else source
    samples = round(plan.parameters.clip_seconds * new_rate)
    row = (signal[:samples] * 3000).astype(np.int16)
    with h5py.File(path, "w", libver="v110") as file:
        audio = file.create_dataset("audio", (rows, samples), "int16", chunks=(1, samples), fletcher32=True)
        for index in range(rows):
            audio[index] = row


def needed_segments(plan: Plan) -> list[Segment]:
    """The union of all clips' windows, stem by stem; queries need the stems of their node."""
    windows: dict[Path, tuple[int, list[float]]] = {}
    stems = {str(track): rows for track, rows in plan.catalog.usable.groupby("track")}
    for clip in plan.clips.itertuples():
        needed = [(stems[clip.track], clip.start)]
        if clip.query_track:
            query = stems[clip.query_track]
            needed.append((query[query["level_1"] == clip.target], clip.query_start))
        for rows, start in needed:
            for stem in rows.itertuples():
                path = plan.catalog.root / stem.path
                windows.setdefault(path, (stem.sample_rate, []))[1].append(start)
    segments = []
    for path, (rate, starts) in windows.items():
        first = last = None
        for start in sorted(set(starts)):
            if last is not None and start <= last:
                last = start + plan.parameters.clip_seconds
                continue
            if last is not None:
                segments.append((path, int(first * rate), int((last - first) * rate)))
            first, last = start, start + plan.parameters.clip_seconds
        segments.append((path, int(first * rate), int((last - first) * rate)))
    return segments


def distinct_sums(plan: Plan) -> list[int]:
    """Native rate of every distinct sum of stems at the finest rendered level, one entry a stretch and sum."""
    columns = plan.hierarchy.columns(target=plan.parameters.target)
    sums = {}
    for track, stems in plan.catalog.usable.groupby("track"):
        patterns = np.unique(column_membership(stems, columns), axis=1)
        sums[str(track)] = [int(stems["sample_rate"].iloc[0])] * patterns.shape[1]
    found = []
    for track in plan.clips[["track", "start"]].drop_duplicates()["track"]:
        found += sums[track]
    for track in plan.clips[["query_track", "target", "query_start"]].drop_duplicates()["query_track"]:
        found += sums[track][:1] if track else []
    return found


if __name__ == "__main__":
    main()
