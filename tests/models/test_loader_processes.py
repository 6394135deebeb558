"""Processes of a DataLoader leave signals to the run that started them; what an interrupt breaks is not a fault."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
from torch.utils.data import DataLoader, Dataset

from slakh_hier.models.loader_processes import interrupts_first, leave_signals_to_the_run


class Signalled(Dataset[int]):
    """Item 1 is a loader process that gets a signal, as all of its group do; the next one comes long after."""

    def __init__(self, number: int):
        self.number = number

    def __len__(self) -> int:
        return 3

    def __getitem__(self, place: int) -> int:
        if place == 1:
            os.kill(os.getpid(), self.number)
        return place


@pytest.mark.timeout(60)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_does_not_end_a_loader_process_at_once(number: int) -> None:
    loader = DataLoader(Signalled(number), 1, num_workers=1, worker_init_fn=leave_signals_to_the_run)
    assert [int(batch) for batch in loader] == [0, 1, 2]


@pytest.mark.timeout(60)
def test_a_loader_process_does_not_keep_python_from_leaving() -> None:
    code = """
import torch
from torch.utils.data import DataLoader
from slakh_hier.models.loader_processes import leave_signals_to_the_run

data = torch.zeros(5)
batches = iter(DataLoader(data, 1, num_workers=1, worker_init_fn=leave_signals_to_the_run, persistent_workers=True))
next(batches)
print("done")
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=50, check=True
    )
    assert done.stdout == "done\n"


def interrupted() -> None:
    """As Lightning answers Ctrl-C, and then fails while it clears up."""
    try:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(1)
    finally:
        raise RuntimeError("DataLoader worker (pid 1) is killed by signal: Terminated.")


def test_what_an_interrupt_ends_in_is_the_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt), interrupts_first():
        interrupted()
    with pytest.raises(SystemExit), interrupts_first():
        sys.exit(1)
