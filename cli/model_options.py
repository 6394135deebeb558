"""Options that the commands of separators share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="auto: a GPU if there is one.",
)


def configuration_options(what: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """``--preset``, ``--config`` and ``--set``: the configuration of ``what``."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(
            (
                click.option(
                    "--preset",
                    show_default="paper",
                    help="What to start from: paper, paper-small and small (a laptop), tiny (a test), bandsplit.",
                ),
                click.option(
                    "--config", type=click.Path(), help="YAML file with any part of the configuration."
                ),
                click.option(
                    "--set",
                    "settings",
                    multiple=True,
                    metavar="KEY=VALUE",
                    help=f"One value of {what}, as training.epochs=20 or levels=[1,2]. Repeatable; wins over file and "
                    "preset.",
                ),
            )
        ):
            command = option(command)
        return command

    return decorate


def _import_files(context: click.Context, _: click.Parameter, files: tuple[str, ...]) -> None:
    if files and not context.resilient_parsing:
        from slakh_hier.models.registry import import_file

        for file in files:
            import_file(file)


import_option = click.option(
    "--import",
    multiple=True,
    metavar="FILE",
    type=click.Path(),
    expose_value=False,
    callback=_import_files,
    help="A Python file that registers networks, losses or metrics of yours. Repeatable.",
)
