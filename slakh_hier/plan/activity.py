"""Measure every stem once: the pass over the audio from which every plan follows."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from slakh_hier.audio import StemRef
from slakh_hier.caches import cache_place
from slakh_hier.errors import ActivityError, FaultError, LockedError, SlakhHierWarning
from slakh_hier.files import make_folder, publish, remove_temporaries, require_free, sha256
from slakh_hier.locks import LOCK_NAME, Owner, folder_lock, refuse_locked
from slakh_hier.parallel import Backend, Tasks, run
from slakh_hier.paths import StrPath
from slakh_hier.plan.activity_file import ActivityFile, encode_track, new_image, streamed
from slakh_hier.plan.energy import HOPS_PER_SECOND
from slakh_hier.plan.measure import measure_track
from slakh_hier.progress import Progress, Wanted, shown
from slakh_hier.shared_folders import SharedFolders
from slakh_hier.slakh import Catalog, StemsByTrack
from slakh_hier.slakh.by_track import stem_refs
from slakh_hier.slakh.tracks import stamp_of
from slakh_hier.wording import counted

T = TypeVar("T")
TRACKS_PER_PART = 32
"""A killed pass loses at most this many tracks per worker."""
PACKED_SHARE = 0.65
"""Of the activity's size as plain numbers; 0.56 to 0.64 were measured. Only for estimates."""
READABLE = ("audio", "unassigned", "excluded")
"""Statuses of stems that are measured; excluded ones too, so that switching the errata needs no second pass."""


def measure_activity(
    catalog: Catalog,
    path: StrPath | None = None,
    *,
    tracks: Collection[str] | None = None,
    jobs: int | None = None,
    backend: Backend = "loky",
    scheduler: str | None = None,
    part: tuple[int, int] | None = None,
    progress: Wanted = None,
) -> Path:
    """Decode every stem of the catalog once and write the activity file; what is already measured is kept.

    The file has one group for each track that it holds.

    Parameters
    ----------
    path
        The activity file. Default: a file for this data set in the user's cache folder (``SLAKH_HIER_CACHE``,
        else XDG), never inside the data set.
    tracks
        Measure these only, default all; a later call with others measures those that are missing.
    jobs, backend, scheduler
        See :func:`slakh_hier.parallel.run`.
    part
        ``(i, n)``: measure only every n-th track, from the i-th (1-based), and leave the merge to a call
        without ``part``: for job arrays that share the folder.
    progress
        Shows seconds of audio.

    Returns
    -------
    The path of the file (with ``part``: of the folder of parts).

    Raises
    ------
    FaultError
        A worker died or the disk is full; finished parts are kept and the same call resumes from there. Or there is not
        enough free disk space for what is to be measured.
    """
    target = Path(path) if path is not None else default_path(catalog.root)
    wanted = _wanted(catalog)
    needed = [track for track in wanted if tracks is None or track in tracks]
    parts = _parts_of(target)
    try:
        done = _measured(target, wanted)
    except ActivityError as error:
        if path is not None:
            raise
        _forget(target, error)
        done = {}
    if part is None and done.keys() >= set(needed):
        if parts.is_dir():  # a run was killed after the merge
            with suppress(LockedError), folder_lock(parts):
                _remove_parts(parts)
        return target
    # A part does not depend on what others have finished, so that all parts make up the whole.
    share = needed if part is None else needed[part[0] - 1 :: part[1]]

    def missing(place: Path) -> list[str]:
        """Tracks still to be measured, for which ``place`` has free disk space."""
        done = {track for file in (target, *_part_files(parts)) for track in _measured(file, wanted)}
        left = [track for track in share if track not in done]
        merged = [*left, *done] if part is None else []  # beside the parts, for a moment
        require_free(place, estimated_bytes(catalog, [*left, *merged]), "measuring the activity")
        return left

    if not parts.exists():  # so that nothing is left behind where the disk is full
        missing(next(folder for folder in parts.absolute().parents if folder.is_dir()))
    make_folder(parts)
    with folder_lock(parts, part=part) as owner:
        if part is None:
            remove_temporaries(parts)
        chunks = _chunks(missing(parts))
        try:
            _measure(catalog, wanted, chunks, parts, owner, jobs, backend, scheduler, shown(progress))
        finally:
            if part is None:
                remove_temporaries(parts)  # of workers that were stopped
        if part is None:
            _merge(target, parts, wanted, needed)
    return target if part is None else parts


