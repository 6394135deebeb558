"""``scan``: from a data set on disk to its catalog."""

from __future__ import annotations

import os
import time
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from slakh_hier import parallel
from slakh_hier.errors import InputError, SlakhHierWarning
from slakh_hier.hierarchy import Hierarchy
from slakh_hier.progress import Progress, Silent
from slakh_hier.slakh.cache import load_facts, save_facts
from slakh_hier.slakh.catalog import Catalog, StemRow, build_frame
from slakh_hier.slakh.layout import NO_SPLIT, TrackFolder, find_tracks, resolve_root
from slakh_hier.slakh.metadata import StemEntry
from slakh_hier.slakh.splits import FOLDERS, Erratum, Identity, check_scheme, errata_of, identify, split_of
from slakh_hier.slakh.tracks import SUFFIXES, FileFacts, TrackFacts, look_at_all

_TASK = 50  # tracks of one task: a quarter of a second of reading
_PARALLEL = 300  # fewer tracks are read sooner than worker processes start
_SAVE_SECONDS = 60.0
_NAMED = 5  # so many tracks or songs are named in one message
_UNKNOWN = StemEntry(None, None, False, None, None, "the metadata do not name this stem")


@dataclass(frozen=True)
class _Track:
    """A track that can be used: where it lies, what is in it, whose song it is."""

    folder: TrackFolder
    facts: TrackFacts
    song: str | None
    identity: Identity


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
    facts = _look(resolved, folders, deep, cache, parallel.resolve_jobs(jobs), progress or Silent())
    tracks = _usable(folders, facts, skipped)
    if not tracks:
        raise InputError(f"{resolved}: no track can be used. {_some(skipped, '; ')}")
    notes: list[str] = []
    scheme = split_scheme or _default_scheme(tracks, notes)
    splits = _splits(tracks, scheme, notes)
    rows = [row for track in tracks for row in _rows(track, splits[track.folder.track], errata)]
    catalog = Catalog(
        resolved, hierarchy, scheme, build_frame(rows, hierarchy), list(skipped), list(skipped), notes
    )
    if leak := _leak_message(catalog):
        catalog.problems.append(leak)
        if not strict:
            warnings.warn(leak, SlakhHierWarning, stacklevel=2)
    if strict and catalog.problems:
        raise InputError(
            "\n".join([f"{resolved}: {len(catalog.problems)} problems (strict):", *catalog.problems])
        )
    return catalog


def _look(
    root: Path, folders: Sequence[TrackFolder], deep: bool, cache: bool, jobs: int, progress: Progress
) -> dict[str, TrackFacts]:
    """Facts of every track by its path; those of the cache count where nothing has changed."""
    known = load_facts(root) if cache else {}
    paths = [folder.path for folder in folders]
    new = [path for path in paths if path not in known or (deep and _unchecked(known[path]))]
    size = 1 if deep else _TASK
    tasks = {
        group[0]: (root, [(path, known.get(path)) for path in group], deep)
        for group in (new[i : i + size] for i in range(0, len(new), size))
    }
    found: dict[str, TrackFacts] = {}
    saved = time.monotonic()
    with progress.stage("checking audio" if deep else "reading headers", len(paths), "tracks") as advance:
        old = [(path, known[path]) for path in paths if path in known and path not in set(new)]
        found.update(look_at_all(root, old, deep))
        advance(len(old))
        workers = jobs if deep or len(new) >= _PARALLEL else 1
        # Decoding lets go of the interpreter's lock, parsing YAML does not.
        for result in parallel.run(look_at_all, tasks, jobs=workers, backend="threading" if deep else "loky"):
            group = result.unwrap()
            found.update(group)
            advance(len(group))
            if cache and deep and time.monotonic() - saved > _SAVE_SECONDS:
                save_facts(root, known | found)  # a stopped check goes on from here
                saved = time.monotonic()
    if cache and found != {path: known.get(path) for path in paths}:
        save_facts(root, found)
    return found


def _unchecked(facts: TrackFacts) -> bool:
    return any(file.deep is None and not file.fault for file in facts.files.values())


def _usable(
    folders: Sequence[TrackFolder], facts: Mapping[str, TrackFacts], skipped: list[str]
) -> list[_Track]:
    tracks = []
    for folder in folders:
        found = facts[folder.path]
        if found.metadata is None:
            skipped.append(
                f"{found.error}\n  {folder.track} is skipped" if found.error else f"{folder.path}: skipped"
            )
            continue
        skipped += [f"{folder.path}: {reason}; left out" for reason in found.metadata.unusable]
        if not found.metadata.stems and not found.files:
            skipped.append(f"{folder.path}: neither its metadata nor its stems folder name a stem; skipped")
            continue
        song = found.metadata.uuid or found.midi_md5
        tracks.append(_Track(folder, found, song, identify(folder.track, song)))
    return tracks


def _default_scheme(tracks: Sequence[_Track], notes: list[str]) -> str:
    unknown = [track.folder.track for track in tracks if not track.identity.known]
    if not unknown:
        return "split2"
    if len(unknown) < len(tracks):
        notes.append(
            f"{len(unknown)} of {len(tracks)} tracks are no songs of Slakh2100 ({_some(unknown)}), so the folders are "
            "the splits; --split-scheme split2 takes the published list for the others"
        )
    return FOLDERS


