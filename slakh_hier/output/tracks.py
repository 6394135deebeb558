"""A data set in Slakh's layout that a command makes song by song: its tracks, what was left out, and what each split holds."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from slakh_hier.display import Shown
from slakh_hier.errors import InputError, SongError
from slakh_hier.files import TEMPORARY_PREFIX, refuse_link
from slakh_hier.output import METADATA
from slakh_hier.output.folder import OutputFolder, write_failures
from slakh_hier.output.items import (
    TRACK_NOTE,
    Made,
    Outcome,
    finished_tracks,
    make_all,
    noted_digest,
)
from slakh_hier.parallel import Backend
from slakh_hier.progress import Wanted
from slakh_hier.splits import OMITTED, SPLITS
from slakh_hier.wording import some

MAX_TRACKS = 99_999
MAX_STEMS = 1000


class TrackTask(NamedTuple):
    """A track to be made.

    ``name`` is the song's for people, ``song`` its identity; ``digest`` is that of all that the track is made from.
    ``arguments`` are for the function that makes it, after the target, the place and the digest.
    """

    name: str
    song: str
    digest: str
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class TrackRecord:
    """What a track holds: its length (s) and stems, of which ``silent`` ones hold zeros, and what to know of it.

    ``without_audio`` stems only have metadata.
    """

    seconds: float
    stems: int
    silent: int = 0
    without_audio: int = 0
    remarks: tuple[str, ...] = ()


T = TypeVar("T", bound=TrackRecord)


@dataclass(frozen=True)
class SplitSummary:
    """What a split holds. ``songs`` are distinct ones; ``minutes`` are of mixture; for stems see :class:`TrackRecord`."""

    split: str
    tracks: int
    songs: int
    minutes: float
    stems: int
    silent: int
    without_audio: int


@dataclass(frozen=True, repr=False)
class DataSetReport(Shown):
    """What was made."""

    folder: Path
    splits: tuple[SplitSummary, ...]
    """``folder`` and ``splits``: the data set and what each split holds."""
    made: int
    kept: int
    """``made`` and ``kept``: tracks made now, and tracks that were there."""
    failures: tuple[tuple[str, str], ...]
    """Songs left out, with the reason."""
    remarks: tuple[tuple[str, str], ...]
    """What to know of songs that were made."""
    notes: tuple[str, ...]
    """What to know of the whole, and of tracks that were made again because a file of theirs was damaged."""


def track_name(number: int) -> str:
    """The name of the track with this number (from 1), as Slakh's."""
    return f"Track{number:05d}"


def stem_name(index: int) -> str:
    """The name of a track's stem (from 0), as Slakh's."""
    return f"S{index:02d}"


def check_count(songs: int) -> None:
    """Raise InputError for more songs than tracks can be numbered for."""
    if songs > MAX_TRACKS:
        raise InputError(f"{songs} songs are more than the {MAX_TRACKS} that tracks can be numbered for")


