"""``slakh-hier synth``"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from slakh_hier.cli.common import (
    TerminalProgress,
    format_option,
    jobs_option,
    note,
    print_table,
    shown_warnings,
)
from slakh_hier.cli.inputs import backend_options, overwrite_option

if TYPE_CHECKING:
    from slakh_hier.parallel import Backend
    from slakh_hier.synth import Synthesiser


@click.command()
@click.argument("midi", nargs=-1, type=click.Path())
@click.option("-o", "--output", "out", type=click.Path(), required=True, help="Folder for the data set.")
@click.option(
    "--compose",
    type=click.IntRange(min=1),
    metavar="N",
    help="Compose N songs instead of reading MIDI files.",
)
@click.option(
    "--seconds", type=float, default=40, show_default=True, help="Length of a composed song, about."
)
@click.option(
    "--soundfont",
    type=click.Path(),
    show_default="TimGM6mb.sf2 of the package pretty_midi",
    help="SoundFont to play (SF2 or SF3).",
)
@click.option(
    "--synthesiser",
    type=click.Choice(["builtin", "fluidsynth"]),
    default="builtin",
    show_default=True,
    help="What plays it: this package, or FluidSynth (if installed).",
)
@click.option("--reorchestrate", is_flag=True, help="Spread the parts over all instrument categories.")
@click.option(
    "--max-seconds", type=float, show_default="whole songs", help="Take only the beginning of each song."
)
@click.option(
    "--splits",
    default="75,15,10",
    show_default=True,
    metavar="TRAIN,VALIDATION,TEST",
    help="Percentages of songs.",
)
@click.option(
    "--seed", type=int, default=588, show_default=True, help="Seed of patches, splits and composed songs."
)
@overwrite_option
@jobs_option
@backend_options
@format_option
def synth(
    midi: tuple[str, ...],
    out: str,
    compose: int | None,
    seconds: float,
    soundfont: str | None,
    synthesiser: Synthesiser,
    reorchestrate: bool,
    max_seconds: float | None,
    splits: str,
    seed: int,
    overwrite: bool,
    jobs: int,
    backend: Backend,
    scheduler: str | None,
    output_format: str,
) -> None:
    """Make a data set in Slakh's layout from MIDI files, folders of them, or composed songs.

    The same songs and options give the same bytes, whatever the number of jobs. The same command again completes a
    folder that was interrupted. A file that cannot be used is reported and left out.
    """
    from dataclasses import asdict

    from slakh_hier.splits import parse_shares
    from slakh_hier.synth import make_data_set

    with shown_warnings():
        report = make_data_set(
            midi,
            out,
            compose=compose or 0,
            seconds=seconds,
            soundfont=soundfont,
            synthesiser=synthesiser,
            reorchestrate=reorchestrate,
            max_seconds=max_seconds,
            splits=parse_shares(splits),
            seed=seed,
            overwrite=overwrite,
            jobs=jobs,
            backend=backend,
            scheduler=scheduler,
            progress=TerminalProgress(),
        )
    print_table([asdict(split) for split in report.splits], output_format)
    if report.kept:
        note(f"{report.kept} tracks were there already, {report.made} were made now")
    for name, remark in report.remarks:
        note(f"warning: {name}: {remark}")
    for text in report.notes:
        note(f"note: {text}")
    for name, reason in report.failures:
        note(f"left out: {name}: {reason}")
    if report.made + report.kept:
        note(f"look at it with: slakh-hier scan {out}")
    if report.failures:
        raise click.exceptions.Exit(1)
