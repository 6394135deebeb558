"""``slakh-hier render``"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from slakh_hier.cli import completion
from slakh_hier.cli.command import clip_option, command, output_option, parsed
from slakh_hier.cli.common import bars, note, print_made, shown_warnings
from slakh_hier.cli.inputs import draw_plan, note_left_out, note_short
from slakh_hier.cli.options import (
    backend_options,
    dry_run_option,
    folder_option,
    format_option,
    jobs_option,
    on_broken_option,
    overwrite_option,
    part_option,
    plan_options,
)
from slakh_hier.wording import counted, typed

if TYPE_CHECKING:
    from slakh_hier.parallel import Backend
    from slakh_hier.shards.format import Dtype
    from slakh_hier.slakh.broken import OnBroken


def _parse_levels(value: str) -> list[int]:
    names = [name.strip() for name in value.split(",")]
    if not all(name == "category" or (name.isascii() and name.isdigit()) for name in names):
        raise click.BadParameter(f"levels are numbers and `category`, as in 3,2,1,category; {value!r} is not")
    return [0 if name == "category" else int(name) for name in names]


@command()
@click.argument("slakh", type=click.Path())
@plan_options
@clip_option("--plan", "plan_folder", type=click.Path(), help="A saved plan, instead of drawing one now.")
@folder_option("Folder for the shards.")
@output_option("--sample-rate", default=16_000, help="Sample rate of the shards (Hz).")
@output_option(
    "--levels",
    metavar="N,...",
    callback=parsed(_parse_levels),
    show_default="all numbered ones; with --target those of its path",
    help="Levels to render, as 3,2,1,category.",
)
@output_option(
    "--dtype", type=click.Choice(["int16", "float32"]), default="int16", help="How samples are stored."
)
@output_option(
    "--mask",
    "masks",
    multiple=True,
    metavar="KIND-PERCENT",
    shell_complete=completion.new_masks,
    help="Withhold ground truth: leaf-50, all-90. Repeatable.",
)
@output_option("--shard-mb", default=64.0, help="Largest size of a shard (MB).")
@overwrite_option
@dry_run_option
@format_option
@jobs_option
@part_option
@backend_options
@on_broken_option
@click.pass_context
def render(
    context: click.Context,
    /,
    slakh: str,
    out: str,
    plan_folder: str | None,
    sample_rate: int,
    levels: list[int] | None,
    dtype: Dtype,
    masks: tuple[str, ...],
    shard_mb: float,
    overwrite: bool,
    dry_run: bool,
    output_format: str,
    jobs: int,
    part: tuple[int, int] | None,
    backend: Backend,
    scheduler: str | None,
    on_broken: OnBroken,
    follow_links: bool,
    **options: Any,
) -> None:
    """Render clips of SLAKH, with every node of the tree as a source, into HDF5 shards.

    Scans the data set, measures it (once; it is kept) and draws a plan where none is given. The same command resumes a
    folder that was interrupted. The same plan gives the same bytes, whatever the number of jobs.
    """
    from slakh_hier.locks import refuse_locked
    from slakh_hier.plan import Plan
    from slakh_hier.rendering import render as run_render

    with shown_warnings():
        if not dry_run:
            refuse_locked(Path(out), part=part)
        if plan_folder is not None:
            _refuse_given(context, options)
            plan = Plan.load(plan_folder, slakh, follow_links=follow_links, jobs=jobs, progress=bars())
        else:
            plan = draw_plan(
                slakh, follow_links=follow_links, jobs=jobs, backend=backend, scheduler=scheduler, **options
            )
        report = run_render(
            plan,
            out,
            sample_rate=sample_rate,
            levels=levels,
            dtype=dtype,
            shard_mb=shard_mb,
            masks=masks,
            jobs=jobs,
            backend=backend,
            scheduler=scheduler,
            part=part,
            overwrite=overwrite,
            dry_run=dry_run,
            on_broken=on_broken,
            progress=bars(),
        )
    made = {
        "clips": report.clips,
        "shards": report.shards,
        "made": report.made,
        "kept": report.kept,
        "MB": round(report.bytes / 1e6, 2),
        "left_out": report.failures,
        "finished": report.finished,
    }
    print_made(report.folder, made, output_format)
    left_out, short = note_left_out(plan.catalog), note_short(plan)
    for name, why in report.repaired.items():
        note(f"note: {name} was made again: {why}")
    if report.failures:
        note(
            f"left out: {counted(report.failures, 'clip')} whose stems could not be decoded; see {out}/failures.jsonl"
        )
    if part is not None:
        note("this part is rendered; the same command without --part completes the set")
    elif report.finished:
        note(f"look at it with: {typed('inspect', out)}")
    if left_out or short or report.failures:
        raise click.exceptions.Exit(1)


def _refuse_given(context: click.Context, options: Mapping[str, Any]) -> None:
    """With a saved plan, options that would draw another one are a mistake, and not ignored."""
    given = [
        max(parameter.opts, key=len)
        for parameter in context.command.params
        if parameter.name in options
        and context.get_parameter_source(parameter.name) is click.core.ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(
            f"{', '.join(given)} cannot change the plan given with --plan; draw a new plan with it"
        )
