"""``scan``: from a data set on disk to its catalog."""

from __future__ import annotations

import gc
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from slakh_hier import parallel
from slakh_hier.errors import InputError, SlakhHierWarning
from slakh_hier.hierarchy import Hierarchy
from slakh_hier.progress import Progress, Silent
from slakh_hier.slakh.assign import assign_splits, default_scheme
from slakh_hier.slakh.cache import load_facts, save_facts
from slakh_hier.slakh.catalog import Catalog
from slakh_hier.slakh.frame import build_frame
from slakh_hier.slakh.layout import TrackFolder, find_tracks, resolve_root
from slakh_hier.slakh.rows import Track, stem_rows
from slakh_hier.slakh.splits import check_scheme, describe_leaks, identify, some
from slakh_hier.slakh.tracks import TrackFacts, look_at_all

_TASK = 50  # tracks of one task
_SAVE_SECONDS = 60.0


def scan(
    root: str | os.PathLike[str],
    hierarchy: Hierarchy,
    *,
    split_scheme: str | None = None,
    errata: bool = True,
    deep: bool = False,
    strict: bool = False,
    cache: bool = True,
    jobs: int | None = None,
    progress: Progress | None = None,
) -> Catalog:
    """Catalog every stem of a data set in Slakh's layout. The data set is only read.

    The disk decides what is there; the metadata say what a stem is. Splits and errata go by the song: the UUID of
    the metadata, else the MD5 of all_src.mid, else nothing but the track's name.

    Parameters
    ----------
    root
        The folder with train, validation and test, or with the tracks themselves.
    hierarchy
        The tree that the stems are matched to.
    split_scheme
        orig, split2 or redux (published lists), or folders. None: split2 when every song is Slakh2100's, else
        folders.
    errata
        Exclude the stems of Slakh2100 that are known to be noise.
    deep
        Decode every file and compare its MD5: about 250 ms for a stem of four minutes, once.
    strict
        Make every problem an error: tracks left out, songs in two splits.
    cache
        Keep what was read in the user's cache folder, and read only what has changed since.
    jobs
        Worker processes; None: one per processor.
    progress
        Who is told how far the work is.

    Raises
    ------
    InputError
        The folder is no data set, the scheme is unknown, or ``strict`` found problems.

    Warns
    -----
    SlakhHierWarning
        A song lies in two splits.
    """
    if split_scheme is not None:
        check_scheme(split_scheme)
    resolved = resolve_root(root)
    folders, skipped = find_tracks(resolved)
    with _no_garbage_collection():
        facts = _look(resolved, folders, deep, cache, parallel.resolve_jobs(jobs), progress or Silent())
        tracks = _usable(folders, facts, skipped)
        if not tracks:
            raise InputError(f"{resolved}: no track can be used. {some(skipped, '; ')}")
        notes = _notes(tracks)
        scheme = split_scheme or default_scheme(tracks, notes)
        splits = assign_splits(tracks, scheme, notes)
        rows = [
            row for track in tracks for row in stem_rows(track, splits[track.folder.track], errata=errata)
        ]
        catalog = Catalog(
            resolved, hierarchy, scheme, build_frame(rows, hierarchy), list(skipped), list(skipped), notes
        )
    if catalog.leaks:
        catalog.problems.append(describe_leaks(catalog.leaks, scheme))
        if not strict:
            warnings.warn(catalog.problems[-1], SlakhHierWarning, stacklevel=2)
    if strict and catalog.problems:
        raise InputError(
            "\n".join([f"{resolved}: {len(catalog.problems)} problems (strict):", *catalog.problems])
        )
    return catalog


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """A scan makes a million objects and no cycles; looking for some takes a fifth of its time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _look(
    root: Path, folders: Sequence[TrackFolder], deep: bool, cache: bool, jobs: int, progress: Progress
) -> dict[str, TrackFacts]:
    """Facts of every track by its path; those of the cache count where nothing has changed."""
    known = load_facts(root) if cache else {}
    paths = [folder.path for folder in folders]
    size = 1 if deep else _TASK
    groups = [paths[i : i + size] for i in range(0, len(paths), size)]
    tasks = {group[0]: (root, [(path, known.get(path)) for path in group], deep) for group in groups}
    found: dict[str, TrackFacts] = {}
    saved = time.monotonic()

    def save() -> None:
        facts = known | found
        if cache and facts != known:
            save_facts(root, {path: facts[path] for path in paths if path in facts})

    try:
        with progress.stage("checking audio" if deep else "reading headers", len(paths), "tracks") as advance:
            # Threads: what takes long is waiting for the disk, or decoding. YAML takes half a millisecond a track.
            for result in parallel.run(look_at_all, tasks, jobs=jobs, backend="threading"):
                group = result.unwrap()
                found.update(group)
                advance(len(group))
                if time.monotonic() - saved > _SAVE_SECONDS:
                    save()
                    saved = time.monotonic()
    finally:
        save()  # a stopped check of an hour's audio goes on from here
    return found


def _usable(
    folders: Sequence[TrackFolder], facts: Mapping[str, TrackFacts], skipped: list[str]
) -> list[Track]:
    tracks = []
    for folder in folders:
        found = facts[folder.path]
        if found.metadata is None:
            skipped.append("; ".join([*found.error.splitlines(), "the track is skipped"]))
            continue
        if found.stems_fault:
            skipped.append(f"{folder.path}/stems: {found.stems_fault}; the track is skipped")
            continue
        skipped += [f"{folder.path}: {reason}; left out" for reason in found.metadata.unusable]
        if not found.metadata.stems and not found.files:
            skipped.append(f"{folder.path}: neither its metadata nor its stems folder name a stem; skipped")
            continue
        song = found.metadata.uuid or found.midi_md5
        tracks.append(Track(folder, found, song, identify(folder.track, song)))
    return tracks


def _notes(tracks: Sequence[Track]) -> list[str]:
    notes = []
    if not any(track.facts.files for track in tracks):
        notes.append("no track has audio: stems are looked for as stems/S00.flac or stems/S00.wav")
    strays = [f"{track.folder.path}/stems/{name}" for track in tracks for name in track.facts.strays]
    if strays:
        notes.append(f"{len(strays)} files are not called S00.flac to S999.wav and not read: {some(strays)}")
    if uneven := [text for track in tracks if (text := _uneven(track))]:
        notes.append(
            f"{len(uneven)} tracks have stems of differing lengths; silence follows the shorter ones: {some(uneven)}"
        )
    return notes


def _uneven(track: Track) -> str:
    """A track with its shortest and longest stem where they differ in length, else ""."""
    lengths = sorted(
        (facts.frames / facts.sample_rate, name)
        for name, facts in track.facts.files.items()
        if not facts.fault
    )
    if not lengths or lengths[0][0] == lengths[-1][0]:
        return ""
    (short, first), (long, last) = lengths[0], lengths[-1]
    return f"{track.folder.track} ({first} {short:.2f} s, {last} {long:.2f} s)"