def from_activity(read: Callable[[Path], T], catalog: Catalog, path: StrPath | None = None, **how: Any) -> T:
    """What ``read`` makes of the activity file, which is measured where needed; one in the cache that is damaged, again.

    Parameters
    ----------
    path, how
        As for :func:`measure_activity`.
    """
    target = measure_activity(catalog, path, **how)
    try:
        return read(target)
    except ActivityError as error:
        if path is not None:
            raise
        _forget(target, error)
    return read(measure_activity(catalog, **how))


def refuse_measuring(root: StrPath, path: StrPath | None, part: tuple[int, int] | None) -> None:
    """Refuse what :func:`measure_activity` would refuse because another run measures, before a scan of ``root``."""
    if path is None:
        cache_place("activity", needed=True)
    target = Path(path) if path is not None else default_path(Path(root).expanduser().resolve())
    refuse_locked(_parts_of(target), part=part)


def default_path(root: Path) -> Path:
    """Where the activity of a data set is kept when no path is given."""
    name = sha256(os.fsencode(root))[:16]
    return cache_place("activity") / f"{root.name}-{name}.h5"


def _measure(
    catalog: Catalog,
    wanted: dict[str, str],
    chunks: list[list[str]],
    parts: Path,
    owner: Owner,
    jobs: int | None,
    backend: Backend,
    scheduler: str | None,
    progress: Progress,
) -> None:
    """Measure chunks of tracks in parallel, one part file per chunk."""
    stems = _readable(catalog)
    by_id = {chunk[0] if len(chunk) == 1 else f"{chunk[0]} to {chunk[-1]}": chunk for chunk in chunks}
    seconds = {
        track: max(frames / rate for frames, rate in rows)
        for track, rows in stems.tuples(["frames", "sample_rate"])
    }
    amounts = {id: sum(seconds[track] for track in chunk) for id, chunk in by_id.items()}

    def arguments(id: str) -> tuple[Any, ...]:
        refs = groupby(stem_refs(stems.rows(by_id[id])), key=lambda ref: ref.track)
        work = [(track, wanted[track], list(own)) for track, own in refs]
        return work, str(catalog.root), str(parts.resolve()), owner.of_workers(scheduler)

    tasks = Tasks(by_id, arguments)
    shared = SharedFolders([catalog.root], parts)
    with progress.stage("activity", sum(amounts.values()), "s of audio") as advance:
        for result in run(
            _measure_part, tasks, jobs=jobs, backend=backend, scheduler=scheduler, shared=shared
        ):
            result.unwrap()
            advance(amounts[result.id])


def estimated_bytes(catalog: Catalog, tracks: Sequence[str]) -> int:
    """About how much disk space the activity of tracks takes in a file; one that is named twice counts twice."""
    frame = catalog.frame
    readable = frame["status"].isin(READABLE).to_numpy()
    numbers, names = pd.factorize(frame["track"].to_numpy()[readable])
    longest = np.zeros(len(names))
    np.maximum.at(longest, numbers, (frame["frames"] / frame["sample_rate"]).to_numpy()[readable])
    stems = np.bincount(numbers, minlength=len(names))
    signals = np.ones(len(names), int)
    np.maximum.at(signals, numbers, 1 + (frame["channels"] == 2).to_numpy()[readable])
    pairs = signals * stems * (stems + 3) // 2  # sums, and upper triangles, of mids and sides
    values = pd.Series(np.ceil(longest * HOPS_PER_SECOND) * pairs, names)
    return round(8 * float(values.loc[list(tracks)].sum()) * PACKED_SHARE)


