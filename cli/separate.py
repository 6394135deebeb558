"""``slakh-hier separate``"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from slakh_hier.cli.common import TerminalProgress, format_option, note, print_table, shown_warnings
from slakh_hier.cli.model_options import device_option, import_option

if TYPE_CHECKING:
    from slakh_hier.models.separation import Device
    from slakh_hier.output.audio import AudioFormat


@click.command()
@click.argument("run", type=click.Path())
@click.argument("audio", type=click.Path(), nargs=-1, required=True)
@click.option(
    "-o", "--output", "out", type=click.Path(), required=True, help="Folder; each file gets one below it."
)
@click.option("--query", type=click.Path(), help="A recording of the instrument to separate (qbe).")
@click.option(
    "--window-seconds",
    type=float,
    default=30.0,
    show_default=True,
    help="Chunk length, processed at once (s).",
)
@click.option(
    "--overlap-seconds", type=float, default=3.0, show_default=True, help="Cross-fade between chunks (s)."
)
@click.option(
    "--audio-format",
    type=click.Choice(["wav", "flac"]),
    default="wav",
    show_default=True,
    help="Format of the audio files; wav: 32-bit float, flac: 24 bits.",
)
@device_option
@import_option
@format_option
def separate(
    run: str,
    audio: tuple[str, ...],
    out: str,
    query: str | None,
    window_seconds: float,
    overlap_seconds: float,
    audio_format: AudioFormat,
    device: Device,
    output_format: str,
) -> None:
    """Separate AUDIO files, or folders of them, with the separator of RUN: one file per level, and the residual.

    Any length, sample rate and number of channels. Residual plus coarsest level is the input.
    """
    from pathlib import Path

    from slakh_hier.models.separation_files import separate_files

    with shown_warnings():
        done = separate_files(
            Path(run),
            [Path(path) for path in audio],
            Path(out),
            query=None if query is None else Path(query),
            window_seconds=window_seconds,
            overlap_seconds=overlap_seconds,
            audio_format=audio_format,
            device=device,
            progress=TerminalProgress(),
        )
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
