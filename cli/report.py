"""``slakh-hier report``"""

from __future__ import annotations

from typing import Any

import click

from slakh_hier.cli.command import command, data_option, output_option
from slakh_hier.cli.common import note, say, shown_warnings
from slakh_hier.cli.options import import_option


@command()
@click.argument("folders", metavar="FOLDER [RUN2]", type=click.Path(), nargs=-1, required=True)
@output_option("-o", "--output", "page", type=click.Path(), help="The page, one HTML file.")
@output_option(
    "--plots", type=click.Path(), help="Folder for the figures as PNG and SVG; with or without a page."
)
@data_option("--split", default="test", help="Runs: the split whose evaluation is shown.")
@data_option(
    "--shards",
    type=click.Path(),
    show_default="those of the training",
    help="Runs, experiments: the shard set that was evaluated, to take clips from.",
)
@data_option("--clips", type=click.IntRange(min=0), default=20, help="Shard sets: clips to see and hear.")
@import_option
def report(folders: tuple[str, ...], page: str | None, **options: Any) -> None:
    """Write a page to look at and listen to: of a shard set, a run, an experiment, or two runs side by side.

    The page is one file that works anywhere, offline too. A shard set needs the extra `report`, a run also `train`.
    """
    from pathlib import Path

    from slakh_hier.reporting.write import write_report

    with shown_warnings():
        written = write_report(folders, page, **options)
    for path in written:
        say(path)
    if page is not None:
        note(f"Open it in a browser: {Path(page).resolve().as_uri()}")
