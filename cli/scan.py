"""``slakh-hier scan``: what a data set holds, stem by stem."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from slakh_hier.cli.command import command, data_option, output_option
from slakh_hier.cli.common import bars, note, print_json, print_table, shown_warnings
from slakh_hier.cli.inputs import note_left_out, note_stems
from slakh_hier.cli.options import (
    errata_option,
    follow_links_option,
    format_option,
    hierarchy_option,
    jobs_option,
    split_scheme_option,
)


@command()
@click.argument("slakh", type=click.Path())
@hierarchy_option
@split_scheme_option
@errata_option
@follow_links_option
@data_option(
    "--deep",
    is_flag=True,
    help="Decode every file, compare the MD5 that FLAC carries, and look for the same audio in two splits (slow, once).",
)
@data_option(
    "--strict",
    is_flag=True,
    help="Make tracks left out, no audio at all, and songs or the same audio in two splits an error.",
)
@data_option(
    "--cache/--no-cache",
    default=True,
    help="Keep what was read in the user's cache folder and read only what has changed.",
)
@output_option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    help="Write the catalog, one row per stem, to this CSV file.",
)
@format_option
@jobs_option
def scan(slakh: str, hierarchy: str, output: str | None, output_format: str, **options: Any) -> None:
    """Catalog the stems of the data set SLAKH: songs, splits, categories, and what cannot be used and why.

    The data set is only read. Exit code 1: tracks had to be skipped, stems are missing or broken, or nothing has audio.
    """
    from slakh_hier.files import make_folder
    from slakh_hier.hierarchy import load_hierarchy
    from slakh_hier.slakh import scan as scan_folder
    from slakh_hier.slakh.frame import STATUSES

    if output:
        make_folder(Path(output).parent)
    with shown_warnings():
        catalog = scan_folder(slakh, load_hierarchy(hierarchy), progress=bars(), **options)
        if output:
            catalog.save(output)
    damaged = note_left_out(catalog)
    left_out = catalog.left_out()
    for status in ("excluded", "unassigned", "no_audio"):
        note_stems(left_out, status, f" {status}; -o and --format json list them all")
    for text in catalog.notes:
        note(f"note: {text}")
    if output_format == "json":
        print_json(
            {
                "root": str(catalog.root),
                "scheme": catalog.scheme,
                "hierarchy": catalog.hierarchy.name,
                "digest": catalog.digest,
                "splits": catalog.summary(),
                "left_out": left_out,
                "problems": catalog.problems,
                "notes": catalog.notes,
            }
        )
    else:
        rows = catalog.summary(narrow=output_format == "table")
        title = f"{catalog.root}, splits: {catalog.scheme}, tree: {catalog.hierarchy.name}"
        print_table(rows, output_format, title=title, secondary=("songs", *reversed(STATUSES[1:])))
    if damaged:
        raise click.exceptions.Exit(1)
