"""CPU seconds until the first epoch is over, and for each further one, against the way without shards.

    python tests/benchmarks/first_epoch.py [--data SLAKH] [--clips 120] [--seconds 120] [--suffix .wav] [--rounds 3]

Here: scan, activity, plan, render (guitars, all levels), one epoch of loading. The usual way: resample every stem to a
16-kHz file (WAV, or FLAC with --suffix .flac); RMS of every node of every track in frames of 2048 samples every 512 (what
librosa.feature.rms gives, written with numpy: a little faster); one epoch in which each example reads its stems' excerpts
and adds them up. Both give the same number of examples: mixture and one path. One process. CSV on stdout; the last line
is the usual way over this one for the first epoch.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
import torch
from harness import cpu_seconds, in_turns, music, read_options, report, workspace
from torch.utils.data import DataLoader, Dataset

from slakh_hier.hierarchy import load_hierarchy
from slakh_hier.models.batches import InOrder
from slakh_hier.models.data import ClipDataset
from slakh_hier.models.reader import Reader
from slakh_hier.models.selection import select_clips
from slakh_hier.plan import Plan, plan_clips
from slakh_hier.plan.membership import column_membership
from slakh_hier.rendering import render
from slakh_hier.shards import open_shards
from slakh_hier.slakh import Catalog, scan

RATE, TARGET, BATCH = 16_000, "clean_guitars", 8


def main() -> None:
    options = read_options(__doc__, data=Path, clips=120, seconds=120.0, suffix=(".wav", ".flac"), rounds=3)
    torch.set_num_threads(1)
    with workspace() as work:
        data = music(work, options.seconds, options.data)
        made: dict[str, Plan] = {}

        def ours() -> None:
            for old in (work / "out", work / "activity.h5"):
                shutil.rmtree(old, ignore_errors=True) if old.is_dir() else old.unlink(missing_ok=True)
            tree = load_hierarchy("slakh34")
            catalog = scan(data, tree, split_scheme="folders", cache=False, jobs=1)
            made["plan"] = plan_clips(
                catalog,
                tree,
                target=TARGET,
                clips={"train": options.clips},
                activity=work / "activity.h5",
                jobs=1,
            )
            render(made["plan"], work / "out", jobs=1)
            read(stored())

        def stored() -> ClipDataset:
            shards = open_shards(work / "out", "train")
            return ClipDataset(shards, select_clips(shards, "sss"))

        def usual() -> None:
            resample_all(made["plan"].catalog, work / "files", options.suffix)
            salience(made["plan"].catalog, work / "files", options.suffix)
            epoch(OnTheFly(made["plan"], work / "files", options.suffix))

        first = in_turns({"ours": ours, "usual": usual}, options.rounds, cpu_seconds)
        shards, files = stored(), OnTheFly(made["plan"], work / "files", options.suffix)
        assert len(shards) == len(files)
        further = in_turns(
            {"ours": lambda: read(shards), "usual": lambda: epoch(files)}, options.rounds, cpu_seconds
        )
    rows = {f"first epoch, {what}": value for what, value in first.items()}
    rows |= {f"further epoch, {what}": value for what, value in further.items()}
    report(
        rows,
        "cpu_seconds",
        first["usual"] / first["ours"],
        further_epochs=further["usual"] / further["ours"],
        clips=len(shards),
    )


def read(dataset: ClipDataset) -> None:
    for batch in Reader(dataset.batch, InOrder(len(dataset), BATCH)):
        assert batch["signals"].dtype == torch.float32


def epoch(dataset: Dataset[Any]) -> None:
    for batch in DataLoader(dataset, BATCH):
        assert batch["mix"].dtype == torch.float32


def resample_all(catalog: Catalog, out: Path, suffix: str) -> None:
    for path in catalog.usable["path"]:
        samples, rate = soundfile.read(catalog.root / path, dtype="float32")
        target = (out / path).with_suffix(suffix)
        target.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(target, soxr.resample(samples, rate, RATE, quality="HQ"), RATE)


def salience(catalog: Catalog, wav: Path, suffix: str) -> None:
    columns = catalog.hierarchy.columns()
    for _, stems in catalog.usable.groupby("track"):
        for row in column_membership(stems, columns)[1:]:
            files = [(wav / path).with_suffix(suffix) for path in stems["path"][row]]
            if files:
                total = np.sum([soundfile.read(file, dtype="float32")[0] for file in files], axis=0)
                frames = np.lib.stride_tricks.sliding_window_view(np.pad(total, 1024), 2048)[::512]
                np.sqrt(np.einsum("ij,ij->i", frames, frames) / 2048)


class OnTheFly(Dataset[dict[str, Any]]):
    """Each example reads its excerpt of every stem at 16 kHz and adds them up."""

    def __init__(self, plan: Plan, wav: Path, suffix: str):
        self.clips = plan.clips[["track", "start"]].to_numpy().tolist()
        self.samples = round(plan.parameters.clip_seconds * RATE)
        columns = plan.hierarchy.columns(target=TARGET)
        self.tracks = {
            track: (
                [(wav / path).with_suffix(suffix) for path in stems["path"]],
                column_membership(stems, columns),
            )
            for track, stems in plan.catalog.usable.groupby("track")
        }

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> dict[str, Any]:
        track, start = self.clips[index]
        files, member = self.tracks[track]
        stems = np.stack(
            [
                soundfile.read(
                    file, start=round(start * RATE), frames=self.samples, dtype="float32", fill_value=0
                )[0]
                for file in files
            ]
        )
        nodes = np.stack([stems[row].sum(0) for row in member])
        return {"mix": torch.from_numpy(nodes[:1]), "sources": torch.from_numpy(nodes[1:, None])}


if __name__ == "__main__":
    main()