def _chunks(missing: list[str]) -> list[list[str]]:
    """Tracks in parts of one task each: few enough tasks to be cheap, enough of them to keep workers busy."""
    size = max(1, min(TRACKS_PER_PART, len(missing) // 64))
    return [missing[i : i + size] for i in range(0, len(missing), size)]


def _measure_part(work: list[tuple[str, str, list[StemRef]]], root: str, folder: str, owner: Owner) -> str:
    """One task: measure some tracks and publish them as one small activity file."""
    buffer, file = new_image()
    with file:
        for track, key, rows in work:
            encode_track(file, track, measure_track(rows, Path(root)), key)
    name = sha256("".join(key for _, key, _ in work).encode())[:16]
    publish(Path(folder) / f"part-{name}.h5", buffer.getbuffer(), owner=owner)
    return name


def _readable(catalog: Catalog) -> StemsByTrack:
    return StemsByTrack(catalog.frame, READABLE)


def _wanted(catalog: Catalog) -> dict[str, str]:
    """Key by track: changes whenever one of its files was changed.

    Of files that do not store what their content is, all that the system notes of a file.
    """
    wanted = {}
    columns = ["stem", "size", "mtime_ns", "frames", "sample_rate", "channels", "path", "content"]
    for track, rows in _readable(catalog).tuples(columns):
        files = [
            [*map(str, row), *(() if row[-1] else stamp_of(catalog.root / str(row[-2])))] for row in rows
        ]
        wanted[track] = sha256(json.dumps(files).encode())[:32]
    return wanted


def _forget(path: Path, error: ActivityError) -> None:
    """Remove a damaged file of the cache, which is then measured again."""
    try:
        path.unlink()
    except OSError:
        raise error from None
    warnings.warn(
        f"{error}. It lay in the cache; its tracks are measured again", SlakhHierWarning, stacklevel=4
    )


def _measured(path: Path, wanted: dict[str, str]) -> dict[str, Path]:
    """The wanted tracks that a file holds, measured on the files as they are now."""
    if not path.exists():
        return {}
    with ActivityFile(path) as file:
        return {track: path for track in file if wanted.get(track) == file.key(track)}


def _parts_of(target: Path) -> Path:
    return target.parent / f"{target.name}.parts"


def _part_files(parts: Path) -> list[Path]:
    return sorted(parts.glob("part-*.h5"))


def _merge(target: Path, parts: Path, wanted: dict[str, str], needed: Sequence[str]) -> None:
    """Copy every wanted track that was measured into one file, in the catalog's order, and remove the parts."""
    sources = [path for path in (*_part_files(parts), target) if path.exists()]
    require_free(
        target.parent, sum(path.stat().st_size for path in sources), f"merging the activity into {target}"
    )
    places: dict[str, Path] = {}
    for path in sources:
        places.update(_measured(path, wanted))
    if lost := [track for track in needed if track not in places]:
        raise FaultError(
            f"{parts}: {counted(len(lost), 'track was', 'tracks were')} not measured ({lost[0]} first); run the same command again"
        )
    opened: tuple[Path, ActivityFile] | None = None
    try:
        with streamed(target, parts) as add:  # there a rerun removes what a kill leaves
            for track in (track for track in wanted if track in places):
                if opened is None or opened[0] != places[track]:
                    if opened is not None:
                        opened[1].close()
                    opened = (places[track], ActivityFile(places[track]))
                add(opened[1], track)
    finally:
        if opened is not None:
            opened[1].close()
    _remove_parts(parts)


def _remove_parts(parts: Path) -> None:
    remove_temporaries(parts)
    for path in _part_files(parts):
        path.unlink()
    for path in parts.glob(f"{LOCK_NAME}*"):
        path.unlink()
    with suppress(OSError):  # somebody put something else there
        parts.rmdir()
