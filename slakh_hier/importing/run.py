"""Importing a folder of songs: listed, split, made in parallel, and resumed."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

from slakh_hier.errors import InputError, check_choice
from slakh_hier.importing.by_map import list_by_map
from slakh_hier.importing.jobs import Bleed, drop_bleed, number_songs, plan_tracks
from slakh_hier.importing.layouts import LayoutOptions, list_songs, recognise
from slakh_hier.importing.map_file import load_map
from slakh_hier.importing.shared import shared_songs
from slakh_hier.importing.song_splits import FOLDERS, SplitBy, SplitOptions, own_splits, split_songs
from slakh_hier.importing.sources import AudioMode, ImportRecord, Listing, Settings, Unmatched
from slakh_hier.importing.track import import_track
from slakh_hier.locks import refuse_locked
from slakh_hier.output.audio import AudioFormat, check_audio
from slakh_hier.output.folder import OutputFolder
from slakh_hier.output.items import finished_tracks
from slakh_hier.output.tracks import DataSetReport, TrackTask, make_tracks
from slakh_hier.paths import StrPath
from slakh_hier.progress import Wanted
from slakh_hier.wording import some

DEFAULT_SEED = 588


@dataclass(frozen=True, repr=False)
class ImportReport(DataSetReport):
    """What came of an import; ``unmatched`` are files that no pattern fits or that are not there: songs were made without."""

    unmatched: tuple[Unmatched, ...]


def import_data_set(
    stems: StrPath,
    out: StrPath,
    *,
    map_file: StrPath | None = None,
    layout: str | None = None,
    layout_options: LayoutOptions | None = None,
    bleed: Bleed = "keep",
    splits: StrPath | None = None,
    seed: int = DEFAULT_SEED,
    split_by: SplitBy = "artist",
    split_file: StrPath | None = None,
    split_map: str | None = None,
    shared_with: Sequence[StrPath] = (),
    audio: AudioMode = "convert",
    sample_rate: int | None = None,
    channels: int | None = None,
    audio_format: AudioFormat = "flac",
    update: bool = False,
    overwrite: bool = False,
    jobs: int | None = None,
    progress: Wanted = None,
) -> ImportReport:
    """Turn a folder of songs into a data set in Slakh's layout. The songs are only read.

    The same songs and parameters give the same bytes, whatever the number of jobs. A folder that holds a part of the same data
    set is completed, and tracks of it are made again whose files are gone or have changed. A song that cannot be used is left
    out and reported.

    Parameters
    ----------
    map_file
        YAML: which files are which instrument; see docs/import.md. Or, in its place:
    layout
        A data set that is known: ``moisesdb``, ``musdb18hq``, ``medleydb``, ``urmp``, ``ensembleset``.
    layout_options
        What only some layouts take.
    bleed
        What happens to stems in which others are heard, as far as the data set says so: ``keep`` them, ``drop-stem``, or
        ``drop-song`` where a song has any.
    splits, seed, split_by, split_file, split_map
        Which songs train, validate and test: see :class:`~slakh_hier.importing.song_splits.SplitOptions` (``split_file`` is its
        table, ``split_map`` its names).
    shared_with
        Data sets that were imported before: songs that are in both are reported.
    audio
        ``convert``: files of one rate, length, depth (16 bits, or 24 where a song has more than 16) and number of channels
        per song, which add up to the mix. ``link``: hard links to the files as they are (copies on another file system). ``copy``: copies of them. Of these two, files of
        another rate than most of their song's are converted to it.
    sample_rate
        Of converted files (Hz); None: that of most of a song's files.
    channels
        Of converted files: 1 folds down to their mean, 2 doubles mono files; None: those of a song's widest file, at most 2.
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
        The map or a file of splits has problems: all of them.
    LockedError
        Another run is writing into the folder.
    FaultError
        The disk is full or a worker died; finished tracks are kept.
    """
    settings = _settings(audio, sample_rate, channels, audio_format)
    check_choice("bleed", bleed, get_args(Bleed))
    source, path = _folders(stems, out)
    refuse_locked(path)
    options = layout_options or LayoutOptions()
    listing, about = _list(source, map_file, layout, options)
    if settings.audio != "convert" and any(stem.gain != 1 for song in listing.songs for stem in song.stems):
        raise InputError(
            f"mixing coefficients change the audio, which --audio {audio} takes as it is: use --audio convert"
        )
    numbers = number_songs(listing)
    drop_bleed(listing, bleed)
    how = SplitOptions(_splits(splits, layout, split_file, listing), seed, split_by, split_file, split_map)
    split_of, notes = split_songs(listing.songs, how)
    tasks = plan_tracks(listing, numbers, split_of, settings)
    if not tasks:
        reasons = [f"{song}: {reason}" for song, reason in sorted(listing.failures)]
        why = [some(reasons, "; ", 3)] if reasons else []
        raise InputError(f"{source}: no song can be imported. {'. '.join([*why, *listing.notes[-2:]])}")
    shared = shared_songs({task.song: task.name for task in tasks.values()}, shared_with)
    ids = {song.name: song.id for song in listing.songs}
    folder = OutputFolder(
        path,
        "import",
        settings={
            **asdict(settings),
            "layout": layout,
            **{name: str(getattr(options, name)) for name in options.given},
            "bleed": bleed,
            **{name: _shown(value) for name, value in asdict(how).items()},
        },
        items=finished_tracks,
        about={**about, "tracks": [_about(place, task, ids) for place, task in tasks.items()]},
        reads=[source],
        advice=(
            "Give the same songs, map and options to resume it; --update makes these tracks again and removes those whose "
            "songs are gone; --overwrite starts from scratch"
        ),
    )
    report, done = make_tracks(
        folder,
        import_track,
        tasks,
        failures=listing.failures,
        stage=("importing", "songs"),
        update=update,
        overwrite=overwrite,
        jobs=jobs,
        # Links take no time: starting processes for them would.
        backend="threading" if audio == "link" else "loky",
        progress=progress,
    )
    all_notes = (*listing.notes, *_notes(done.records), *report.notes, *notes, *shared)
    return ImportReport(
        **{**vars(report), "notes": all_notes}, unmatched=(*listing.unmatched, *_missing(listing))
    )


def _list(
    source: Path, map_file: StrPath | None, layout: str | None, options: LayoutOptions
) -> tuple[Listing, dict[str, Any]]:
    """The songs, and what the data set's record says of where they are from."""
    if (map_file is None) == (layout is None):
        raise InputError("songs are read by a map or by a layout: give one of both")
    if layout is not None:
        return list_songs(layout, source, options), {}
    if options.given:
        raise InputError(f"--{options.given[0].replace('_', '-')} belongs to a layout: give --layout")
    assert map_file is not None
    stem_map = load_map(map_file)
    listing = list_by_map(source, stem_map)
    if known := recognise(source):
        listing.notes.append(
            f"this is {known.title}: --layout {known.name} takes it without a map, and knows more of it"
        )
    return listing, {"map": stem_map.text}


