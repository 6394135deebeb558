"""Clips per second of the reader over shards, of decoding and mixing the stems on the fly, and of raw h5py.

    python tests/benchmarks/loader.py [--data SLAKH] [--clips 60] [--rounds 5]

The same examples (mixture and one path, all levels), in turns. On the fly, an example reads the 10 s of every stem of
its track with soundfile, sums them for each node and resamples each distinct sum with soxr HQ, as the renderer does.
The reader is that of a training: its thread reads, and this one makes float32 signals of the rows, as a training on
processors does; "as stored" is what a GPU gets, which makes the signals itself. Raw h5py reads the same rows in the same
order from open files and does nothing with them. What is fast goes through the clips ten times. CSV on stdout; the last
line is the reader's clips per second over those of raw h5py.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import soundfile
import soxr
import torch
from harness import MINI, in_turns, report, wall_seconds
from torch.utils.data import DataLoader, Dataset

from slakh_hier.hierarchy import load_hierarchy
from slakh_hier.memory import keep_freed_memory
from slakh_hier.models.batches import InOrder
from slakh_hier.models.data import ClipDataset
from slakh_hier.models.reader import Reader
from slakh_hier.models.selection import select_clips
from slakh_hier.models.stored import signals_of
from slakh_hier.plan import Plan, plan_clips
from slakh_hier.plan.membership import column_membership
from slakh_hier.rendering import render
from slakh_hier.shards import open_shards
from slakh_hier.slakh import scan
from slakh_hier.testing import make_slakh

RATE, BATCH, TARGET = 16_000, 8, "clean_guitars"
PASSES = 10


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, help="a data set; default: ../shared/slakh_mini, else a generated one"
    )
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as a training does
    with tempfile.TemporaryDirectory(prefix="slakh-hier-bench-") as name:
        work = Path(name)
        data = options.data or (
            MINI if MINI.is_dir() else make_slakh(work / "slakh", tracks=12, seconds=60, stems=10)
        )
        tree = load_hierarchy("slakh34")
        plan = plan_clips(scan(data, tree), tree, target=TARGET, clips={"train": options.clips})
        render(plan, work / "shards")
        shards = open_shards(work / "shards", "train")
        stored = ClipDataset(shards, select_clips(shards, "sss"))
        mixed = OnTheFly(plan)
        check_equal(stored, mixed)

        def mixing() -> None:
            for batch in DataLoader(mixed, BATCH):
                assert batch["mix"].dtype == torch.float32

        def reading(signals: bool) -> None:
            for _ in range(PASSES):
                for batch in Reader(stored, InOrder(len(stored), BATCH)):
                    if signals:
                        signals_of(batch)

        medians = in_turns(
            {
                "on the fly": mixing,
                "shards": lambda: reading(True),
                "shards, as stored": lambda: reading(False),
                "raw h5py": RawReads(stored).epoch,
            },
            options.rounds,
            wall_seconds,
        )
    clips = len(stored)
    rates = {
        what: clips * (1 if what == "on the fly" else PASSES) / seconds for what, seconds in medians.items()
    }
    report(
        rates,
        "clips_per_second",
        rates["shards"] / rates["raw h5py"],
        over_mixing_on_the_fly=rates["shards"] / rates["on the fly"],
        stored_over_raw_h5py=rates["shards, as stored"] / rates["raw h5py"],
        clips=clips,
    )


class RawReads:
    """The rows of each clip, each once, in the loader's order: (/audio of the shard, row).

    Without HDF5's cache, which would hold all of a set as small as this one.
    """

    def __init__(self, stored: ClipDataset):
        shards = stored.shards
        records = [record for record in shards.index.shards if record.split in shards.splits]
        files = [
            h5py.File(shards.folder / record.file, "r", locking=False, rdcc_nbytes=0)["audio"]
            for record in records
        ]
        place = np.repeat(np.arange(len(files)), [record.clips for record in records])
        self.reads = [
            (files[place[clip]], int(row))
            for clip, columns in zip(stored.selection.clips, stored.selection.columns, strict=True)
            for row in dict.fromkeys(shards.row[clip, [0, *columns]].tolist())
            if row >= 0
        ]

    def epoch(self) -> None:
        for _ in range(PASSES):
            for audio, row in self.reads:
                audio[row]


class OnTheFly(Dataset[dict[str, Any]]):
    """What people do without shards: each example decodes, mixes and resamples."""

    def __init__(self, plan: Plan):
        self.clips = plan.clips[plan.clips["split"] == "train"].reset_index(drop=True)
        self.root, self.seconds = plan.catalog.root, plan.parameters.clip_seconds
        self.stems = {str(track): rows for track, rows in plan.catalog.usable.groupby("track")}
        self.columns = plan.hierarchy.columns(target=plan.parameters.target)
        self.levels = sorted(range(1, len(self.columns)), key=lambda column: self.columns[column].level)

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> dict[str, Any]:
        clip = self.clips.iloc[index]
        stems = self.stems[clip["track"]]
        rate = int(stems["sample_rate"].iloc[0])
        begin, frames = round(clip["start"] * rate), round(self.seconds * rate)
        audio = np.zeros((len(stems), frames), np.float32)
        for place, path in enumerate(stems["path"]):
            excerpt = soundfile.read(self.root / path, start=begin, frames=frames, dtype="float32")[0]
            audio[place, : len(excerpt)] = excerpt
        which = column_membership(stems, self.columns)
        resampled: dict[bytes, np.ndarray[Any, Any]] = {}
        for row in which:
            if row.tobytes() not in resampled:
                mixed = audio[row].sum(0, dtype=np.float32)
                resampled[row.tobytes()] = soxr.resample(mixed, rate, RATE, quality="HQ")[
                    : round(self.seconds * RATE)
                ]
        sources = np.stack([resampled[which[column].tobytes()] for column in self.levels])
        return {
            "mix": torch.from_numpy(resampled[which[0].tobytes()][None].copy()),
            "sources": torch.from_numpy(sources[:, None]),
        }


def check_equal(stored: ClipDataset, mixed: OnTheFly) -> None:
    """Both must be the same examples, or the comparison means nothing; shards hold 16 bits."""
    assert len(stored) == len(mixed)
    for index in (0, len(stored) - 1):
        for key in ("mix", "sources"):
            difference = (stored[index][key] - mixed[index][key]).abs().max().item()
            assert difference < 2e-4, f"clip {index}: {key} differs by {difference}"


if __name__ == "__main__":
    main()
