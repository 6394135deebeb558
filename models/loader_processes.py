"""Processes that a DataLoader starts: how they take signals, and what it means when one ends."""

from __future__ import annotations

import os
import re
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from slakh_hier.errors import FaultError, ShardError, SlakhHierError

PATIENCE_SECONDS = 1
"""So long after SIGTERM a loader process ends by itself, were its run not to end it before."""


def leave_signals_to_the_run(worker: int) -> None:
    """Runs in each loader process: signals to a whole group (Ctrl-C, SLURM, timeout) are for the run to answer.

    A loader process that ends at once may hold a lock that the run then waits for, and torch makes a fault of its end.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, lambda number, frame: os._exit(1))
    signal.signal(signal.SIGTERM, lambda number, frame: signal.alarm(PATIENCE_SECONDS))


@contextmanager
def interrupts_first() -> Iterator[None]:
    """Whatever an interrupt ends in, such as Lightning's exit(1) or an error of its clearing up, is that interrupt again."""
    try:
        yield
    except (Exception, SystemExit) as error:
        for each in _chain(error):
            if isinstance(each, KeyboardInterrupt):
                raise each from None
        raise


@contextmanager
def loader_faults(advice: str) -> Iterator[None]:
    """Turn what torch makes of a loader process's end, or of an error in it, into our errors.

    Parameters
    ----------
    advice
        What to do when one died, as sentences.
    """
    try:
        yield
    except (RuntimeError, SlakhHierError) as error:
        # Lightning may fail once more while it tears down, and hide what happened first.
        text = next((str(e) for e in _chain(error) if "DataLoader worker" in str(e)), None)
        if text is None:
            raise
        # torch hands over a loader process's error as one text: all of its traceback, our message last.
        if ours := re.findall(r"^slakh_hier\.[\w.]+: (.+)", text, re.MULTILINE):
            raise ShardError(ours[-1]) from None
        if re.search("unable to (resize|open|write|mmap).*torch_", text):
            raise FaultError(
                "loader processes found no room in shared memory (/dev/shm) for a batch. Take fewer, or none: --set "
                "data.workers=0"
            ) from None
        if "exited unexpectedly" not in text and "killed by signal" not in text:
            raise
        raise _dead_loader(text, advice) from None
    except (OSError, EOFError) as error:
        frames = traceback.extract_tb(error.__traceback__)
        if frames and Path(frames[-1].filename).parent.name == "multiprocessing":
            # It died while it handed over a batch.
            raise _dead_loader(str(error) or type(error).__name__, advice) from None
        raise


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those during which it came about."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _dead_loader(text: str, advice: str) -> FaultError:
    return FaultError(f"a loader process died ({text.strip().splitlines()[0]}). {advice}")
