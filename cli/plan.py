"""``slakh-hier plan``"""

from __future__ import annotations

from typing import Any

import click

from slakh_hier.cli.command import command
from slakh_hier.cli.common import note, print_json, print_table, shown_warnings
from slakh_hier.cli.inputs import draw_plan, note_folding, note_left_out, note_short
from slakh_hier.cli.options import backend_options, folder_option, format_option, jobs_option, plan_options
from slakh_hier.wording import typed


@command()
@click.argument("slakh", type=click.Path())
@plan_options
@folder_option("Folder for plan.yaml and clips.csv, with the catalog and the tree beside them.")
@format_option
@jobs_option
@backend_options
def plan(slakh: str, out: str, output_format: str, **options: Any) -> None:
    """Draw the clips of SLAKH and say what there will be, before any audio is rendered.

    Prints clips and hours of each split and node, the disk that shards of it take at 16 kHz, the SI-SDR of the
    unprocessed mixture against the target at each level, and the nodes of stereo data that one channel would cost much.
    """
    from slakh_hier.plan.summary import node_rows, split_rows

    with shown_warnings():
        drawn = draw_plan(slakh, **options)
        drawn.save(out)
    splits, nodes = split_rows(drawn), node_rows(drawn)
    if output_format == "json":
        found = {
            "digest": drawn.digest,
            "channels": drawn.parameters.channels,
            "splits": splits,
            "nodes": nodes,
        }
        print_json({**found, "folding": [vars(loss) for loss in drawn.folding]})
    elif output_format == "csv":
        print_table(nodes, "csv")
    else:
        print_table(
            splits,
            title=f"Clips drawn with {drawn.hierarchy.name}, and the SI-SDR of the mixture by level (dB)",
            secondary=("asked", "tracks", "GB", "hours"),
        )
        print_table(nodes, title="Target nodes", secondary=("level", "salient", "alone"))
        links = ["--follow-links"] if drawn.catalog.follow_links else []
        note(f"render it with: {typed('render', slakh, '--plan', out, *links, '-o', 'SHARDS')}")
    note_folding(drawn)
    left_out, short = note_left_out(drawn.catalog), note_short(drawn)
    if left_out or short:
        raise click.exceptions.Exit(1)
