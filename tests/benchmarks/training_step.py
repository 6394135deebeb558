"""A training step of the paper's SSS network against the bare layers it is made of, on a CPU.

    python tests/benchmarks/training_step.py [--units 600] [--layers 4] [--batch 2] [--seconds 4] [--rounds 5]

Bare: nn.LSTM and nn.Linear of the same size on ready-made features, L1 of the output as the loss, backward, Adam.
Ours: the whole step as the trainer takes it: STFT of mixture and sources, batch norm, masks, constraint, loss, backward,
AutoClip, Adam. CPU time, in turns; CSV on stdout; the last line is ours over bare.
"""

from __future__ import annotations

import torch
from bare_training import stepper
from harness import cpu_seconds, in_turns, read_options, report
from torch import nn

from slakh_hier.memory import keep_freed_memory
from slakh_hier.models.config_file import load_config
from slakh_hier.models.separator import build_separator

RATE, LEVELS = 16_000, 3


def main() -> None:
    options = read_options(__doc__, units=600, layers=4, batch=2, seconds=4.0, rounds=5, threads=1)
    torch.set_num_threads(options.threads)
    keep_freed_memory()  # as a training does
    torch.manual_seed(0)
    samples = round(options.seconds * RATE)
    signals = torch.randn(options.batch, 1 + LEVELS, 1, samples)

    settings = [f"network.units={options.units}", f"network.layers={options.layers}"]
    separator = build_separator(load_config("sss", settings=settings), LEVELS).train()
    ours = stepper(separator, signals)

    bins, frames = separator.stft.bins, separator.stft.frames(samples)
    lstm = nn.LSTM(bins, options.units, options.layers, batch_first=True, bidirectional=True, dropout=0.3)
    linear = nn.Linear(2 * options.units, bins * LEVELS)
    bare_adam = torch.optim.Adam([*lstm.parameters(), *linear.parameters()], lr=1e-4)
    features = torch.randn(options.batch, frames, bins)

    def bare() -> None:
        bare_adam.zero_grad()
        linear(lstm(features)[0]).abs().mean().backward()
        bare_adam.step()

    medians = in_turns({"bare": bare, "ours": ours}, options.rounds, cpu_seconds)
    report(medians, "cpu_seconds_per_step", medians["ours"] / medians["bare"], batch=options.batch)


if __name__ == "__main__":
    main()
