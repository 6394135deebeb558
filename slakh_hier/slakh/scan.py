"""``scan``: from a data set on disk to its catalog."""

from __future__ import annotations

import gc
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from slakh_hier import parallel
from slakh_hier.errors import InputError, SlakhHierWarning
from slakh_hier.hierarchy import Hierarchy
from slakh_hier.paths import StrPath
from slakh_hier.progress import Progress, Wanted, shown
from slakh_hier.slakh.assign import assign_splits, default_scheme
from slakh_hier.slakh.cache import load_facts, pack, save_facts, unpack
from slakh_hier.slakh.catalog import Catalog
from slakh_hier.slakh.duplicates import describe_shared, shared_audio
from slakh_hier.slakh.frame import StemTable
from slakh_hier.slakh.layout import TrackFolder, find_tracks, resolve_root
from slakh_hier.slakh.rows import Track, stem_rows
from slakh_hier.slakh.splits import check_scheme, describe_leaks, identify
from slakh_hier.slakh.tracks import FileFacts, TrackFacts, look
from slakh_hier.wording import counted, some

_TASK = 50  # tracks of one task
_SAVE_SECONDS = 60.0


def scan(
    root: StrPath,
    hierarchy: Hierarchy,
    *,
    split_scheme: str | None = None,
    errata: bool = True,
    deep: bool = False,
    strict: bool = False,
    follow_links: bool = False,
    cache: bool = True,
    jobs: int | None = None,
    progress: Wanted = None,
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
        Decode every file and compare its MD5: about 250 ms for a stem of four minutes, once. Looks also for the same audio
        in two splits.
    strict
        Make every problem an error: tracks left out, songs or the same audio in two splits, no audio at all.
    follow_links
        Follow links that lead out of the data set. Trust its maker then: any audio file may be read through them.
    cache
        Keep what was read in the user's cache folder, and read only what has changed since.
    jobs
        Worker threads; None: one per CPU core.
    progress
        Receives the progress.

    Raises
    ------
    InputError
        The folder is not a data set, the scheme is unknown, or ``strict`` found problems.

    Warns
    -----
    SlakhHierWarning
        A song, or the same audio, lies in two splits.
    """
    if split_scheme is not None:
        check_scheme(split_scheme)
    resolved = resolve_root(root)
    folders, skipped = find_tracks(resolved, follow_links=follow_links)
    with _no_garbage_collection():
        by_path = {folder.path: folder for folder in folders}
        found: dict[str, Track] = {}
        left_out: dict[str, list[str]] = {}
        stems = StemTable()

        def take(path: str, facts: TrackFacts) -> None:
            track, faults = _usable(by_path[path], facts)
            if faults:
                left_out[path] = faults
            if track is not None:
                found[path] = track
                stems.extend(stem_rows(track, facts, errata=errata))

        how = _How(deep, follow_links, cache)
        _look(resolved, list(by_path), how, parallel.resolve_jobs(jobs), shown(progress), take)
        skipped += [text for path in by_path for text in left_out.get(path, ())]
        tracks = [found[path] for path in by_path if path in found]
        if not tracks:
            raise InputError(f"{resolved}: no track can be used. {some(skipped, '; ')}")
        if not any(track.audio for track in tracks):
            skipped.append("no track has audio: stems are looked for as stems/S00.flac or stems/S00.wav")
        notes = _notes(tracks)
        scheme = split_scheme or default_scheme(tracks, notes)
        stems.set_splits(assign_splits(tracks, scheme, notes))
        catalog = Catalog(
            resolved,
            hierarchy,
            scheme,
            stems.to_frame(hierarchy),
            list(skipped),
            list(skipped),
            notes,
            follow_links,
        )
    if known := catalog.known_faults:
        what = counted(
            len(known), "stem is kept in spite of a known fault", "stems are kept in spite of known faults"
        )
        catalog.notes.append(f"{what}: {some(known, '; ')}")
    if artists := [f"{name} ({', '.join(found)})" for name, found in catalog.artists_in_splits.items()]:
        catalog.notes.append(f"artists in more than one split: {some(artists)}")
    if catalog.leaks:
        catalog.problems.append(describe_leaks(catalog.leaks, scheme))
        if not strict:
            warnings.warn(catalog.problems[-1], SlakhHierWarning, stacklevel=2)
    if deep and (shared := shared_audio(catalog.frame)):
        catalog.problems.append(describe_shared(shared))
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


class _How(NamedTuple):
    """How tracks are looked at: the options of :func:`scan`."""

    deep: bool
    follow_links: bool
    cache: bool


def _look(
    root: Path,
    paths: Sequence[str],
    how: _How,
    jobs: int,
    progress: Progress,
    take: Callable[[str, TrackFacts], None],
) -> None:
    """Give every track and its facts to ``take``, in any order; those of the cache count where nothing has changed."""
    known = load_facts(root) if how.cache else {}
    size = 1 if how.deep else _TASK
    groups = [paths[i : i + size] for i in range(0, len(paths), size)]
    tasks = {group[0]: (root, [(path, known.get(path)) for path in group], how) for group in groups}
    changed: dict[str, bytes] = {}
    saved = time.monotonic()

    def save() -> None:
        if changed:
            facts = known | changed
            save_facts(root, {path: facts[path] for path in paths if path in facts})

    try:
        with progress.stage(
            "checking audio" if how.deep else "reading headers", len(paths), "tracks"
        ) as advance:
            # Threads: what takes long is waiting for the disk, or decoding. YAML takes half a millisecond per track.
            for result in parallel.run(_look_at_all, tasks, jobs=jobs, backend="threading"):
                group = result.unwrap()
                for path, facts, packed in group:
                    if packed is not None:
                        changed[path] = packed
                    take(path, facts)
                advance(len(group))
                if time.monotonic() - saved > _SAVE_SECONDS:
                    save()
                    saved = time.monotonic()
    finally:
        save()  # an interrupted check of an hour's audio resumes from here


def _look_at_all(
    root: Path, tracks: Sequence[tuple[str, bytes | None]], how: _How
) -> list[tuple[str, TrackFacts, bytes | None]]:
    """Path and facts of several tracks, one task of a scan; packed as well where the cache has other ones."""
    found = []
    for path, packed in tracks:
        known = unpack(packed) if packed else None
        facts = look(root, path, known, deep=how.deep, follow_links=how.follow_links)
        found.append((path, facts, pack(facts) if how.cache and facts != known else None))
    return found


def _usable(folder: TrackFolder, facts: TrackFacts) -> tuple[Track | None, list[str]]:
    """The track, if it can be used, and what is left out of it."""
    if facts.metadata is None:
        return None, ["; ".join([*facts.error.splitlines(), "the track is skipped"])]
    if facts.stems_fault:
        return None, [f"{folder.path}/stems: {facts.stems_fault}; the track is skipped"]
    left_out = [f"{folder.path}: {reason}; left out" for reason in facts.metadata.unusable]
    if not facts.metadata.stems and not facts.files:
        nothing = f"{folder.path}: neither its metadata nor its stems folder name a stem; skipped"
        return None, [*left_out, nothing]
    song = facts.metadata.uuid or facts.midi_md5
    identity = identify(folder.track, song)
    uneven = _uneven(folder.track, facts.files)
    return Track(folder, song, identity, bool(facts.files), tuple(facts.strays), uneven), left_out


def _notes(tracks: Sequence[Track]) -> list[str]:
    notes = []
    strays = [f"{track.folder.path}/stems/{name}" for track in tracks for name in track.strays]
    if strays:
        notes.append(
            f"{counted(len(strays), 'file is', 'files are')} not called S00.flac to S999.wav and not read: {some(strays)}"
        )
    if uneven := [track.uneven for track in tracks if track.uneven]:
        notes.append(
            f"{counted(len(uneven), 'track has', 'tracks have')} stems of differing lengths; silence follows the shorter ones: {some(uneven)}"
        )
    return notes


def _uneven(track: str, files: Mapping[str, FileFacts]) -> str:
    """A track with its shortest and longest stem where they differ in length, else ""."""
    lengths = sorted(
        (facts.frames / facts.sample_rate, name) for name, facts in files.items() if not facts.fault
    )
    if not lengths or lengths[0][0] == lengths[-1][0]:
        return ""
    (short, first), (long, last) = lengths[0], lengths[-1]
    return f"{track} ({first} {short:.2f} s, {last} {long:.2f} s)"
