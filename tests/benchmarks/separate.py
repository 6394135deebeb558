"""CPU seconds of separating a signal over the bare network on the same frames, on a CPU.

    python tests/benchmarks/separate.py [--seconds 60] [--units 600] [--layers 4] [--rounds 3]

The paper's sss network with random weights. Bare: the network alone on the spectra of the same windows, ready-made. Ours: windows,
resampling from 44.1 kHz and back, STFT, masks, constraint, inverse STFT, fading. CSV on stdout; the last line is ours over bare.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from harness import cpu_seconds, in_turns, read_options, report

from slakh_hier.models.config_file import load_config
from slakh_hier.models.separation import Model
from slakh_hier.models.separator import build_separator

RATE, LEVELS = 16_000, 3


def main() -> None:
    options = read_options(__doc__, seconds=60.0, units=600, layers=4, input_rate=44_100, rounds=3)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    settings = [f"network.units={options.units}", f"network.layers={options.layers}"]
    separator = build_separator(load_config("sss", settings=settings), LEVELS).eval()
    about = SimpleNamespace(sample_rate=RATE)
    trained: Any = SimpleNamespace(folder="no folder", about=about, separator=separator)
    model, rate = Model(trained, device="cpu"), options.input_rate
    frames = round(options.seconds * rate)
    audio = (np.random.default_rng(0).standard_normal((1, frames)) * 0.1).astype(np.float32)
    windows: list[Any] = []

    def keep(module: Any, arguments: Any) -> None:
        windows.append(arguments)

    hook = separator.network.register_forward_pre_hook(keep)
    list(model.blocks(lambda start, count: audio[:, start : start + count], frames, rate))
    hook.remove()

    @torch.inference_mode()
    def bare() -> None:
        for arguments in windows:
            separator.network(*arguments)

    def ours() -> None:
        for _ in model.blocks(lambda start, count: audio[:, start : start + count], frames, rate):
            pass

    medians = in_turns({"bare": bare, "ours": ours}, options.rounds, cpu_seconds)
    report(
        medians,
        "cpu_seconds",
        medians["ours"] / medians["bare"],
        seconds_per_cpu_second=options.seconds / medians["ours"],
    )


if __name__ == "__main__":
    main()