def _splits(tracks: Sequence[_Track], scheme: str, notes: list[str]) -> dict[str, str]:
    """The split of every track, by its id."""
    if scheme == FOLDERS:
        splits = {track.folder.track: track.folder.split for track in tracks}
        if all(split == NO_SPLIT for split in splits.values()):
            notes.append(
                "no track has a split: the data set has no train, validation and test folders. Sort the tracks into "
                "such folders, or save the catalog (-o catalog.csv), fill its column split and give it with --catalog"
            )
        return splits
    splits, unknown, unsure = {}, [], []
    for track in tracks:
        name = track.folder.track
        splits[name], choice = split_of(track.identity, scheme)
        if not track.identity.known:
            unknown.append(name)
        if choice:
            first = track.identity.tracks[0]
            others = ", ".join(f"{other.track} {other.splits[scheme]}" for other in track.identity.tracks)
            unsure.append(f"{name} ({others}): taken as {first.track}")
    if unknown:
        notes.append(
            f"{len(unknown)} tracks are no songs of Slakh2100 and have no split under {scheme}: {_some(unknown)}"
        )
    if unsure:
        notes.append(
            f"{len(unsure)} tracks have another name and a song that {scheme} has in several splits: {_some(unsure, '; ')}"
        )
    return splits


def _rows(track: _Track, split: str, errata: bool) -> list[StemRow]:
    """The stems of a track: those of its metadata, and files that the metadata do not name."""
    metadata, files = track.facts.metadata, track.facts.files
    assert metadata is not None
    chosen = _choose_files(files)
    rate = _common_rate([files[names[0]] for names in chosen.values()])
    faults = errata_of(track.identity) if errata else {}
    rows = []
    for stem in sorted({*metadata.stems, *chosen}):
        entry = metadata.stems.get(stem, _UNKNOWN)
        names = chosen.get(stem, [])
        facts = files[names[0]] if names else None
        status, why = _status(facts, rate, faults.get(stem, ()))
        if facts is None:
            why = _why_absent(stem, track.facts.strays)
        else:
            remarks = [entry.doubts, f"{', '.join(names[1:])} not used" if names[1:] else ""]
            if facts.channels > 1:
                remarks.append(f"{facts.channels} channels, folded down to one")
            why = "; ".join(filter(None, [why, *remarks]))
        there = facts or FileFacts(0, 0)
        rows.append(
            StemRow(
                track=track.folder.track,
                song=track.song or track.folder.track,
                split=split,
                stem=stem,
                path=f"{track.folder.path}/stems/{names[0]}" if names else "",
                frames=there.frames,
                sample_rate=there.sample_rate,
                channels=there.channels,
                size=there.size,
                mtime_ns=there.mtime_ns,
                patch=entry.patch,
                program=entry.program,
                is_drum=entry.is_drum,
                midi_program_name=entry.midi_program_name,
                inst_class=entry.inst_class,
                status=status,
                why=why,
            )
        )
    return rows


def _status(facts: FileFacts | None, rate: int, faults: Sequence[Erratum]) -> tuple[str, str]:
    if facts is None:
        return "no_audio", ""
    if facts.fault or facts.deep:
        return "broken", facts.fault or facts.deep or ""
    if facts.sample_rate != rate:
        return "broken", f"its sample rate is {facts.sample_rate} Hz, the track's is {rate} Hz"
    known = [
        f"{fault.defect.replace('_', ' ')} ({fault.track}/{fault.stem}, {fault.source})" for fault in faults
    ]
    if any(fault.exclude for fault in faults):
        return "excluded", "erratum: " + "; ".join(known)
    return "audio", "known fault, kept: " + "; ".join(known) if known else ""


def _choose_files(files: Mapping[str, FileFacts]) -> dict[str, list[str]]:
    """Names of the files of each stem, the one that counts first."""
    chosen: dict[str, list[str]] = {}
    order = {suffix: place for place, suffix in enumerate(SUFFIXES)}
    for name in sorted(files, key=lambda name: (order[os.path.splitext(name)[1].lower()], name)):
        chosen.setdefault(os.path.splitext(name)[0], []).append(name)
    return chosen


def _common_rate(files: Sequence[FileFacts]) -> int:
    """The sample rate of most stems; of two equally common ones the first stem's."""
    rates = Counter(facts.sample_rate for facts in files if not facts.fault)
    return rates.most_common(1)[0][0] if rates else 0


def _why_absent(stem: str, strays: Sequence[str]) -> str:
    near = [name for name in strays if os.path.splitext(name)[0].lower() == stem.lower()]
    if near:
        return f"{near[0]} is there, but only {' and '.join(SUFFIXES)} files called {stem} are read"
    outside = [name for name in strays if name.startswith("stems ")]
    return outside[0] if outside else "no file"


def _leak_message(catalog: Catalog) -> str:
    leaks = catalog.leaks
    if not leaks:
        return ""
    named = [
        " and ".join(f"{', '.join(tracks)} ({split})" for split, tracks in by_split.items())
        for _, by_split in leaks
    ]
    if catalog.scheme in ("orig", "redux"):
        advice = "; split2 keeps songs together"
    else:
        advice = "; move a song's tracks into one split, in the folders or in a saved catalog"
    count = "1 song lies" if len(leaks) == 1 else f"{len(leaks)} songs lie"
    return f"{count} in more than one split (scheme {catalog.scheme}): {_some(named, '; ')}{advice}"


def _some(names: Sequence[str], separator: str = ", ") -> str:
    more = f"{separator}and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return separator.join(names[:_NAMED]) + more