def _about(place: str, task: TrackTask, ids: Mapping[str, str]) -> dict[str, str]:
    return {"track": place, "song": task.name, "id": ids[task.name], "UUID": task.song}


def _splits(
    splits: StrPath | None, layout: str | None, split_file: StrPath | None, listing: Listing
) -> str | None:
    """As asked for; else published ones, where a layout has them for all songs."""
    if splits is None and split_file is None and layout is not None and own_splits(listing.songs):
        return FOLDERS
    return None if splits is None else os.fspath(splits)


def _shown(value: Any) -> Any:
    """A setting as the data set's record holds it: of a file its name."""
    return os.path.basename(os.fspath(value)) if isinstance(value, str | os.PathLike) else value


def _settings(
    audio: AudioMode, sample_rate: int | None, channels: int | None, audio_format: AudioFormat
) -> Settings:
    check_choice("audio", audio, get_args(AudioMode))
    check_audio(audio_format, sample_rate)
    if channels not in (None, 1, 2):
        raise InputError(f"a track has 1 or 2 channels, not {channels}")
    if audio != "convert" and (sample_rate is not None or channels is not None or audio_format != "flac"):
        raise InputError(
            f"audio {audio} takes the files as they are: a sample rate, channels and a format belong to convert"
        )
    return Settings(audio, sample_rate, audio_format, channels)


def _folders(stems: StrPath, out: StrPath) -> tuple[Path, Path]:
    """The resolved folder of songs, and the folder to make."""
    source, folder = Path(stems).expanduser(), Path(out).expanduser()
    if not source.is_dir():
        what = "is a file" if source.exists() else "does not exist"
        raise InputError(f"{source} {what}; give a folder that holds one folder of stems per song")
    source = source.resolve()
    if source.is_relative_to(folder.resolve()):
        raise InputError(f"{folder} holds the songs: choose another folder for the data set")
    return source, folder


def _missing(listing: Listing) -> list[Unmatched]:
    return [Unmatched(file, (song.name,), hint) for song in listing.songs for file, hint in song.missing]


def _notes(records: Sequence[ImportRecord]) -> list[str]:
    notes = []
    if folded := sum(record.folded for record in records):
        notes.append(f"{folded} stems were folded down to their mean")
    if copied := sum(record.copied for record in records):
        notes.append(f"{copied} files could not be linked (another file system?) and were copied")
    return notes
