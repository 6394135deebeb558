"""``slakh-hier evaluate``"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from slakh_hier.cli.common import (
    TerminalProgress,
    format_option,
    jobs_option,
    note,
    print_json,
    print_table,
    shown_warnings,
)
from slakh_hier.cli.model_options import device_option, import_option

if TYPE_CHECKING:
    from slakh_hier.models.separation import Device
    from slakh_hier.scores.summary import Summary


@click.command()
@click.argument("run", type=click.Path())
@click.argument("shards", type=click.Path())
@click.option("--split", default="test", show_default=True)
@click.option(
    "-o",
    "--output",
    "out",
    type=click.Path(),
    show_default="RUN/evaluation",
    help="Folder for SPLIT.json and .csv.",
)
@jobs_option
@device_option
@click.option(
    "--devices",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="GPUs that work side by side.",
)
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=25,
    show_default=True,
    help="Clips at a time on a GPU.",
)
@import_option
@format_option
def evaluate(
    run: str,
    shards: str,
    split: str,
    out: str | None,
    jobs: int,
    device: Device,
    devices: int,
    batch_size: int,
    output_format: str,
) -> None:
    """Measure the separator of RUN on a split of SHARDS: SI-SDR per level and node, beside the unprocessed mixture.

    The oracle is the ideal real mask, the best that such masks can do. Intervals are 95 %, bootstrapped over songs.
    """
    from pathlib import Path

    from slakh_hier.models.evaluation import evaluate as run_evaluation
    from slakh_hier.scores.tables import flat_rows

    with shown_warnings():
        result = run_evaluation(
            Path(run),
            shards,
            split=split,
            out=None if out is None else Path(out),
            jobs=jobs,
            device=device,
            devices=devices,
            batch_size=batch_size,
            progress=TerminalProgress(),
        )
    if output_format == "json":
        print_json(result.summary.model_dump(by_alias=True))
    elif output_format == "csv":
        print_table(flat_rows(result.summary), "csv")
    else:
        _print_tables(result.summary)
    for file in result.files:
        note(f"written: {file}")


def _print_tables(summary: Summary) -> None:
    from slakh_hier.scores.tables import INTERVAL, score_tables
    from slakh_hier.wording import interval

    for table in score_tables(summary):
        print_table([{**row, INTERVAL: interval(row[INTERVAL], 2)} for row in table.rows], title=table.title)
