"""Importing a folder of songs: matched, checked, made in parallel, and resumed where it was stopped."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from slakh_hier import parallel
from slakh_hier.errors import InputError, SongError
from slakh_hier.files import (
    TEMPORARY_PREFIX,
    make_folder,
    publish_json,
    refuse_link,
    remove_temporaries,
    remove_temporary_folders,
)
from slakh_hier.importing.jobs import TrackPlan, Unmatched, plan_tracks
from slakh_hier.importing.map_file import load_map
from slakh_hier.importing.song_splits import DEFAULT_SPLIT, split_songs
from slakh_hier.importing.songs import SongFolder, find_songs
from slakh_hier.importing.track import (
    AudioMode,
    Settings,
    TrackJob,
    TrackRecord,
    make_track,
    read_record,
)
from slakh_hier.locks import Owner, folder_lock, refuse_locked
from slakh_hier.progress import Progress, Silent
from slakh_hier.slakh.layout import METADATA
from slakh_hier.slakh.splits import some
from slakh_hier.slakh.track_note import damage
from slakh_hier.submix.encode import AudioFormat

RECORD = "import.json"
DEFAULT_SEED = 588
SPLITS = ("train", "validation", "test", "omitted")
_RATES = (1000, 384_000)
"""Sample rates (Hz) that every part of the way takes, FLAC with it."""


@dataclass(frozen=True)
class SplitSummary:
    """What a split holds. ``songs`` are distinct ones; ``minutes`` of mixture."""

    split: str
    tracks: int
    songs: int
    minutes: float
    stems: int


@dataclass(frozen=True)
class ImportReport:
    """What came of an import.

    Attributes
    ----------
    folder, splits
        The data set and what each split holds.
    made, kept
        Tracks made now, and tracks that were there.
    failures
        Songs left out, with the reason.
    unmatched
        Files that no pattern of the map fits; their songs were made without them.
    remarks
        What to know of songs that were made: padding, gains, mixtures that are not the sum.
    notes
        What to know of the whole: idle patterns, stereo files, copies in place of links, damage that was found.
    """

    folder: Path
    splits: tuple[SplitSummary, ...]
    made: int
    kept: int
    failures: tuple[tuple[str, str], ...]
    unmatched: tuple[Unmatched, ...]
    remarks: tuple[tuple[str, str], ...]
    notes: tuple[str, ...]


def import_data_set(
    stems: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    map_file: str | os.PathLike[str],
    split: str | os.PathLike[str] = DEFAULT_SPLIT,
    seed: int = DEFAULT_SEED,
    audio: AudioMode = "convert",
    sample_rate: int | None = None,
    audio_format: AudioFormat = "flac",
    overwrite: bool = False,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> ImportReport:
    """Turn a folder of songs, each a folder of stems, into a data set in Slakh's layout. The songs are only read.

    The same songs, map and parameters give the same bytes, whatever the number of jobs. A folder that holds a part of
    the same data set is completed, and tracks of it are made again whose files are gone or were cut. A song that cannot
    be used is left out and told.

    Parameters
    ----------
    map_file
        YAML: which files are which instrument; see docs/import.md.
    split, seed
        Percentages drawn by song with the seed, a CSV or YAML file, or ``folders``; see
        :func:`~slakh_hier.importing.song_splits.split_songs`.
    audio
        ``convert``: 16-bit mono files of one rate and length a song, which add up to the mix. ``link``: hard links to
        the files as they are (copies on another file system). ``copy``: copies of them.
    sample_rate
        Of converted files (Hz); None: that of most of a song's stems.
    audio_format
        Of converted files.
    overwrite
        Make tracks again whose songs, entries in the map or parameters have changed, and remove those whose songs are
        gone. Without it that is an error.
    jobs
        Parallel workers; None or 0: one per processor.

    Raises
    ------
    InputError
        Wrong parameters, no song, or a folder that holds something else; nothing is done.
    ConfigError
        The map or the split file has problems: all of them.
    LockedError
        Another run is writing into the folder.
    FaultError
        The disk is full or a worker died; finished tracks are kept.
    """
    settings = _settings(audio, sample_rate, audio_format)
    stem_map = load_map(map_file)
    source, folder = _folders(stems, out)
    refuse_locked(folder)
    songs, empty = find_songs(source, stem_map.songs)
    plan = plan_tracks(songs, split_songs(songs, split, seed), stem_map, settings)
    plan.failures += empty
    if not plan.jobs:
        reasons = [f"{song}: {reason}" for song, reason in sorted(plan.failures)]
        raise InputError(f"{source}: no song can be imported. {some(reasons, '; ', 3)}")
    record = {
        "format": "slakh-hier import",
        "format_version": 1,
        "parameters": {**asdict(settings), "split": os.path.basename(os.fspath(split)), "seed": seed},
        "map": stem_map.text,
        "tracks": [
            {"track": job.track, "split": job.split, "song": job.song, "UUID": job.uuid} for job in plan.jobs
        ],
    }
    make_folder(folder)
    with folder_lock(folder) as owner:
        there = _claim(folder, {job.place: job for job in plan.jobs}, overwrite)
        publish_json(folder / RECORD, record)
        done, notes = _whole(folder, there)
        notes += _split_notes(songs, split)
        return _make_all(folder, owner, plan, done, notes, jobs, progress or Silent())


def _make_all(
    folder: Path,
    owner: Owner,
    plan: TrackPlan,
    done: dict[str, TrackRecord],
    notes: Sequence[str],
    jobs: int | None,
    progress: Progress,
) -> ImportReport:
    kept = len(done)
    by_place = {job.place: job for job in plan.jobs}
    tasks: dict[str, tuple[Any, ...]] = {
        place: (job, str(folder), owner) for place, job in by_place.items() if place not in done
    }
    failures = list(plan.failures)
    # Links take no time: starting processes for them would.
    linking = plan.jobs[0].settings.audio == "link"
    with progress.stage("importing", len(tasks), "songs") as advance:
        for result in parallel.run(make_track, tasks, jobs=jobs, backend="threading" if linking else "loky"):
            advance(1)
            if isinstance(result.error, SongError):
                failures.append((by_place[result.id].song, str(result.error)))
            else:
                done[result.id] = result.unwrap()
    records = [done[place] for place in sorted(done)]
    return ImportReport(
        folder=folder,
        splits=tuple(_summary(split, plan.jobs, done) for split in SPLITS[:3]) + _omitted(plan.jobs, done),
        made=len(done) - kept,
        kept=kept,
        failures=tuple(sorted(failures)),
        unmatched=tuple(plan.unmatched),
        remarks=tuple(sorted((record.song, remark) for record in records for remark in record.remarks)),
        notes=(*_notes(plan, records), *notes),
    )


def _settings(audio: AudioMode, sample_rate: int | None, audio_format: AudioFormat) -> Settings:
    for name, value, known in (("audio", audio, AudioMode), ("format", audio_format, AudioFormat)):
        if value not in get_args(known):
            raise InputError(f"{name} must be one of {', '.join(get_args(known))}, not {value!r}")
    if audio != "convert" and (sample_rate is not None or audio_format != "flac"):
        raise InputError(
            f"audio {audio} takes the files as they are: a sample rate and a format belong to convert"
        )
    if sample_rate is not None and not _RATES[0] <= sample_rate <= _RATES[1]:
        raise InputError(f"the sample rate must be {_RATES[0]} to {_RATES[1]} Hz, not {sample_rate}")
    return Settings(audio, sample_rate, audio_format)


def _folders(stems: str | os.PathLike[str], out: str | os.PathLike[str]) -> tuple[Path, Path]:
    """The resolved folder of songs and the folder to make, which must not lie in each other."""
    source, folder = Path(stems).expanduser(), Path(out).expanduser()
    if not source.is_dir():
        what = "is a file" if source.exists() else "does not exist"
        raise InputError(f"{source} {what}; give a folder that holds one folder of stems a song")
    source = source.resolve()
    target = folder.resolve()
    if target.is_relative_to(source) or source.is_relative_to(target):
        raise InputError(
            f"{folder} and {source} lie in each other: choose a folder for the data set elsewhere"
        )
    return source, folder


def _claim(folder: Path, jobs: Mapping[str, TrackJob], overwrite: bool) -> dict[str, TrackRecord]:
    """The tracks that are there as they would be made, by place; others are removed with ``overwrite``, else an error.

    Only what an import made is ever removed.
    """
    there = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    if there and RECORD not in there:
        raise InputError(
            f"{folder} holds {some(sorted(there), most=3)} and no {RECORD}: it was not made by import. Choose an empty or "
            "new folder"
        )
    remove_temporaries(folder)
    remove_temporary_folders(folder)
    kept: dict[str, TrackRecord] = {}
    changed: list[tuple[Path, TrackRecord]] = []
    for path in sorted(folder.glob(f"*/*/{METADATA}")):
        track = path.parent
        place = track.relative_to(folder).as_posix()
        record = read_record(track)
        if record is None:
            raise InputError(
                f"{track} was not made by import, or its {METADATA} is damaged; move it elsewhere"
            )
        if place in jobs and jobs[place].digest == record.digest:
            kept[place] = record
        else:
            changed.append((track, record))
    if changed and not overwrite:
        named = [f"{track.relative_to(folder).as_posix()} ({record.song})" for track, record in changed]
        raise InputError(
            f"{folder}: {len(changed)} of its tracks would now be made otherwise or not at all: {some(named, most=3)}. Songs, "
            "map or options have changed since. Give the same to go on; --overwrite makes these tracks again and removes "
            "those whose songs are gone"
        )
    for track, _ in changed:
        refuse_link(track.parent)
        refuse_link(track)
    for track, _ in changed:
        removed = folder / f"{TEMPORARY_PREFIX}{track.name}"
        os.rename(track, removed)  # at once: a track that is half removed must not look like one
        shutil.rmtree(removed)
    return kept


def _whole(folder: Path, there: Mapping[str, TrackRecord]) -> tuple[dict[str, TrackRecord], list[str]]:
    """The tracks of which no file is gone or damaged, and a note for each other one, which is made again."""
    damaged = {place: what for place in there if (what := damage(folder / place)) is not None}
    return (
        {place: record for place, record in there.items() if place not in damaged},
        [f"{place} ({there[place].song}) was made again: {what}" for place, what in damaged.items()],
    )


def _summary(split: str, jobs: Iterable[TrackJob], done: Mapping[str, TrackRecord]) -> SplitSummary:
    mine = [job for job in jobs if job.split == split and job.place in done]
    records = [done[job.place] for job in mine]
    return SplitSummary(
        split,
        len(mine),
        len({job.uuid for job in mine}),
        round(sum(record.seconds for record in records) / 60, 2),
        sum(record.stems for record in records),
    )


def _omitted(jobs: Sequence[TrackJob], done: Mapping[str, TrackRecord]) -> tuple[SplitSummary, ...]:
    found = _summary(SPLITS[3], jobs, done)
    return (found,) if found.tracks else ()


def _split_notes(songs: Sequence[SongFolder], split: str | os.PathLike[str]) -> list[str]:
    folders = sorted({song.name.partition("/")[0] for song in songs if song.in_split_folder})
    if not folders or "=" not in os.fspath(split):
        return []
    return [
        f"songs lie in folders called {' and '.join(folders)}, but splits were drawn; --split folders keeps the folders'"
    ]


def _notes(plan: TrackPlan, records: Sequence[TrackRecord]) -> list[str]:
    notes = list(plan.idle)
    if folded := sum(record.folded for record in records):
        notes.append(f"{folded} stems of several channels were folded down to their mean")
    if copied := sum(record.copied for record in records):
        notes.append(f"{copied} files could not be linked (another file system?) and were copied")
    return notes
