"""Writing the submixes of a data set: in parallel, track by track, and resumed where it was stopped."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from slakh_hier.errors import AudioError, FaultError, InputError
from slakh_hier.files import make_folder, remove_temporaries, require_free
from slakh_hier.locks import folder_lock
from slakh_hier.parallel import Backend, Tasks, run
from slakh_hier.progress import Progress, Silent
from slakh_hier.shared_folders import SharedFolders
from slakh_hier.slakh.broken import OnBroken, broken_stems, read_failures, write_failures
from slakh_hier.submix.encode import AudioFormat, Encoding
from slakh_hier.submix.finished import NOTE, digest_of
from slakh_hier.submix.folder import check_folder, check_place, claim, clear
from slakh_hier.submix.layout import STEMS, Level, check_level, level_name
from slakh_hier.submix.signals import frames_at
from slakh_hier.submix.tasks import Outline, TrackTasks
from slakh_hier.submix.track import OnClip, Settings, TrackRecord, make_track

if TYPE_CHECKING:
    from slakh_hier.slakh.catalog import Catalog

_FLAC_SHARE = 0.5
"""FLAC's usual share of the size of music as plain samples; only for estimates."""


@dataclass(frozen=True)
class Failure:
    """A track that was left out because one of its stems cannot be decoded."""

    track: str
    stem: str
    reason: str


@dataclass(frozen=True)
class SubmixReport:
    """What a run did, or would do.

    Attributes
    ----------
    tracks, made, kept
        Tracks in the folder, those written now, and those that were finished before. Of a dry run ``kept`` says how
        many are there, without a look at their content.
    files, bytes
        Audio files and their size; of a dry run the size is an estimate.
    hours
        Of music, each track counted once.
    records
        What became of each track, in order of their names; empty for a dry run.
    failures
        Tracks left out because a stem cannot be decoded.
    empty
        Tracks without any stem to mix.
    """

    folder: Path
    tracks: int
    made: int
    kept: int
    files: int
    bytes: int
    hours: float
    records: tuple[TrackRecord, ...]
    failures: tuple[Failure, ...]
    empty: tuple[str, ...]

    @property
    def clipped(self) -> list[TrackRecord]:
        """Tracks in which a submix exceeded full scale, whatever was done about it."""
        return [record for record in self.records if record.gain != 1.0 or record.subtype == "FLOAT"]


