"""The ``slakh-hier`` command: lists its commands without importing them, turns errors into exit codes."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

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
    "mask": Lazy("slakh_hier.cli.mask:mask", "Add, remove or list data-reduction masks of a shard set."),
    "inspect": Lazy("slakh_hier.cli.inspect:inspect", "Show what a shard set holds."),
    "verify": Lazy("slakh_hier.cli.verify:verify", "Check a shard set for damage."),
    "export": Lazy("slakh_hier.cli.export:export", "Write a clip's nodes as audio files."),
    "demo": Lazy("slakh_hier.cli.demo:demo", "Make a small data set, render and verify it."),
}

EPILOG = """Exit codes: 0 done; 1 done, but items were left out or failed; 2 wrong usage or input, nothing done;
3 stopped by a fault, finished work kept; 130/143 interrupted."""


class Terminated(KeyboardInterrupt):
    """SIGTERM: stop as Ctrl-C does, with its own exit code."""


@click.group(
    cls=LazyGroup, lazy=COMMANDS, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="slakh-hier")
def cli() -> None:
    """Hierarchical submixes of Slakh-like data sets: trees, HDF5 shards, baseline separators."""


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with the documented code."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        code = cli.main(args=arguments, prog_name="slakh-hier", standalone_mode=False)
    except click.exceptions.Abort as abort:
        code = 143 if isinstance(abort.__context__, Terminated) else 130
        _say(
            "interrupted: nothing half-made was left under a final name. Run the same command again to resume"
        )
    except KeyboardInterrupt as interrupt:
        code = 143 if isinstance(interrupt, Terminated) else 130
        _say(
            "interrupted: nothing half-made was left under a final name. Run the same command again to resume"
        )
    except click.ClickException as error:
        error.show()
        code = 2
    except click.exceptions.Exit as stop:
        code = stop.exit_code
    except BrokenPipeError:
        # The reader of our stdout (head, less) is gone; Python must not complain when it flushes.
        sys.stdout = open("/dev/null", "w")  # noqa: SIM115
        code = 0
    except Exception as error:
        from slakh_hier.errors import SlakhHierError

        if not isinstance(error, SlakhHierError):
            raise
        _say(f"error: {error}")
        code = error.exit_code
    sys.exit(code if isinstance(code, int) else 0)


def _terminate(number: int, frame: object) -> NoReturn:
    raise Terminated


def _say(text: str) -> None:
    click.echo(text, err=True)
