"""``slakh-hier submix``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from slakh_hier.cli.command import command, data_option, output_option, parsed
from slakh_hier.cli.common import bars, note, note_all, print_made, shown_warnings
from slakh_hier.cli.inputs import load_catalog, note_left_out
from slakh_hier.cli.options import (
    audio_format_option,
    backend_options,
    catalog_options,
    channels_option,
    dry_run_option,
    folder_option,
    format_option,
    jobs_option,
    on_broken_option,
    overwrite_option,
)

if TYPE_CHECKING:
    from slakh_hier.submix import SubmixReport
    from slakh_hier.submix.layout import Level


def _parse_level(value: str) -> Level:
    words: dict[str, Level] = {"category": "category", "stems": "stems"}
    if value in words:
        return words[value]
    if value.isascii() and value.isdigit():
        return int(value)
    raise click.BadParameter(f"a level is a number, category or stems; {value!r} is not")


@command()
@click.argument("slakh", type=click.Path())
@catalog_options
@data_option(
    "--split", "splits", multiple=True, metavar="NAME", help="Only tracks of this split. Repeatable."
)
@folder_option("Folder for the submixes.")
@output_option(
    "--level",
    callback=parsed(_parse_level),
    metavar="N|category|stems",
    show_default="all numbered levels",
    help="Write the nodes of one level; stems: a converted copy of the data set.",
)
@audio_format_option()
@output_option(
    "--sample-rate", type=int, show_default="the data set's own", help="Sample rate of the audio files (Hz)."
)
@channels_option(
    output_option, "Of the audio files; auto: as the track's widest stem. 1 averages left and right."
)
@output_option(
    "--on-clip",
    type=click.Choice(["scale", "float", "error"]),
    default="scale",
    help="When a submix exceeds full scale: one gain for the track's files, 32-bit float WAV for the track, or stop.",
)
@overwrite_option
@dry_run_option
@format_option
@jobs_option
@backend_options
@on_broken_option
def submix(slakh: str, out: str, dry_run: bool, output_format: str, jobs: int, **options: Any) -> None:
    """Write full-length submixes of SLAKH: for each track, one audio file per node of the tree.

    Each track gets a folder with mix, its nodes, unassigned (what no node takes) and metadata.yaml; the files of a
    level add up to the mix. The same command resumes a folder that was interrupted.
    """
    from slakh_hier.locks import refuse_locked
    from slakh_hier.submix import write_submixes

    with shown_warnings():
        if not dry_run:
            refuse_locked(Path(out))
        stems = load_catalog(slakh, options, jobs)
        report = write_submixes(stems, out, dry_run=dry_run, jobs=jobs, progress=bars(), **options)
    made = {
        "tracks": report.tracks,
        "made": report.made,
        "kept": report.kept,
        "files": report.files,
        "hours": round(report.hours, 4),
        "MB": round(report.bytes / 1e6, 2),
        "left_out": len(report.failures),
    }
    print_made(report.folder, made, output_format)
    if dry_run:
        note("dry run: nothing was written; MB is an estimate")
    incomplete = note_left_out(stems)
    if _note_tracks(report) or incomplete:
        raise click.exceptions.Exit(1)


def _note_tracks(report: SubmixReport) -> bool:
    """Say on stderr which tracks were scaled, written as float or left out; True when a track is missing."""
    lines = []
    for record in report.clipped:
        done = "written as 32-bit float WAV"
        if record.subtype == "PCM_16":
            done = f"all its files are scaled by {record.gain:.4f}"
        lines.append(
            f"clipping: {record.track}/{record.loudest} peaks at {record.peak_dbfs:+.2f} dBFS; {done}"
        )
    lines += [f"note: {track} was made again: {why}" for track, why in report.repaired.items()]
    lines += [f"left out: {track}: none of its stems has audio to mix" for track in report.empty]
    lines += [f"left out: {error.track}: its stem {error.stem} {error.reason}" for error in report.failures]
    if report.failures:
        lines.insert(0, f"left out: {len(report.failures)} tracks; see {report.folder}/failures.jsonl")
    note_all(lines, "; each track's metadata.yaml says what was done")
    return bool(report.failures or report.empty)
