"""How do worker processes start and end, whatever becomes of the run that started them?"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import resource_tracker

ORPHAN_SECONDS = 0.25
"""How often a worker looks whether its parent still lives."""
_ORPHAN_WATCH = "slakh-hier-orphan-watch"


def end_with(parent: int) -> None:
    """Let this process end as soon as its parent has ended; a killed parent cannot end it."""
    if not any(thread.name == _ORPHAN_WATCH for thread in threading.enumerate()):
        threading.Thread(target=_watch, args=(parent,), name=_ORPHAN_WATCH, daemon=True).start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(ORPHAN_SECONDS)
    os._exit(1)


@contextmanager
def ctrl_c_for_us_alone() -> Iterator[None]:
    """Processes started in the block never get the terminal's SIGINT: they would answer it with tracebacks."""
    _start_trackers()  # which every worker needs; their start would let SIGINT through
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # new programs inherit it
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)  # one that came meanwhile is delivered now


def _start_trackers() -> None:
    """Start the processes in which Python and joblib note what is shared, with no terminal to write to.

    They outlive a run that is killed, and would print tracebacks and warnings about what it left; so would one that joblib
    starts in the place of a killed one.
    """
    from joblib.externals.loky.backend import resource_tracker as of_joblib

    tracker = of_joblib._resource_tracker
    launch = getattr(tracker, "_launch", None)  # joblib has it since 1.5
    if launch is not None and not isinstance(launch, partial):
        tracker._launch = partial(_without_terminal, launch)
    _without_terminal(resource_tracker.ensure_running)
    _without_terminal(tracker.ensure_running)


def _without_terminal(start: Callable[[], object]) -> None:
    """Call what starts a process, which then has no stderr."""
    before = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        start()
    finally:
        os.dup2(before, 2)
        os.close(before)
