"""Whole trainings from shards: clips a second, the share of time spent waiting for data, and the device's memory.

    python tests/benchmarks/training.py [--task sss] [--preset NAME] [--clips 200] [--steps 40] [--shards DIR]
                                        [--set KEY=VALUE ...] [--rounds 1]

Trains on generated 10-s clips (or a shard set with the splits train and validation), once for each precision of the
device, two epochs each, of which the second counts. Each ``--set`` adds a variant with this setting to the comparison.
The last line is the first variant's clips a second over those of the bare
step: STFT, network, loss, backward and Adam on a batch that lies on the device.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import torch
from bare_training import stepper
from harness import read_options, report, wall_seconds, workspace

from slakh_hier.hierarchy import load_hierarchy
from slakh_hier.models.config import Config
from slakh_hier.models.config_file import load_config
from slakh_hier.models.separator import build_separator
from slakh_hier.models.training import train
from slakh_hier.plan import plan_clips
from slakh_hier.rendering import render
from slakh_hier.slakh import scan
from slakh_hier.testing import make_slakh

RATE, SECONDS, LEVELS = 16_000, 10, 3


def main() -> None:
    options = read_options(
        __doc__, task=("sss", "qbe"), preset=str, clips=200, steps=40, shards=Path, set=[], rounds=1
    )
    on_gpu = torch.cuda.is_available()
    options.preset = options.preset or ("paper" if on_gpu else "small")
    variants = {"32 bits": []}
    if on_gpu:
        variants["bf16"] = ["hardware.precision=bf16"]
    variants |= {setting: [setting] for setting in options.set}
    common = ["training.epochs=2", f"training.steps_per_epoch={options.steps}"]
    speeds: dict[str, list[float]] = {}
    more: dict[str, float] = {}
    with workspace() as work:
        shards = options.shards or make_shards(work, options.task, options.clips)
        for turn in range(options.rounds):
            for what, settings in variants.items():
                config = load_config(options.task, preset=options.preset, settings=common + settings)
                if on_gpu:
                    torch.cuda.empty_cache()
                    torch.cuda.reset_peak_memory_stats()
                run = work / f"{what}-{turn}"
                train(config, shards, run)
                last = pd.read_csv(run / "metrics.csv").iloc[-1]
                speeds.setdefault(what, []).append(float(last["clips_per_second"]))
                more[f"data_wait, {what}"] = float(last["data_wait"])
                if on_gpu:
                    more[f"memory_gb, {what}"] = torch.cuda.max_memory_allocated() / 1e9
        config = load_config(options.task, preset=options.preset)
        bare = config.training.batch_size / bare_step(config, "cuda" if on_gpu else "cpu")
    rates = {what: sum(values) / len(values) for what, values in speeds.items()}
    report({**rates, "bare step": bare}, "clips_per_second", rates["32 bits"] / bare, **more)


def make_shards(work: Path, task: str, clips: int) -> Path:
    """Clips of generated tracks: about 25 a minute-long track, of which a few have the target."""
    data = make_slakh(work / "slakh", tracks=24, seconds=60, stems=10)
    tree = load_hierarchy("slakh34")
    wanted = {"train": clips, "validation": 25}
    target = "clean_guitars" if task == "sss" else None
    plan = plan_clips(scan(data, tree, split_scheme="folders"), tree, target=target, clips=wanted)
    render(plan, work / "shards")
    return work / "shards"


def bare_step(config: Config, device: str) -> float:
    """Seconds of an optimizer step on signals that lie on the device: the median of twenty."""
    separator = build_separator(config, LEVELS).train().to(device)
    samples = round(RATE * (config.data.crop_seconds or SECONDS))
    signals = torch.randn(config.training.batch_size, 1 + LEVELS, 1, samples, device=device)
    query = torch.randn(config.training.batch_size, 1, RATE * SECONDS, device=device)
    step = stepper(separator, signals, query if separator.takes_query else None)
    times = []
    for _ in range(25 if device == "cuda" else 3):
        began = wall_seconds()
        step()
        times.append(wall_seconds() - began)
    return sorted(times)[len(times) // 2]


if __name__ == "__main__":
    main()