def write_submixes(
    catalog: Catalog,
    out: str | os.PathLike[str],
    *,
    level: Level = None,
    splits: Sequence[str] = (),
    format: AudioFormat = "flac",
    sample_rate: int | None = None,
    on_clip: OnClip = "scale",
    on_broken: OnBroken = "stop",
    jobs: int | None = None,
    backend: Backend = "loky",
    scheduler: str | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> SubmixReport:
    """Write full-length submixes as audio files, a folder a track; a folder that holds part of the same is gone on with.

    A track gets ``mix``, one file for each node that it has stems of, ``unassigned`` for stems without a category
    (where the tree keeps them in the mix), and ``metadata.yaml``. The files are 16-bit mono, and those of one level
    add up to the mix bit by bit. The same data set and options give the same bytes, whatever the jobs.

    Parameters
    ----------
    out
        Folder of the submixes; not inside the data set.
    level
        A level's number, ``category``, or None for all numbered levels; or ``stems``: a converted copy of the data set
        in its own layout, with its folders and MIDI files.
    splits
        Only tracks of these splits; by default all. Others can be added later.
    format
        ``flac`` or ``wav``.
    sample_rate
        In Hz; None keeps each track's own. Resampled with soxr HQ.
    on_clip
        When a file would exceed full scale: ``scale`` all files of the track by one gain, which its metadata tell;
        ``float``: write that track as 32-bit float WAV; ``error``: stop.
    on_broken
        ``stop`` (default) at a stem that cannot be decoded: before any work where the catalog knows of it, else when it
        is met. ``skip``: submixes are without the stems that the catalog knows of, and tracks that meet another are left
        out; ``failures.jsonl`` lists both.
    jobs, backend, scheduler
        As for :func:`slakh_hier.parallel.run`.
    overwrite
        Remove what an earlier run made in ``out`` first.
    dry_run
        Only say what would be done.

    Raises
    ------
    InputError
        An option does not fit, the folder holds something else, or the catalog knows of stems that cannot be decoded
        (``on_broken="stop"``); nothing is changed.
    LockedError
        Another run is writing into the folder.
    AudioError
        A stem breaks while it is decoded (``on_broken="stop"``); finished tracks are kept.
    ClippingError
        A file would exceed full scale (``on_clip="error"``); finished tracks are kept.
    FaultError
        Disk full or a worker died; finished tracks are kept.
    """
    out = Path(out)
    _check(catalog, level, format, sample_rate, on_clip)
    check_place(out, catalog.root)
    parameters = _parameters(catalog, level, format, sample_rate, on_clip)
    tasks = TrackTasks(catalog, level, splits)
    broken = broken_stems(catalog, splits, on_broken)
    for track in tasks.outlines.values():
        rate = sample_rate or track.sample_rate
        Encoding(format).check(rate, frames_at(track.frames, track.sample_rate, rate))
    if not overwrite:
        check_folder(out, parameters)
    if dry_run:
        return _foreseen(out, tasks, format, sample_rate, overwrite)
    make_folder(out)
    with folder_lock(out) as owner:
        _remove_leftovers(out)
        if overwrite:
            clear(out)
        else:
            check_folder(out, parameters)  # again: another run may have begun it in between
        missing = [track for track in tasks.outlines.values() if not (out / track.target / NOTE).exists()]
        require_free(
            out, sum(_bytes(track, format, sample_rate) for track in missing), "writing the submixes"
        )
        claim(out, parameters, None if level == STEMS else catalog.hierarchy.text)
        settings = Settings(
            root=str(catalog.root),
            out=str(out.resolve()),
            format=format,
            sample_rate=sample_rate,
            on_clip=on_clip,
            digest=digest_of(parameters),
            owner=owner.of_workers(scheduler),
        )
        try:
            records, failures = _make_all(
                tasks, settings, on_broken == "skip", jobs, backend, scheduler, progress
            )
        finally:
            _remove_leftovers(out)
        _note_failures(out, {*tasks, *tasks.empty}, [*broken, *map(asdict, failures)])
    if failures and not records:
        first = failures[0]
        raise FaultError(
            f"{out}: every track has a stem that cannot be decoded ({first.track}/{first.stem}: {first.reason}); is "
            "the data set complete and readable?"
        )
    return SubmixReport(
        folder=out,
        tracks=len(records),
        made=sum(not record.kept for record in records),
        kept=sum(record.kept for record in records),
        files=sum(record.files for record in records),
        bytes=sum(record.bytes for record in records),
        hours=sum(record.seconds for record in records) / 3600,
        records=tuple(records),
        failures=tuple(failures),
        empty=tuple(tasks.empty),
    )


def _make_all(
    tasks: TrackTasks,
    settings: Settings,
    skip_broken: bool,
    jobs: int | None,
    backend: Backend,
    scheduler: str | None,
    progress: Progress | None,
) -> tuple[list[TrackRecord], list[Failure]]:
    records: dict[str, TrackRecord] = {}
    failures: dict[str, Failure] = {}
    arguments = Tasks(tasks, lambda track: (tasks[track], settings))
    seconds = sum(track.frames / track.sample_rate for track in tasks.outlines.values()) / len(tasks)
    with (progress or Silent()).stage(
        "submix", len(tasks), "tracks", worth=(seconds, "s of music")
    ) as advance:
        shared = SharedFolders([Path(settings.root)], Path(settings.out))
        for result in run(
            make_track, arguments, jobs=jobs, backend=backend, scheduler=scheduler, shared=shared
        ):
            if skip_broken and isinstance(result.error, AudioError):
                failures[result.id] = Failure(result.id, result.error.stem, result.error.reason)
            else:
                records[result.id] = result.unwrap()
            advance(1)
    return [records[track] for track in tasks if track in records], [
        failures[track] for track in tasks if track in failures
    ]


def _note_failures(out: Path, tracks: set[str], failures: list[dict[str, str]]) -> None:
    """Write ``failures.jsonl``; what it says of tracks that this run was not about stays."""
    others: list[dict[str, Any]] = []
    with suppress(ValueError):
        others = [failure for failure in read_failures(out) if failure.get("track") not in tracks]
    write_failures(out, [*others, *failures])


def _parameters(
    catalog: Catalog, level: Level, format: AudioFormat, sample_rate: int | None, on_clip: OnClip
) -> dict[str, Any]:
    """What decides the content of the folder, beside the data set."""
    tree = {"name": catalog.hierarchy.name, "digest": catalog.hierarchy.digest}
    return {
        **({} if level == STEMS else {"hierarchy": tree}),
        "level": level_name(level),
        "format": format,
        "sample_rate": sample_rate or "native",
        "on_clip": on_clip,
        "splits": catalog.scheme,
    }


def _foreseen(
    out: Path,
    tasks: TrackTasks,
    format: AudioFormat,
    sample_rate: int | None,
    overwrite: bool,
) -> SubmixReport:
    """What a run would do, without looking into files."""
    tracks = tasks.outlines.values()
    kept = 0 if overwrite else sum((out / track.target / NOTE).exists() for track in tracks)
    return SubmixReport(
        folder=out,
        tracks=len(tasks),
        made=0,
        kept=kept,
        files=sum(track.files for track in tracks),
        bytes=sum(_bytes(track, format, sample_rate) for track in tracks),
        hours=sum(track.frames / track.sample_rate for track in tracks) / 3600,
        records=(),
        failures=(),
        empty=tuple(tasks.empty),
    )


def _bytes(track: Outline, format: AudioFormat, sample_rate: int | None) -> int:
    """About how much room the track will take."""
    frames = frames_at(track.frames, track.sample_rate, sample_rate or track.sample_rate)
    share = _FLAC_SHARE if format == "flac" else 1.0
    return round(track.files * frames * Encoding(format).bytes * share)


def _check(
    catalog: Catalog,
    level: Level,
    format: AudioFormat,
    sample_rate: int | None,
    on_clip: OnClip,
) -> None:
    check_level(catalog.hierarchy, level)
    if format not in get_args(AudioFormat):
        raise InputError(f"the format must be flac or wav, not {format!r}")
    if sample_rate is not None and not 1_000 <= sample_rate <= 384_000:
        raise InputError(f"the sample rate must lie between 1000 and 384000 Hz, not {sample_rate}")
    if on_clip not in get_args(OnClip):
        raise InputError(f"on_clip must be one of {', '.join(get_args(OnClip))}, not {on_clip!r}")


def _remove_leftovers(out: Path) -> None:
    remove_temporaries(out)
