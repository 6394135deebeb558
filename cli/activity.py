"""``slakh-hier activity``"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from slakh_hier.cli.common import (
    TerminalProgress,
    jobs_option,
    note,
    say,
    shown_warnings,
)
from slakh_hier.cli.inputs import backend_options, catalog_options, load_catalog, note_left_out, part_option

if TYPE_CHECKING:
    from slakh_hier.parallel import Backend


@click.command()
@click.argument("slakh", type=click.Path())
@click.option(
    "-o",
    "--output",
    "path",
    type=click.Path(),
    help="The activity file.  [default: in the user's cache folder]",
)
@catalog_options
@jobs_option
@backend_options
@part_option
def activity(
    slakh: str,
    path: str | None,
    hierarchy: str,
    split_scheme: str | None,
    catalog: str | None,
    errata: bool,
    follow_links: bool,
    jobs: int,
    backend: Backend,
    scheduler: str | None,
    part: tuple[int, int] | None,
) -> None:
    """Measure the stems of SLAKH once: the energy of every combination of stems, in half-second steps.

    Every plan, for any tree and any threshold, is drawn from this file without reading audio again. A pass that was
    stopped is resumed; files that were changed are measured again.
    """
    from slakh_hier.plan import measure_activity
    from slakh_hier.plan.activity import refuse_measuring
    from slakh_hier.plan.activity_file import ActivityFile

    with shown_warnings():
        refuse_measuring(slakh, path, part)
        stems = load_catalog(slakh, hierarchy, split_scheme, catalog, errata, follow_links, jobs)
        written = measure_activity(
            stems,
            path,
            jobs=jobs,
            backend=backend,
            scheduler=scheduler,
            part=part,
            progress=TerminalProgress(),
        )
        if part is None:
            with ActivityFile(written) as file:
                stems = stems.with_broken(file.all_broken())
    say(str(written))
    if part is not None:
        note("this part is measured; the same command without --part completes the file")
    if note_left_out(stems):
        raise click.exceptions.Exit(1)
