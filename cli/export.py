"""``slakh-hier export``: a clip as audio files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from slakh_hier.cli.common import (
    note,
    say,
)

if TYPE_CHECKING:
    from slakh_hier.output.audio import AudioFormat


@click.command()
@click.argument("shards", type=click.Path())
@click.argument("clip", type=click.IntRange(min=0))
@click.option("-o", "--output", required=True, type=click.Path(file_okay=False), help="Folder for the files.")
@click.option("--split", help="Split in which CLIP is counted.  [default: the first with clips]")
@click.option(
    "--audio-format",
    type=click.Choice(["wav", "flac"]),
    default="wav",
    show_default=True,
    help="Format of the audio files: 16 bits where that is exact; else WAV is float, and FLAC 24 bits with a common gain.",
)
def export(shards: str, clip: int, output: str, split: str | None, audio_format: AudioFormat) -> None:
    """Write the nodes that sound in clip number CLIP (from 0) of the shard set SHARDS, and its query.

    clip.json says what each node is, silent and absent ones too. Nothing is ever clipped.
    """
    from slakh_hier.shards.export import export_clip

    paths = export_clip(shards, clip, output, split=split, audio_format=audio_format)
    for path in paths:
        say(path)
    note(f"{len(paths)} files")
