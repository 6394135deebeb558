"""``slakh-hier export``: a clip as audio files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from slakh_hier.cli import completion
from slakh_hier.cli.command import command, data_option
from slakh_hier.cli.common import note, say
from slakh_hier.cli.options import audio_format_option, folder_option
from slakh_hier.wording import counted

if TYPE_CHECKING:
    from slakh_hier.output.audio import AudioFormat


@command()
@click.argument("shards", type=click.Path())
@click.argument("clip", type=click.IntRange(min=0))
@data_option(
    "--split",
    shell_complete=completion.splits,
    show_default="the first with clips",
    help="Split in which CLIP is counted.",
)
@folder_option("Folder for the files.", "output")
@audio_format_option(
    "wav", ": 16 bits where that is exact; else WAV is float, and FLAC 24 bits with a common gain"
)
def export(shards: str, clip: int, output: str, split: str | None, audio_format: AudioFormat) -> None:
    """Write the nodes that sound in clip number CLIP (from 0) of the shard set SHARDS, and its query.

    clip.json says what each node is, silent and absent ones too. Nothing is ever clipped.
    """
    from slakh_hier.shards.export import export_clip

    paths = export_clip(shards, clip, output, split=split, audio_format=audio_format)
    for path in paths:
        say(path)
    note(counted(len(paths), "file"))
