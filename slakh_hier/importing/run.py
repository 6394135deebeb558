"""Importing a folder of songs: matched, checked, made in parallel, and resumed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from slakh_hier.errors import InputError
from slakh_hier.importing.jobs import ImportPlan, Unmatched, plan_tracks
from slakh_hier.importing.map_file import load_map
from slakh_hier.importing.song_splits import DEFAULT_SPLITS, are_shares, split_songs
from slakh_hier.importing.songs import SongFolder, find_songs
from slakh_hier.importing.sources import AudioMode, ImportRecord, Settings
from slakh_hier.importing.track import import_track
from slakh_hier.locks import refuse_locked
from slakh_hier.output.audio import AudioFormat, check_audio
from slakh_hier.output.folder import OutputFolder
from slakh_hier.output.items import finished_tracks
from slakh_hier.output.tracks import DataSetReport, make_tracks
from slakh_hier.progress import Progress
from slakh_hier.wording import some

DEFAULT_SEED = 588


@dataclass(frozen=True)
class ImportReport(DataSetReport):
    """What came of an import; ``unmatched`` are files that no pattern of the map fits, without which songs were made."""

    unmatched: tuple[Unmatched, ...]


def import_data_set(
    stems: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    map_file: str | os.PathLike[str],
    splits: str | os.PathLike[str] = DEFAULT_SPLITS,
    seed: int = DEFAULT_SEED,
    audio: AudioMode = "convert",
    sample_rate: int | None = None,
    audio_format: AudioFormat = "flac",
    update: bool = False,
    overwrite: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Turn a folder of songs, each a folder of stems, into a data set in Slakh's layout. The songs are only read.

    The same songs, map and parameters give the same bytes, whatever the number of jobs. A folder that holds a part of
    the same data set is completed, and tracks of it are made again whose files are gone or have changed. A song that cannot
    be used is left out and reported.

    Parameters
    ----------
    map_file
        YAML: which files are which instrument; see docs/import.md.
    splits, seed
        Percentages drawn by song with the seed, a CSV or YAML file, or ``folders``; see
        :func:`~slakh_hier.importing.song_splits.split_songs`.
    audio
        ``convert``: 16-bit mono files of one rate and length per song, which add up to the mix. ``link``: hard links to
        the files as they are (copies on another file system). ``copy``: copies of them.
    sample_rate
        Of converted files (Hz); None: that of most of a song's files.
    audio_format
        Of converted files.
    update
        Make tracks again whose songs, entries in the map or parameters have changed, and remove those whose songs are
        gone. Without it that is an error.
    overwrite
        Remove what an earlier import made in ``out`` first.
    jobs
        Parallel workers; None or 0: one per CPU core.

    Raises
    ------
    InputError
        Wrong parameters, no song, or a folder that holds something else; nothing is done.
    ConfigError
        The map or the splits file has problems: all of them.
    LockedError
        Another run is writing into the folder.
    FaultError
        The disk is full or a worker died; finished tracks are kept.
    """
    settings = _settings(audio, sample_rate, audio_format)
    stem_map = load_map(map_file)
    source, path = _folders(stems, out)
    refuse_locked(path)
    songs, empty = find_songs(source, stem_map.songs)
    plan = plan_tracks(songs, split_songs(songs, splits, seed), stem_map, settings)
    plan.failures += empty
    if not plan.tasks:
        reasons = [f"{song}: {reason}" for song, reason in sorted(plan.failures)]
        raise InputError(f"{source}: no song can be imported. {some(reasons, '; ', 3)}")
    folder = OutputFolder(
        path,
        "import",
        settings={**asdict(settings), "splits": os.path.basename(os.fspath(splits)), "seed": seed},
        items=finished_tracks,
        about={
            "map": stem_map.text,
            "tracks": [
                {"track": place, "song": task.name, "UUID": task.song} for place, task in plan.tasks.items()
            ],
        },
        reads=[source],
        advice=(
            "Give the same songs, map and options to resume it; --update makes these tracks again and removes those whose "
            "songs are gone; --overwrite starts from scratch"
        ),
    )
    report, done = make_tracks(
        folder,
        import_track,
        plan.tasks,
        failures=plan.failures,
        stage=("importing", "songs"),
        update=update,
        overwrite=overwrite,
        jobs=jobs,
        # Links take no time: starting processes for them would.
        backend="threading" if audio == "link" else "loky",
        progress=progress,
    )
    notes = (*_notes(plan, done.records), *report.notes, *_split_notes(songs, splits))
    return ImportReport(**{**vars(report), "notes": notes}, unmatched=tuple(plan.unmatched))


def _settings(audio: AudioMode, sample_rate: int | None, audio_format: AudioFormat) -> Settings:
    if audio not in get_args(AudioMode):
        raise InputError(f"audio must be one of {', '.join(get_args(AudioMode))}, not {audio!r}")
    check_audio(audio_format, sample_rate)
    if audio != "convert" and (sample_rate is not None or audio_format != "flac"):
        raise InputError(
            f"audio {audio} takes the files as they are: a sample rate and a format belong to convert"
        )
    return Settings(audio, sample_rate, audio_format)


def _folders(stems: str | os.PathLike[str], out: str | os.PathLike[str]) -> tuple[Path, Path]:
    """The resolved folder of songs, and the folder to make."""
    source, folder = Path(stems).expanduser(), Path(out).expanduser()
    if not source.is_dir():
        what = "is a file" if source.exists() else "does not exist"
        raise InputError(f"{source} {what}; give a folder that holds one folder of stems per song")
    source = source.resolve()
    if source.is_relative_to(folder.resolve()):
        raise InputError(f"{folder} holds the songs: choose another folder for the data set")
    return source, folder


def _split_notes(songs: Sequence[SongFolder], splits: str | os.PathLike[str]) -> list[str]:
    folders = sorted({song.name.partition("/")[0] for song in songs if song.in_split_folder})
    if not folders or not are_shares(splits):
        return []
    return [
        f"songs lie in folders called {' and '.join(folders)}, but splits were drawn; --splits folders keeps the folders'"
    ]


def _notes(plan: ImportPlan, records: Sequence[ImportRecord]) -> list[str]:
    notes = list(plan.idle)
    if folded := sum(record.folded for record in records):
        notes.append(f"{folded} stems of several channels were folded down to their mean")
    if copied := sum(record.copied for record in records):
        notes.append(f"{copied} files could not be linked (another file system?) and were copied")
    return notes
