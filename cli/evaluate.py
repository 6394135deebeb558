"""``slakh-hier evaluate``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from slakh_hier.cli import completion
from slakh_hier.cli.command import command, data_option, output_option, running_option
from slakh_hier.cli.common import bars, note, print_json, print_table, shown_warnings
from slakh_hier.cli.inputs import load_catalog
from slakh_hier.cli.options import catalog_options, device_option, format_option, import_option, jobs_option

if TYPE_CHECKING:
    from slakh_hier.models.evaluation import Evaluation
    from slakh_hier.models.separation import Device
    from slakh_hier.scores.summary import Summary


@command()
@click.argument("run", type=click.Path())
@click.argument("shards", type=click.Path(), required=False)
@data_option("--split", default="test", shell_complete=completion.splits, help="What to evaluate on.")
@data_option(
    "--songs",
    type=click.Path(),
    metavar="DATA",
    help="Instead of SHARDS: separate the whole songs of a data set in Slakh's layout, and measure SNR too.",
)
@data_option(
    "--pairs",
    type=click.Path(),
    metavar="CSV",
    help="With --songs and qbe: a table song_id, query_id, stem, instead of queries from songs drawn by a hash.",
)
@catalog_options
@output_option(
    "-o",
    "--output",
    "out",
    type=click.Path(),
    show_default="RUN/evaluation",
    help="Folder for SPLIT.json and .csv (songs-SPLIT).",
)
@format_option
@jobs_option
@device_option
@running_option("--devices", type=click.IntRange(min=1), default=1, help="GPUs that work side by side.")
@running_option("--batch-size", type=click.IntRange(min=1), default=25, help="Clips at a time on a GPU.")
@import_option
def evaluate(
    run: str,
    shards: str | None,
    split: str,
    songs: str | None,
    pairs: str | None,
    out: str | None,
    output_format: str,
    jobs: int,
    device: Device,
    devices: int,
    batch_size: int,
    **catalog: Any,
) -> None:
    """Measure the separator of RUN on a split of SHARDS: SI-SDR per level and node, beside the unprocessed mixture.

    The oracle is the ideal real mask, the best that such masks can do. Intervals are 95 %, bootstrapped over songs.

    With --songs, whole songs are separated at their own rate, and SNR is measured too, the "SDR" of the Music Demixing
    Challenges. --hierarchy must be the tree of the separator's training; --devices and --batch-size are not used, --jobs only by the scan.
    """
    from slakh_hier.models.shortfall import shortfall_of
    from slakh_hier.scores.tables import flat_rows

    if (shards is None) == (songs is None):
        raise click.UsageError("give SHARDS, or --songs DATA to separate whole songs")
    if pairs is not None and songs is None:
        raise click.UsageError("--pairs names whole songs: it needs --songs DATA")
    common: dict[str, Any] = {
        "split": split,
        "out": out,
        "device": device,
        "progress": bars(),
    }
    with shown_warnings():
        result: Evaluation
        if songs is not None:
            from slakh_hier.models.song_evaluation import evaluate_songs

            stems = load_catalog(songs, catalog, jobs)
            result = evaluate_songs(run, stems, pairs=pairs, **common)
        else:
            from slakh_hier.models.evaluation import evaluate as run_evaluation

            assert shards is not None
            result = run_evaluation(run, shards, jobs=jobs, devices=devices, batch_size=batch_size, **common)
    if output_format == "json":
        print_json(result.summary.model_dump(by_alias=True))
    elif output_format == "csv":
        print_table(flat_rows(result.summary), "csv")
    else:
        _print_tables(result.summary)
    for file in result.files:
        note(f"written: {file}")
    if (worse := shortfall_of(run, result.summary)) is not None:
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
