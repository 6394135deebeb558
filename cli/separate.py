"""``slakh-hier separate``"""

from __future__ import annotations

from typing import Any

import click

from slakh_hier.cli.command import command, data_option, running_option
from slakh_hier.cli.common import bars, note, print_table, say, shown_warnings
from slakh_hier.cli.options import (
    audio_format_option,
    device_option,
    folder_option,
    format_option,
    import_option,
)


@command()
@click.argument("run", type=click.Path())
@click.argument("audio", type=click.Path(), nargs=-1, required=True)
@data_option("--query", type=click.Path(), help="A recording of the instrument to separate (qbe).")
@folder_option("Folder; each file gets one below it.")
@audio_format_option("wav", "; wav: 32-bit float, flac: 24 bits")
@format_option
@device_option
@import_option
@running_option("--window-seconds", default=30.0, help="Length of a window, processed at once (s).")
@running_option("--overlap-seconds", default=3.0, help="Cross-fade between windows (s).")
def separate(run: str, audio: tuple[str, ...], out: str, output_format: str, **options: Any) -> None:
    """Separate AUDIO files, or folders of them, with the separator of RUN: one file per level, and the residual.

    Any length and sample rate, up to 8 channels. Residual plus coarsest level is the input.
    """
    from slakh_hier.models.separation_files import separate_files

    with shown_warnings():
        done = separate_files(run, audio, out, progress=bars(), **options)
    if output_format == "table":
        for one in done:
            for file in one.files:
                say(file)
    else:
        rows = [
            {"source": str(one.source), "seconds": one.seconds, "file": str(file)}
            for one in done
            for file in one.files
        ]
        print_table(rows, output_format)
    for one in done:
        if one.clipped:
            note(f"warning: {one.source}: {one.clipped} samples were clipped; use --audio-format wav")
    failed = [one for one in done if one.error]
    for one in failed:
        note(f"error: {one.error}")
    if failed:
        raise click.exceptions.Exit(1)
