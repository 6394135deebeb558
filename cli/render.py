"""``slakh-hier render``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from slakh_hier.cli.common import (
    TerminalProgress,
    format_option,
    jobs_option,
    note,
    print_table,
    shown_warnings,
)
from slakh_hier.cli.inputs import (
    backend_options,
    draw_plan,
    dry_run_option,
    note_left_out,
    note_short,
    on_broken_option,
    overwrite_option,
    part_option,
    plan_options,
)

if TYPE_CHECKING:
    from slakh_hier.parallel import Backend
    from slakh_hier.shards.format import Dtype
    from slakh_hier.slakh.broken import OnBroken


def _parse_levels(context: click.Context, parameter: click.Parameter, value: str | None) -> list[int] | None:
    if value is None:
        return None
    names = [name.strip() for name in value.split(",")]
    if not all(name == "category" or (name.isascii() and name.isdigit()) for name in names):
        raise click.BadParameter(f"levels are numbers and `category`, as in 3,2,1,category; {value!r} is not")
    return [0 if name == "category" else int(name) for name in names]


@click.command()
@click.argument("slakh", type=click.Path())
@click.option("-o", "--output", "out", type=click.Path(), required=True, help="Folder for the shards.")
@click.option("--plan", "plan_folder", type=click.Path(), help="A saved plan, instead of drawing one now.")
@plan_options
@click.option("--shard-mb", type=float, default=64, show_default=True, help="Largest size of a shard (MB).")
@part_option
@click.option(
    "--sample-rate", type=int, default=16_000, show_default=True, help="Sample rate of the shards (Hz)."
)
@click.option(
    "--levels",
    callback=_parse_levels,
    show_default="all numbered ones",
    help="Levels to render, as 3,2,1,category.",
)
@click.option("--dtype", type=click.Choice(["int16", "float32"]), default="int16", show_default=True)
@click.option(
    "--mask",
    "masks",
    multiple=True,
    metavar="KIND-PERCENT",
    help="Withhold ground truth: leaf-50, all-90. Repeatable.",
)
@jobs_option
@backend_options
@overwrite_option
@dry_run_option
@on_broken_option
@format_option
@click.pass_context
def render(
    context: click.Context,
    /,
    slakh: str,
    out: str,
    plan_folder: str | None,
    shard_mb: float,
    part: tuple[int, int] | None,
    sample_rate: int,
    levels: list[int] | None,
    dtype: Dtype,
    masks: tuple[str, ...],
    jobs: int,
    backend: Backend,
    scheduler: str | None,
    overwrite: bool,
    dry_run: bool,
    on_broken: OnBroken,
    output_format: str,
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
            _refuse_plan_options(context)
            plan = Plan.load(
                plan_folder,
                slakh,
                follow_links=options["follow_links"],
                jobs=jobs,
                progress=TerminalProgress(),
            )
        else:
            plan = draw_plan(slakh, jobs=jobs, backend=backend, scheduler=scheduler, **options)
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
            progress=TerminalProgress(),
        )
    row = {
        "folder": str(report.folder),
        "clips": report.clips,
        "shards": report.shards,
        "made": report.made,
        "kept": report.kept,
        "MB": round(report.bytes / 1e6, 2),
        "left_out": report.failures,
        "finished": report.finished,
    }
    print_table([row], output_format)
    left_out, short = note_left_out(plan.catalog), note_short(plan)
    for name, why in report.repaired.items():
        note(f"note: {name} was made again: {why}")
    if report.failures:
        note(f"left out: {report.failures} clips whose stems could not be decoded; see {out}/failures.jsonl")
    if part is not None:
        note("this part is rendered; the same command without --part completes the set")
    elif report.finished:
        note(f"look at it with: slakh-hier inspect {out}")
    if left_out or short or report.failures:
        raise click.exceptions.Exit(1)


def _refuse_plan_options(context: click.Context) -> None:
    """With a saved plan, options that would draw another one are a mistake, not to be passed over."""
    drawing = {
        "hierarchy", "split_scheme", "catalog", "errata", "activity", "target", "any_target", "clips", "clip_seconds",
        "step", "salience_db", "salience_below_mix", "companion", "queries", "channels", "seed",
    }  # fmt: skip
    given = [
        f"--{name.replace('_', '-').replace('any-target', 'any')}"
        for name in sorted(drawing)
        if context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    ]
    if given:
        raise click.UsageError(
            f"{', '.join(given)} cannot change the plan given with --plan; draw a new plan with it"
        )
