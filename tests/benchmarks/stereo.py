"""What 44.1-kHz stereo costs over 16-kHz mono: rendering, reading, and a training step of the preset for it.

    python tests/benchmarks/stereo.py [--clips 48] [--seconds 64] [--rounds 3]

Both sets hold the same clips of the same music, one path with all levels; the right channel is the left one, 11 samples ahead. A
stereo clip has 2 x 2.76 as many samples: what takes more than that is overhead. With few clips, all mono rows lie in the
processor's cache. Reading goes through the clips ten times, to float32 signals. A step is that of `bandsplit` and of `bandsplit-44k`, at 2 clips of 6 s. CSV on stdout; ``ratio`` is the larger
of rendering and reading, over the samples.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from bare_training import stepper
from harness import cpu_seconds, in_turns, music, read_options, report, workspace

from slakh_hier.hierarchy import load_hierarchy
from slakh_hier.memory import keep_freed_memory
from slakh_hier.models.batches import InOrder
from slakh_hier.models.config_file import load_config
from slakh_hier.models.data import ClipDataset
from slakh_hier.models.losses.complex import complex_terms
from slakh_hier.models.reader import Reader
from slakh_hier.models.selection import select_clips
from slakh_hier.models.separator import build_separator
from slakh_hier.plan import Plan, plan_clips
from slakh_hier.rendering import render
from slakh_hier.shards import open_shards
from slakh_hier.slakh import scan

KINDS = {"16 kHz mono": (16_000, 1, "bandsplit"), "44.1 kHz stereo": (44_100, 2, "bandsplit-44k")}
MONO, STEREO = KINDS
SAMPLES = 2 * 44_100 / 16_000
PASSES, LEVELS, STEP_CLIPS, STEP_SECONDS = 10, 3, 2, 6.0


def main() -> None:
    options = read_options(__doc__, clips=48, seconds=64.0, rounds=3, step=str)
    torch.set_num_threads(1)
    keep_freed_memory()  # as a training does
    if options.step:
        print(peak_of_step(options.step))
        return
    with workspace() as work:
        plans = {kind: plan(work, kind, options.seconds, options.clips) for kind in KINDS}
        rendering = in_turns(
            {kind: renders(work, kind, plans[kind]) for kind in KINDS}, options.rounds, cpu_seconds
        )
        reading = in_turns({kind: reads(work / f"{kind} set") for kind in KINDS}, options.rounds, cpu_seconds)
    steps = in_turns({kind: step_of(kind) for kind in KINDS}, options.rounds, cpu_seconds)
    peaks = {kind: peak_in_own_process(kind) for kind in KINDS}
    clips = len(plans[MONO].clips)
    each = {
        "render": {kind: value / clips for kind, value in rendering.items()},
        "read": {kind: value / clips / PASSES for kind, value in reading.items()},
        "training step": steps,
    }
    ratios = {what: values[STEREO] / values[MONO] for what, values in each.items()}
    report(
        {f"{what}, {kind}": 1000 * value for what, values in each.items() for kind, value in values.items()},
        "cpu_ms",
        max(ratios["render"], ratios["read"]) / SAMPLES,
        **{f"{what.replace(' ', '_')}_stereo_over_mono": value for what, value in ratios.items()},
        step_peak_mb_mono=peaks[MONO],
        step_peak_mb_stereo=peaks[STEREO],
    )


def plan(work: Path, kind: str, seconds: float, clips: int) -> Plan:
    data, tree = music(work / kind, seconds, channels=KINDS[kind][1]), load_hierarchy("slakh34")
    catalog = scan(data, tree, split_scheme="folders")
    made = plan_clips(
        catalog, tree, target="clean_guitars", clips={"train": clips}, activity=work / f"{kind}.h5"
    )
    assert made.parameters.channels == KINDS[kind][1]
    return made


def renders(work: Path, kind: str, made: Plan) -> Callable[[], None]:
    def run() -> None:
        render(made, work / f"{kind} set", sample_rate=KINDS[kind][0], jobs=1, overwrite=True)

    return run


def reads(folder: Path) -> Callable[[], None]:
    shards = open_shards(folder, "train")
    stored = ClipDataset(shards, select_clips(shards, "sss"))

    def run() -> None:
        for _ in range(PASSES):
            for batch in Reader(stored.batch, InOrder(len(stored), 4)):
                assert batch["signals"].dtype == torch.float32

    return run


def step_of(kind: str) -> Callable[[], None]:
    rate, channels, preset = KINDS[kind]
    separator = build_separator(load_config("sss", preset=preset), LEVELS, channels).train()
    signals = torch.randn(STEP_CLIPS, 1 + LEVELS, channels, round(STEP_SECONDS * rate))
    return stepper(separator, signals, terms=complex_terms)


def peak_in_own_process(kind: str) -> float:
    words = [sys.executable, __file__, "--step", kind]
    return float(subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout)


def peak_of_step(kind: str) -> float:
    """MB by which this process grows in a step."""
    step = step_of(kind)
    before = peak_kb()
    step()
    return (peak_kb() - before) / 1024


def peak_kb() -> int:
    """Of this process alone: ``ru_maxrss`` begins with that of the process that started it."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0])


if __name__ == "__main__":
    main()
