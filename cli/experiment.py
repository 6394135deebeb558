"""``slakh-hier experiment``"""

from __future__ import annotations

from typing import Any

import click

from slakh_hier.cli import completion
from slakh_hier.cli.command import command, running_option, training_option
from slakh_hier.cli.common import bars, note, print_json, print_table, shown_warnings
from slakh_hier.cli.options import configuration_options, folder_option, format_option


@command()
@click.argument("name", type=click.Choice(["hc", "levels", "reduction"]))
@click.argument("shards", nargs=-1, required=True, type=click.Path())
@configuration_options("all cells")
@training_option(
    "--node",
    shell_complete=completion.nodes,
    show_default="the one the shards were rendered for",
    help="SSS: the node of level 1 whose path is separated.",
)
@training_option("--seeds", type=click.IntRange(min=1), default=1, help="Repetitions of each cell.")
@training_option("--cell", "cells", multiple=True, help="Only this cell. Repeatable.")
@folder_option("Folder for runs and results; one for all three.")
@format_option
@running_option("--list", "list_only", is_flag=True, help="List the cells and their state, and do nothing.")
@running_option("-j", "--jobs", type=click.IntRange(min=1), default=1, help="Cells at a time, in processes.")
@running_option(
    "--gpus",
    default="",
    show_default=False,
    metavar="0,1,...",
    help="Share out these GPUs; --jobs is then at least their number.",
)
def experiment(
    name: str,
    shards: tuple[str, ...],
    cells: tuple[str, ...],
    out: str,
    output_format: str,
    list_only: bool,
    jobs: int,
    gpus: str,
    **options: Any,
) -> None:
    """Reproduce an experiment of the paper on SHARDS: train and test each cell of its grid, then judge the claims.

    hc: with and without the hierarchical constraint. levels: one model per level against one for all. reduction: 0, 50
    and 90 % of the ground truth withheld. SHARDS are a set for one target (SSS) and one with queries (QBE), as far
    as the experiment needs them. The same command resumes an interrupted experiment; runs that experiments share are
    trained once.
    """
    from slakh_hier.models.experiments.run import list_cells, run_experiment
    from slakh_hier.models.experiments.writing import flat_rows, result_tables

    numbers = tuple(number.strip() for number in gpus.split(",") if number.strip())
    with shown_warnings():
        if list_only:
            every = list_cells(name, shards, out, **options)
            rows = [
                {"cell": c.name, "seed": c.seed, "state": c.state(), "run": str(c.run)}
                for c in every
                if not cells or c.name in cells
            ]
            print_table(rows, output_format)
            return
        outcome = run_experiment(
            name,
            shards,
            out,
            cells=cells,
            jobs=max(jobs, len(numbers)),
            gpus=numbers,
            progress=bars(),
            report=note,
            **options,
        )
    found = outcome.results
    if output_format == "json":
        print_json(found.model_dump(by_alias=True))
    elif output_format == "csv":
        print_table(flat_rows(found), "csv")
    else:
        for title, rows in result_tables(found):
            print_table(rows, title=title, secondary=("seeds", "median", "mixture", "estimate"))
        print_table([claim.model_dump() for claim in found.claims], title="Claims")
    for file in outcome.files:
        note(f"written: {file}")
    for label, why in outcome.failed.items():
        note(f"not finished: {label}: {why}")
    if outcome.failed:
        raise click.exceptions.Exit(1)
