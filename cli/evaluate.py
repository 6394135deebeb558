"""``slakh-hier evaluate``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
    """Measure the separator of RUN on a split of SHARDS: SI-SDR per level and node.

    Beside it stand the untouched mixture and an oracle mask, the best that masks can do. Intervals are 95 %,
    bootstrapped over songs.
    """
    from pathlib import Path

    from slakh_hier.models.evaluation import evaluate as run_evaluation
    from slakh_hier.models.summary import level_rows, node_rows

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
        print_json(result.summary)
    elif output_format == "csv":
        print_table(_shown(node_rows(result.summary)), "csv")
    else:
        print_table(_shown(level_rows(result.summary)), title=f"SI-SDR (dB), {split}")
        print_table(_shown(node_rows(result.summary)), title="By node")
    for file in result.files:
        note(f"written: {file}")


def _shown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with the interval in words; an unknown one stays empty."""
    from slakh_hier.wording import interval

    return [
        {
            **{("95 % interval" if name == "ci95" else name): value for name, value in row.items()},
            "95 % interval": None if row["ci95"] is None else interval(row["ci95"], 2),
        }
        for row in rows
    ]
