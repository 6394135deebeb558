"""``slakh-hier activity``"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from slakh_hier.cli.command import command, output_option
from slakh_hier.cli.common import bars, note, say, shown_warnings
from slakh_hier.cli.inputs import load_catalog, note_left_out
from slakh_hier.cli.options import backend_options, catalog_options, jobs_option, part_option

if TYPE_CHECKING:
    from slakh_hier.parallel import Backend


@command()
@click.argument("slakh", type=click.Path())
@catalog_options
@output_option(
    "-o",
    "--output",
    "path",
    type=click.Path(),
    show_default="in the user's cache folder",
    help="The activity file.",
)
@jobs_option
@part_option
@backend_options
def activity(
    slakh: str,
    path: str | None,
    jobs: int,
    part: tuple[int, int] | None,
    backend: Backend,
    scheduler: str | None,
    **catalog: Any,
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
        stems = load_catalog(slakh, catalog, jobs)
        written = measure_activity(
            stems,
            path,
            jobs=jobs,
            backend=backend,
            scheduler=scheduler,
            part=part,
            progress=bars(),
        )
        if part is None:
            with ActivityFile(written) as file:
                stems = stems.with_broken(file.all_broken())
    say(str(written))
    if part is not None:
        note("this part is measured; the same command without --part completes the file")
    if note_left_out(stems):
        raise click.exceptions.Exit(1)
