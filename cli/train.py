"""``slakh-hier train``"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from slakh_hier.cli.command import command, running_option, training_option
from slakh_hier.cli.common import bars, note, print_facts, print_table, shown_warnings
from slakh_hier.cli.options import configuration_options, folder_option, format_option, overwrite_option

if TYPE_CHECKING:
    from slakh_hier.models.config import Task


@command()
@click.argument("task", type=click.Choice(["sss", "qbe"]))
@click.argument("shards", type=click.Path())
@configuration_options("the training")
@training_option(
    "--init-from",
    metavar="RUN",
    type=click.Path(),
    help="Start from the weights of another run with the same kind of network, as far as they fit.",
)
@folder_option("The run folder.", "run")
@overwrite_option
@format_option
@running_option("--devices", type=click.IntRange(min=1), help="Short for --set hardware.devices=N.")
def train(
    task: Task,
    shards: str,
    run: str,
    config: str | None,
    preset: str | None,
    settings: tuple[str, ...],
    init_from: str | None,
    devices: int | None,
    overwrite: bool,
    output_format: str,
) -> None:
    """Train a separator on SHARDS: one path (sss), or whatever a query sounds like (qbe).

    The same command resumes a run that was stopped, exactly as if it had not been. The run folder then
    holds the weights, the configuration, tables of the losses and TensorBoard logs.
    """
    import json
    from dataclasses import asdict

    from slakh_hier.models.config_file import load_config
    from slakh_hier.models.training import train as run_training

    if devices is not None:
        settings = (*settings, f"hardware.devices={devices}")
    if init_from is not None:
        settings = (*settings, f"training.init_from={json.dumps(init_from)}")
    with shown_warnings():
        result = run_training(
            load_config(task, config, preset=preset, settings=settings),
            shards,
            run,
            overwrite=overwrite,
            progress=bars(),
            report=note,
        )
    if not result.main:
        return
    row = {**asdict(result), "run": str(result.run), "names": ", ".join(result.names)}
    del row["main"]
    if output_format == "table":
        print_facts(
            {key: f"{value:.5g}" if isinstance(value, float) else value for key, value in row.items()}
        )
    else:
        print_table([row], output_format)
