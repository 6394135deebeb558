"""``slakh-hier synth``"""

from __future__ import annotations

from typing import Any

import click

from slakh_hier.cli.command import command, song_option
from slakh_hier.cli.common import bars, note, print_table, shown_warnings
from slakh_hier.cli.options import (
    backend_options,
    folder_option,
    format_option,
    jobs_option,
    overwrite_option,
)
from slakh_hier.wording import counted, typed


@command()
@click.argument("midi", nargs=-1, type=click.Path())
@song_option(
    "--compose",
    type=click.IntRange(min=1),
    metavar="N",
    help="Compose N songs instead of reading MIDI files.",
)
@song_option("--seconds", default=40.0, help="Length of a composed song, about.")
@song_option("--reorchestrate", is_flag=True, help="Spread the parts over all instrument categories.")
@song_option(
    "--max-seconds", type=float, show_default="whole songs", help="Take only the beginning of each song."
)
@song_option("--splits", default="75,15,10", metavar="TRAIN,VALIDATION,TEST", help="Percentages of songs.")
@song_option("--seed", default=588, help="Seed of patches, splits and composed songs.")
@song_option(
    "--soundfont",
    type=click.Path(),
    show_default="TimGM6mb.sf2 of the package pretty_midi",
    help="SoundFont to play (SF2 or SF3).",
)
@song_option(
    "--synthesiser",
    type=click.Choice(["builtin", "fluidsynth"]),
    default="builtin",
    help="What plays it: this package, or FluidSynth (if installed).",
)
@folder_option("Folder for the data set.")
@overwrite_option
@format_option
@jobs_option
@backend_options
def synth(
    midi: tuple[str, ...], compose: int | None, splits: str, out: str, output_format: str, **options: Any
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
            splits=parse_shares(splits),
            progress=bars(),
            **options,
        )
    print_table([asdict(split) for split in report.splits], output_format)
    if report.kept:
        note(f"{counted(report.kept, 'track')} there already, {report.made:,} made now")
    for name, remark in report.remarks:
        note(f"warning: {name}: {remark}")
    for text in report.notes:
        note(f"note: {text}")
    for name, reason in report.failures:
        note(f"left out: {name}: {reason}")
    if report.made + report.kept:
        note(f"look at it with: {typed('scan', out)}")
    if report.failures:
        raise click.exceptions.Exit(1)