def make_tracks(
    folder: OutputFolder,
    make: Callable[..., Made[T]],
    tasks: Mapping[str, TrackTask],
    *,
    failures: Sequence[tuple[str, str]] = (),
    room: Callable[[Sequence[str]], tuple[int, str]] | None = None,
    shared: Sequence[Path] | None = None,
    stage: tuple[str, str],
    update: bool = False,
    overwrite: bool = False,
    jobs: int | None = None,
    backend: Backend = "loky",
    scheduler: str | None = None,
    progress: Wanted = None,
) -> tuple[DataSetReport, Outcome[T]]:
    """Make the tracks of a data set that are not there yet.

    Parameters
    ----------
    make
        Makes one track; a song that cannot be used is a SongError, and is left out.
    tasks
        By place: ``SPLIT/TRACK``.
    failures
        Songs that are left out already.
    room
        For the places still to be made: bytes that will be written, and for what.
    shared
        Files and folders that workers on other machines must see; None: what the folder must not lie in.
    update
        Replace tracks of which the song or the settings have changed, and remove those whose songs are gone. Without it
        that is an error.
    overwrite
        Remove what an earlier run made first.

    Raises
    ------
    InputError, LockedError, FaultError
        As :meth:`~slakh_hier.output.folder.OutputFolder.claimed` and :func:`~slakh_hier.output.items.make_all`.
    """
    digests = {place: task.digest for place, task in tasks.items()}
    stale: list[Path] = []

    def prepare() -> tuple[int, str] | None:
        stale.extend(_stale(folder, digests, update))
        if room is None:
            return None
        return room([place for place in tasks if not (folder.path / place / TRACK_NOTE).exists()])

    with folder.claimed(prepare, scheduler=scheduler, update=update, overwrite=overwrite) as target:
        _remove(folder.path, stale)
        done = make_all(
            make,
            {place: (target, place, task.digest, *task.arguments) for place, task in tasks.items()},
            target,
            reads=folder.reads if shared is None else shared,
            stage=stage,
            left_out=(SongError,),
            jobs=jobs,
            backend=backend,
            scheduler=scheduler,
            progress=progress,
        )
        failed = sorted(
            [*failures, *((tasks[place].name, str(error)) for place, error in done.failures.items())]
        )
        write_failures(folder.path, [{"song": name, "reason": reason} for name, reason in failed])
    remarks = [(tasks[place].name, text) for place, item in done.made.items() for text in item.record.remarks]
    report = DataSetReport(
        folder.path,
        _summaries(tasks, done),
        len(done.made) - done.kept,
        done.kept,
        tuple(failed),
        tuple(sorted(remarks)),
        tuple(f"{place} ({tasks[place].name}) was made again: {why}" for place, why in done.repaired.items()),
    )
    return report, done


def _stale(folder: OutputFolder, digests: Mapping[str, str], update: bool) -> list[Path]:
    """Finished tracks that would now be made otherwise or not at all.

    Raises
    ------
    InputError
        There are such tracks and ``update`` is off, or a track was not made by this command.
    """
    found = {path.parent for path in folder.path.glob(f"*/*/{METADATA}")} | set(finished_tracks(folder.path))
    stale = []
    for track in sorted(found):
        place, noted = track.relative_to(folder.path).as_posix(), noted_digest(track)
        if noted is None and place not in digests:
            raise InputError(f"{track} was not made by {folder.command}; move it elsewhere")
        if noted is not None and noted != digests.get(place):
            stale.append(track)
    if stale and not update:
        named = some([track.relative_to(folder.path).as_posix() for track in stale], most=3)
        raise InputError(
            f"{folder.path}: {len(stale)} of its tracks would now be made otherwise or not at all: {named}; nothing was "
            f"changed. {folder.advice}"
        )
    return stale


def _remove(folder: Path, tracks: Sequence[Path]) -> None:
    for track in tracks:
        refuse_link(track.parent)
        refuse_link(track)
    for track in tracks:
        removed = folder / f"{TEMPORARY_PREFIX}{track.name}"
        os.rename(track, removed)  # at once: a track that is half removed must not look like one
        shutil.rmtree(removed)


def _summaries(tasks: Mapping[str, TrackTask], done: Outcome[T]) -> tuple[SplitSummary, ...]:
    """What each split holds; ``omitted`` only where there is something."""
    found = []
    for split in (*SPLITS, OMITTED):
        mine = [place for place in done.made if place.partition("/")[0] == split]
        records = [done.made[place].record for place in mine]
        if mine or split != OMITTED:
            found.append(
                SplitSummary(
                    split,
                    len(mine),
                    len({tasks[place].song for place in mine}),
                    round(sum(record.seconds for record in records) / 60, 2),
                    sum(record.stems for record in records),
                    sum(record.silent for record in records),
                    sum(record.without_audio for record in records),
                )
            )
    return tuple(found)
