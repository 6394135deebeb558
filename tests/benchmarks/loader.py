"""Clips per second of the reader over shards, of decoding and mixing the stems on the fly, and of raw h5py.

    python tests/benchmarks/loader.py [--data SLAKH] [--clips 500] [--rounds 5]

The same examples (mixture and one path, all levels), in turns; 500 clips are 500 MB of rows and more, which no CPU's cache
holds. On the fly, an example reads the 10 s of every stem of
its track with soundfile, sums them for each node and resamples each distinct sum with soxr HQ, as the renderer does.
The reader is that of a training: its thread reads, and makes float32 signals of the rows, as for a training on
a CPU; "as stored" is what a GPU gets, which makes the signals itself. The first epoch of a process compares the
checksum of every row. Raw h5py reads the same rows in the same order from open files and does nothing with them. Clips per
second of CPU time, both threads together. CSV on stdout; the last line is the reader's over those of raw h5py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import soundfile
import soxr
import torch
from harness import cpu_seconds, in_turns, music, read_options, report, workspace
from torch.utils.data import DataLoader, Dataset, Subset

from slakh_hier.hierarchy import load_hierarchy
from slakh_hier.memory import keep_freed_memory
from slakh_hier.models.batches import InOrder
from slakh_hier.models.data import ClipDataset, Key
from slakh_hier.models.reader import Reader
from slakh_hier.models.selection import select_clips
from slakh_hier.models.stored import Batch
from slakh_hier.plan import Plan, plan_clips
from slakh_hier.plan.membership import column_membership
from slakh_hier.rendering import render
from slakh_hier.shards import open_shards
from slakh_hier.slakh import scan

RATE, BATCH, TARGET = 16_000, 8, "clean_guitars"
MIXED = 25
"""Clips that are mixed on the fly, which takes a hundred times as long."""


def main() -> None:
    options = read_options(__doc__, data=Path, clips=500, seconds=120.0, rounds=5)
    torch.set_num_threads(1)
    keep_freed_memory()  # as a training does
    with workspace() as work:
        tree = load_hierarchy("slakh34")
        catalog = scan(music(work, options.seconds, options.data), tree, split_scheme="folders")
        plan = plan_clips(
            catalog, tree, target=TARGET, step=0.5, companion="none", clips={"train": options.clips}
        )
        render(plan, work / "shards")
        shards = open_shards(work / "shards", "train")
        stored = ClipDataset(shards, select_clips(shards, "sss"))
        mixed = OnTheFly(plan)
        check_equal(stored, mixed)
        raw = RawReads(stored)

        def mixing() -> None:
            for batch in DataLoader(Subset(mixed, range(MIXED)), BATCH):
                assert batch["mix"].dtype == torch.float32

        def reading(read: Callable[[Sequence[Key]], Batch]) -> None:
            for _ in Reader(read, InOrder(len(stored), BATCH)):
                pass

        def first() -> None:
            with open_shards(work / "shards", "train") as again:
                fresh = ClipDataset(again, stored.selection)
                for _ in Reader(fresh.batch, InOrder(len(fresh), BATCH)):
                    pass

        medians = in_turns(
            {
                "on the fly": mixing,
                "shards": lambda: reading(stored.batch),
                "shards, as stored": lambda: reading(stored.stored),
                "shards, first epoch": first,
                "raw h5py": raw.epoch,
            },
            options.rounds,
            cpu_seconds,
        )
    clips = len(stored)
    rates = {what: (MIXED if what == "on the fly" else clips) / seconds for what, seconds in medians.items()}
    report(
        rates,
        "clips_per_second",
        rates["shards"] / rates["raw h5py"],
        over_mixing_on_the_fly=rates["shards"] / rates["on the fly"],
        stored_over_raw_h5py=rates["shards, as stored"] / rates["raw h5py"],
        megabytes=raw.megabytes,
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
        for audio, row in self.reads:
            audio[row]

    @property
    def megabytes(self) -> float:
        """Of the rows."""
        return sum(audio[:1].nbytes for audio, _ in self.reads) / 1e6


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
