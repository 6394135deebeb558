"""``slakh-hier import``: own multitracks become a data set in Slakh's layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
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
from slakh_hier.cli.inputs import audio_format_option, channels_option, overwrite_option

if TYPE_CHECKING:
    from slakh_hier.importing.jobs import Bleed
    from slakh_hier.importing.song_splits import SplitBy
    from slakh_hier.importing.sources import AudioMode
    from slakh_hier.output.audio import AudioFormat

_MOST = 20


@click.command("import")
@click.argument("stems", type=click.Path())
@click.option("--map", "map_file", type=click.Path(), help="YAML: which files are which instrument.")
@click.option(
    "--layout",
    type=click.Choice(["moisesdb", "musdb18hq", "medleydb", "urmp", "ensembleset"]),
    help="STEMS is this data set: no map is needed.",
)
@click.option("-o", "--output", "out", type=click.Path(), help="Folder for the data set.")
@click.option(
    "--new-map", type=click.Path(), help="Write a map to start from, made of the names found, and stop."
)
@click.option(
    "--splits",
    show_default="80,10,10, or the layout's published splits",
    help="Percentages of songs for train, validation, test; a CSV or YAML file (song, split); or folders: as in STEMS.",
)
@click.option("--seed", type=int, default=588, show_default=True, help="Another seed draws other splits.")
@click.option(
    "--split-by",
    type=click.Choice(["artist", "song"]),
    default="artist",
    show_default=True,
    help="What a drawing keeps together: all songs of an artist, where it is known, or each song alone.",
)
@click.option(
    "--split-file",
    type=click.Path(),
    help="A table (song or song_id, split) for a part of the songs; it goes before --splits.",
)
@click.option(
    "--split-map",
    metavar="WORDS=SPLIT,...",
    help="What the table's words stand for: 1-3=train,4=validation,5=test.",
)
@click.option(
    "--shared-with",
    type=click.Path(),
    multiple=True,
    help="An imported data set: report songs that are in both (repeatable).",
)
@click.option(
    "--bleed",
    type=click.Choice(["keep", "drop-stem", "drop-song"]),
    default="keep",
    show_default=True,
    help="Stems in which others are heard, as far as the data set says so.",
)
@click.option(
    "--audio",
    type=click.Choice(["convert", "link", "copy"]),
    default="convert",
    show_default=True,
    help="Convert to 16 bits, or hard-link or copy the files as they are.",
)
@click.option(
    "--sample-rate",
    type=int,
    show_default="that of most of a song's files",
    help="Sample rate of converted files (Hz).",
)
@channels_option("Of converted files; auto: as the song's widest file. 1 averages left and right.")
@audio_format_option
@click.option("--metadata", type=click.Path(), help="medleydb: folder with the files <id>_METADATA.yaml.")
@click.option(
    "--mixing-coefficients", type=click.Path(), help="medleydb: file with the gains of stems in the mixes."
)
@click.option(
    "--main-system", is_flag=True, default=None, help="medleydb: take recordings of the whole room as stems."
)
@click.option("--microphone", help="ensembleset: which microphone.  [default: Mix_1]")
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
    layout: str | None,
    out: str | None,
    new_map: str | None,
    splits: str | None,
    seed: int,
    split_by: SplitBy,
    split_file: str | None,
    split_map: str | None,
    shared_with: tuple[str, ...],
    bleed: Bleed,
    audio: AudioMode,
    sample_rate: int | None,
    channels: int | None,
    audio_format: AudioFormat,
    metadata: str | None,
    mixing_coefficients: str | None,
    main_system: bool | None,
    microphone: str | None,
    update: bool,
    overwrite: bool,
    jobs: int,
    output_format: str,
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
            f"{new_map}: {count} instruments. Check it, then: slakh-hier import {stems} --map {new_map} -o SLAKH"
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
        bleed=bleed,
        splits=splits,
        seed=seed,
        split_by=split_by,
        split_file=split_file,
        split_map=split_map,
        shared_with=shared_with,
        audio=audio,
        sample_rate=sample_rate,
        channels=channels,
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
    if layout is not None and output_format == "table":
        note(f"look at it with: slakh-hier scan {out} --hierarchy {get_layout(layout).tree}")
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
