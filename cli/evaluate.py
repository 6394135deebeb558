"""``slakh-hier evaluate``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from slakh_hier.cli import completion
from slakh_hier.cli.command import command, data_option, output_option, running_option
from slakh_hier.cli.common import bars, note, print_json, print_table, shown_warnings
from slakh_hier.cli.options import device_option, format_option, import_option, jobs_option

if TYPE_CHECKING:
    from slakh_hier.scores.summary import Summary


@command()
@click.argument("run", type=click.Path())
@click.argument("shards", type=click.Path())
@data_option(
    "--split",
    default="test",
    show_default=True,
    shell_complete=completion.splits,
    help="What to evaluate on.",
)
@output_option(
    "-o",
    "--output",
    "out",
    type=click.Path(),
    show_default="RUN/evaluation",
    help="Folder for SPLIT.json and .csv.",
)
@format_option
@jobs_option
@device_option
@running_option(
    "--devices",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="GPUs that work side by side.",
)
@running_option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=25,
    show_default=True,
    help="Clips at a time on a GPU.",
)
@import_option
def evaluate(run: str, shards: str, out: str | None, output_format: str, **options: Any) -> None:
    """Measure the separator of RUN on a split of SHARDS: SI-SDR per level and node, beside the unprocessed mixture.

    The oracle is the ideal real mask, the best that such masks can do. Intervals are 95 %, bootstrapped over songs.
    """
    from pathlib import Path

    from slakh_hier.models.evaluation import evaluate as run_evaluation
    from slakh_hier.models.shortfall import shortfall_of
    from slakh_hier.scores.tables import flat_rows

    with shown_warnings():
        result = run_evaluation(
            Path(run),
            shards,
            out=None if out is None else Path(out),
            progress=bars(),
            **options,
        )
    if output_format == "json":
        print_json(result.summary.model_dump(by_alias=True))
    elif output_format == "csv":
        print_table(flat_rows(result.summary), "csv")
    else:
        _print_tables(result.summary)
    for file in result.files:
        note(f"written: {file}")
    if (worse := shortfall_of(Path(run), result.summary)) is not None:
        note(f"warning: {worse}")


def _print_tables(summary: Summary) -> None:
    from slakh_hier.scores.tables import INTERVAL, score_tables
    from slakh_hier.wording import interval

    for table in score_tables(summary):
        print_table(
            [{**row, INTERVAL: interval(row[INTERVAL], 2)} for row in table.rows],
            title=table.title,
            secondary=("dropped", *(["level"] if table.by_node else []), "median", "clips", "oracle"),
        )
