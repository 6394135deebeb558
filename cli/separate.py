"""``slakh-hier separate``"""

from __future__ import annotations

import click

from slakh_hier.cli.common import TerminalProgress, format_option, note, print_table, shown_warnings
from slakh_hier.cli.model_options import device_option, import_option


@click.command()
@click.argument("run", type=click.Path())
@click.argument("audio", type=click.Path(), nargs=-1, required=True)
@click.option(
    "-o", "--output", "out", type=click.Path(), required=True, help="Folder; each file gets one below it."
)
@click.option("--query", type=click.Path(), help="A recording of the instrument to separate (qbe).")
@click.option(
    "--window-seconds", type=float, default=30.0, show_default=True, help="Length worked off at once."
)
@click.option(
    "--overlap-seconds", type=float, default=3.0, show_default=True, help="In which windows fade over."
)
@click.option(
    "--file-format",
    type=click.Choice(["wav", "flac"]),
    default="wav",
    show_default=True,
    help="wav: 32-bit float. flac: 24 bit.",
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
    file_format: str,
    device: str,
    output_format: str,
) -> None:
    """Separate AUDIO files with the separator of RUN: one file a level, and the residual.

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
            file_format=file_format,  # type: ignore[arg-type]  # click.Choice
            device=device,  # type: ignore[arg-type]
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
            note(f"warning: {one.source}: {one.clipped} samples were clipped; use --file-format wav")
    failed = [one for one in done if one.error]
    for one in failed:
        note(f"error: {one.error}")
    if failed:
        raise click.exceptions.Exit(1)
