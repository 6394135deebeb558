"""``slakh-hier import``: own multitracks become a data set in Slakh's layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from slakh_hier.cli.command import command, data_option, output_option, split_option
from slakh_hier.cli.common import bars, note, note_all, print_json, print_table
from slakh_hier.cli.options import (
    audio_format_option,
    channels_option,
    format_option,
    jobs_option,
    overwrite_option,
)
from slakh_hier.wording import some, typed


@command("import")
@click.argument("stems", type=click.Path())
@data_option("--map", "map_file", type=click.Path(), help="YAML: which files are which instrument.")
@data_option(
    "--layout",
    type=click.Choice(["moisesdb", "musdb18hq", "medleydb", "urmp", "ensembleset"]),
    help="STEMS is this data set: no map is needed.",
)
@data_option(
    "--new-map", type=click.Path(), help="Write a map to start from, made of the names found, and stop."
)
@data_option(
    "--bleed",
    type=click.Choice(["keep", "drop-stem", "drop-song"]),
    default="keep",
    help="Stems in which others are heard, as far as the data set says so.",
)
@data_option("--metadata", type=click.Path(), help="medleydb: folder with the files <id>_METADATA.yaml.")
@data_option(
    "--mixing-coefficients", type=click.Path(), help="medleydb: file with the gains of stems in the mixes."
)
@data_option(
    "--main-system", is_flag=True, default=None, help="medleydb: take recordings of the whole room as stems."
)
@data_option("--microphone", show_default="Mix_1", help="ensembleset: which microphone.")
@split_option(
    "--splits",
    show_default="80,10,10, or the layout's published splits",
    help="Percentages of songs for train, validation, test; a CSV or YAML file (song, split); or folders: as in STEMS.",
)
@split_option("--seed", default=588, help="Another seed draws other splits.")
@split_option(
    "--split-by",
    type=click.Choice(["artist", "song"]),
    default="artist",
    help="What a drawing keeps together: all songs of an artist, where it is known, or each song alone.",
)
@split_option(
    "--split-file",
    type=click.Path(),
    help="A table (song or song_id, split) for a part of the songs; it goes before --splits.",
)
@split_option(
    "--split-map",
    metavar="WORDS=SPLIT,...",
    help="What the table's words stand for: 1-3=train,4=validation,5=test.",
)
@split_option(
    "--shared-with",
    type=click.Path(),
    multiple=True,
    help="An imported data set: report songs that are in both (repeatable).",
)
@output_option("-o", "--output", "out", type=click.Path(), help="Folder for the data set.")
@output_option(
    "--audio",
    type=click.Choice(["convert", "link", "copy"]),
    default="convert",
    help="Convert to 16 bits (24 where a song has more), or hard-link or copy the files as they are.",
)
@output_option(
    "--sample-rate",
    type=int,
    show_default="that of most of a song's files",
    help="Sample rate of converted files (Hz).",
)
@channels_option(
    output_option, "Of converted files; auto: as the song's widest file. 1 averages left and right."
)
@audio_format_option()
@output_option(
    "--update",
    is_flag=True,
    help="Make tracks again whose songs, map or options have changed, and remove those whose songs are gone.",
)
@overwrite_option
@format_option
@jobs_option
def import_(
    stems: str,
    map_file: str | None,
    layout: str | None,
    new_map: str | None,
    metadata: str | None,
    mixing_coefficients: str | None,
    main_system: bool | None,
    microphone: str | None,
    out: str | None,
    output_format: str,
    **options: Any,
) -> None:
    """Turn STEMS into a data set in Slakh's layout: a known data set of recordings (--layout), or a folder of songs that are
    folders of stems (--map).

    The songs are only read. The same command resumes a folder that was interrupted. Exit code 1: songs or files were left
    out; each is named with its reason.
    """
    from slakh_hier.errors import InputError
    from slakh_hier.importing import import_data_set, write_new_map
    from slakh_hier.importing.layouts import LayoutOptions, get_layout, what_is

    folder = Path(stems).expanduser()
    if new_map is not None:
        if map_file is not None or layout is not None or out is not None:
            raise click.UsageError(
                "--new-map writes a map and stops: --map, --layout and -o belong to the next command"
            )
        found = write_new_map(new_map, stems)
        count = len(found.instruments)
        note(
            f"{new_map}: {count} instruments. Check it, then: {typed('import', stems, '--map', new_map, '-o', 'SLAKH')}"
        )
        if known := what_is(folder):
            note(f"note: {known}")
        return
    if map_file is not None and layout is not None:
        raise click.UsageError("--map and --layout exclude each other")
    if map_file is None and layout is None:
        if folder.is_dir() and (known := what_is(folder)):
            raise InputError(known)
        raise click.UsageError("--map or --layout is needed (or --new-map FILE, to begin with a map)")
    if out is None:
        raise click.UsageError("-o is needed: the folder for the data set")
    report = import_data_set(
        stems,
        out,
        map_file=map_file,
        layout=layout,
        layout_options=LayoutOptions(
            metadata=Path(metadata) if metadata else None,
            mixing_coefficients=Path(mixing_coefficients) if mixing_coefficients else None,
            main_system=main_system,
            microphone=microphone,
        ),
        progress=bars(),
        **options,
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
    lacking = "not used" if layout is None else "missing"
    for lines in (
        [f"left out: {song}: {reason}" for song, reason in report.failures],
        [f"{lacking}: {file.file} in {_songs(file.songs)} {file.hint}" for file in report.unmatched],
        [f"warning: {song}: {remark}" for song, remark in report.remarks],
        [f"note: {text}" for text in report.notes],
    ):
        note_all(lines, "; --format json lists all")
    if layout is not None and output_format == "table":
        note(f"look at it with: {typed('scan', out, '--hierarchy', get_layout(layout).tree)}")
    if report.failures or report.unmatched:
        raise click.exceptions.Exit(1)


def _songs(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} songs ({some(names, most=3)})"
