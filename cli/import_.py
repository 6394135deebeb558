"""``slakh-hier import``: own multitracks become a data set in Slakh's layout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from slakh_hier.cli.common import (
    TerminalProgress,
    format_option,
    jobs_option,
    note,
    print_json,
    print_table,
)
from slakh_hier.cli.inputs import audio_format_option, overwrite_option

if TYPE_CHECKING:
    from slakh_hier.importing.sources import AudioMode
    from slakh_hier.output.audio import AudioFormat

_MOST = 20


@click.command("import")
@click.argument("stems", type=click.Path())
@click.option("--map", "map_file", type=click.Path(), help="YAML: which files are which instrument.")
@click.option("-o", "--output", "out", type=click.Path(), help="Folder for the data set.")
@click.option(
    "--new-map", type=click.Path(), help="Write a map to start from, made of the names found, and stop."
)
@click.option(
    "--splits",
    default="80,10,10",
    show_default=True,
    help="Percentages of songs for train, validation, test; a CSV or YAML file (song, split); or folders: as in STEMS.",
)
@click.option("--seed", type=int, default=588, show_default=True, help="Another seed draws other splits.")
@click.option(
    "--audio",
    type=click.Choice(["convert", "link", "copy"]),
    default="convert",
    show_default=True,
    help="Convert to 16-bit mono, or hard-link or copy the files as they are.",
)
@click.option(
    "--sample-rate",
    type=int,
    show_default="that of most of a song's files",
    help="Sample rate of converted files (Hz).",
)
@audio_format_option
@click.option(
    "--update",
    is_flag=True,
    help="Make tracks again whose songs, map or options have changed, and remove those whose songs are gone.",
)
@overwrite_option
@jobs_option
@format_option
def import_(
    stems: str,
    map_file: str | None,
    out: str | None,
    new_map: str | None,
    splits: str,
    seed: int,
    audio: AudioMode,
    sample_rate: int | None,
    audio_format: AudioFormat,
    update: bool,
    overwrite: bool,
    jobs: int,
    output_format: str,
) -> None:
    """Turn STEMS, a folder of songs that are folders of stems, into a data set in Slakh's layout.

    The songs are only read. The same command resumes a folder that was interrupted. Exit code 1: songs or files were left
    out; each is named with its reason.
    """
    from slakh_hier.importing import import_data_set, write_new_map

    if new_map is not None:
        if map_file is not None or out is not None:
            raise click.UsageError(
                "--new-map writes a map and stops: --map and -o belong to the next command"
            )
        found = write_new_map(new_map, stems)
        count = len(found.instruments)
        note(
            f"{new_map}: {count} instruments. Check it, then: slakh-hier import {stems} --map {new_map} -o SLAKH"
        )
        return
    if map_file is None or out is None:
        raise click.UsageError("--map and -o are needed (or --new-map FILE, to begin with a map)")
    report = import_data_set(
        stems,
        out,
        map_file=map_file,
        splits=splits,
        seed=seed,
        audio=audio,
        sample_rate=sample_rate,
        audio_format=audio_format,
        update=update,
        overwrite=overwrite,
        jobs=jobs,
        progress=TerminalProgress(),
    )
    rows = [vars(row) for row in report.splits]
    if output_format == "json":
        print_json(
            {
                "folder": str(report.folder),
                "splits": rows,
                "made": report.made,
                "kept": report.kept,
                "failures": [{"song": song, "reason": reason} for song, reason in report.failures],
                "unmatched": [vars(file) for file in report.unmatched],
                "remarks": [{"song": song, "remark": remark} for song, remark in report.remarks],
                "notes": report.notes,
            }
        )
    else:
        print_table(rows, output_format, title=f"{report.folder}: {report.made} made, {report.kept} kept")
    _note_all("left out", [f"{song}: {reason}" for song, reason in report.failures])
    unmatched = [f"{file.file} in {_songs(file.songs)} {file.hint}" for file in report.unmatched]
    _note_all("not used", unmatched)
    _note_all("warning", [f"{song}: {remark}" for song, remark in report.remarks])
    _note_all("note", report.notes)
    if report.failures or report.unmatched:
        raise click.exceptions.Exit(1)


def _note_all(kind: str, texts: Sequence[str]) -> None:
    for text in texts[:_MOST]:
        note(f"{kind}: {text}")
    if len(texts) > _MOST:
        note(f"... and {len(texts) - _MOST} more; --format json lists all")


def _songs(names: Sequence[str], most: int = 3) -> str:
    if len(names) == 1:
        return names[0]
    return f"{len(names)} songs ({', '.join(names[:most])}{', ...' if len(names) > most else ''})"
