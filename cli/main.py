"""The ``slakh-hier`` command: lists its commands without importing them, turns errors into exit codes."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from typing import NoReturn

import click

from slakh_hier.cli.common import give_up, note
from slakh_hier.cli.lazy import Lazy, LazyGroup

COMMANDS = {
    "hierarchy": Lazy(
        "slakh_hier.cli.hierarchy:hierarchy", "List, show, check and compare instrument trees."
    ),
    "scan": Lazy("slakh_hier.cli.scan:scan", "Catalog the stems of a data set."),
    "activity": Lazy(
        "slakh_hier.cli.activity:activity", "Measure every stem once: the energy of any submix."
    ),
    "plan": Lazy("slakh_hier.cli.plan:plan", "Draw clips and queries, without rendering."),
    "render": Lazy("slakh_hier.cli.render:render", "Render hierarchical submixes into HDF5 shards."),
    "mask": Lazy("slakh_hier.cli.mask:mask", "Add, remove or list masks of a shard set."),
    "inspect": Lazy("slakh_hier.cli.inspect:inspect", "Show what a shard set holds."),
    "verify": Lazy("slakh_hier.cli.verify:verify", "Check a shard set for damage."),
    "export": Lazy("slakh_hier.cli.export:export", "Write a clip's nodes as audio files."),
    "submix": Lazy("slakh_hier.cli.submix:submix", "Write full-length submixes as audio files."),
    "train": Lazy("slakh_hier.cli.train:train", "Train a separator on a shard set."),
    "evaluate": Lazy("slakh_hier.cli.evaluate:evaluate", "Measure a trained separator on a split."),
    "separate": Lazy("slakh_hier.cli.separate:separate", "Separate audio files with a trained separator."),
    "experiment": Lazy("slakh_hier.cli.experiment:experiment", "Reproduce an experiment of the paper."),
    "synth": Lazy("slakh_hier.cli.synth:synth", "Make a data set from MIDI files, or from composed songs."),
    "import": Lazy(
        "slakh_hier.cli.import_:import_",
        "Make a data set from your own multitracks, or from known recordings.",
    ),
    "report": Lazy("slakh_hier.cli.report:report", "Write a page to look at and listen to."),
    "demo": Lazy(
        "slakh_hier.cli.demo:demo", "Make a small data set, render it, train on it, and write pages."
    ),
}

EPILOG = """Exit codes: 0 done; 1 done, but something was left out or found wrong; 2 wrong usage or input, nothing done;
3 stopped by a fault, finished work kept; 130/143 interrupted."""
HINT = "interrupted: nothing half-made was left under a final name. Run the same command again to resume"

SAME_SECONDS = 0.5
"""A second signal within this time is the first one again: timeout(1) sends it to a command and to its group."""


@click.group(
    cls=LazyGroup, lazy=COMMANDS, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="slakh-hier")
def cli() -> None:
    """Hierarchical submixes of Slakh-like data sets: trees, HDF5 shards, baseline separators."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with the documented code."""
    _open_streams()
    signals = _catch_signals()
    try:
        code = cli.main(args=arguments, prog_name="slakh-hier", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):  # click turns the second into the first
        _leave(signals[0] if signals else signal.SIGINT)
    except click.ClickException as error:
        shown = io.StringIO()
        error.show(shown)
        note(shown.getvalue().rstrip("\n"))
        code = 2
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except BrokenPipeError:
        give_up(sys.stdout)  # its reader (head, less) is gone
        code = 0
    except MemoryError:
        note("error: not enough memory; finished work is kept. Run the same command again with fewer --jobs")
        code = 3
    except Exception as error:
        from slakh_hier.errors import InputError, SlakhHierError

        if signals:
            # It was lost in a destructor, or after a fork; what it ended, as a worker, is not a fault.
            _leave(signals[0])
        if isinstance(error, UnicodeEncodeError) and error.reason == "surrogates not allowed":
            error = InputError(
                f"{error.object}: is not UTF-8, and a library that is needed here takes nothing else; rename it"
            )
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            error = InputError(
                f"{error.filename}: is longer than this file system takes; choose a shorter path"
            )
        if not isinstance(error, SlakhHierError):
            raise
        note(f"error: {error}")
        code = error.exit_code
    sys.exit(code if isinstance(code, int) else 0)


def _catch_signals() -> list[int]:
    """Let SIGINT and SIGTERM end the command in order; the value is the list of those that came."""
    came: list[int] = []
    when, mine = 0.0, os.getpid()

    def stop(number: int, frame: object) -> None:
        nonlocal when
        if os.getpid() != mine:  # a child that was just forked, and has no handlers of its own yet
            os._exit(128 + number)
        if came:
            if time.monotonic() - when < SAME_SECONDS:
                return
            note(HINT)  # ending in order takes too long for the user
            os._exit(128 + came[0])
        came.append(number)
        when = time.monotonic()
        raise KeyboardInterrupt

    def again(number: int, frame: object) -> NoReturn:
        raise KeyboardInterrupt

    def lost(unraisable: sys.UnraisableHookArgs) -> None:
        if not (came and issubclass(unraisable.exc_type, KeyboardInterrupt)):
            sys.__unraisablehook__(unraisable)
            return
        # It came while a destructor ran, which cannot pass it on, and h5py runs many.
        signal.signal(signal.SIGALRM, again)
        signal.setitimer(signal.ITIMER_REAL, 0.01)

    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and background jobs want it
            signal.signal(number, stop)
    sys.unraisablehook = lost
    return came


def _leave(number: int) -> NoReturn:
    """Exit after an interrupt."""
    signal.setitimer(signal.ITIMER_REAL, 0)  # a lost one need not come again
    note(HINT)
    if any(not thread.daemon for thread in threading.enumerate() if thread is not threading.main_thread()):
        # Tasks in threads would be waited for, which can take a minute. They publish nothing half-made.
        sys.stdout.flush()
        os._exit(128 + number)
    sys.exit(128 + number)


def _open_streams() -> None:
    """Give closed standard streams a place: else the next file would get their number, and what C libraries print."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number
    sys.stdout = sys.stdout or os.fdopen(1, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", closefd=False)
