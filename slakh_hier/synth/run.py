"""Making a data set: songs in, a folder in Slakh's layout out; in parallel, and resumed where it was stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from slakh_hier import parallel, safe_yaml
from slakh_hier.errors import InputError, SlakhHierError, SongError
from slakh_hier.files import (
    file_sha256,
    make_folder,
    publish_json,
    remove_temporaries,
    require_free,
)
from slakh_hier.locks import Owner, folder_lock, refuse_locked
from slakh_hier.parallel import Backend
from slakh_hier.plain_files import read_plain, stat_below
from slakh_hier.progress import Progress, Silent
from slakh_hier.shared_folders import SharedFolders
from slakh_hier.slakh.headers import HeaderError, read_header
from slakh_hier.slakh.track_note import damage
from slakh_hier.splits import DEFAULT_SHARES, SPLITS, assign_splits, check_shares
from slakh_hier.synth.extras import default_soundfont, require
from slakh_hier.synth.sampler import open_soundfont
from slakh_hier.synth.sources import find_midi
from slakh_hier.synth.synthesise import SYNTHESISERS, Synthesiser
from slakh_hier.synth.track import Settings, Source, TrackRecord, foreseen_bytes, make_track

RECORD = "synth.json"
DEFAULT_SEED = 588
DEFAULT_SECONDS = 40.0
MAX_TRACKS = 99_999
_RECIPE = 1
"""Raised when the same parameters give other audio, so that an old folder is not continued with new sound."""

_READ_AHEAD = 64
"""Songs that are read to foresee the room that all will take; one takes 10 to 30 ms."""

_MAX_RECORD = 128 << 20
"""A record has some 150 bytes for each of at most 99,999 tracks, and more where names are long."""

_LIBRARIES = ("mido", "pyloudnorm", "scipy.signal")


@dataclass(frozen=True)
class SplitSummary:
    """What a split holds. ``songs`` are distinct; ``silent`` stems hold zeros; ``without_audio`` only have metadata."""

    split: str
    tracks: int
    songs: int
    minutes: float
    stems: int
    silent: int
    without_audio: int


@dataclass(frozen=True)
class SynthReport:
    """What was made: the folder, its splits, tracks made now and kept from before, songs left out and why.

    ``remarks`` say where the MIDI files of the tracks made now break the standard.
    """

    folder: Path
    splits: tuple[SplitSummary, ...]
    made: int
    kept: int
    failures: tuple[tuple[str, str], ...]
    remarks: tuple[tuple[str, str], ...] = ()


def make_data_set(
    midi: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    compose: int = 0,
    seconds: float = DEFAULT_SECONDS,
    soundfont: str | os.PathLike[str] | None = None,
    synthesiser: Synthesiser = "builtin",
    reorchestrate: bool = False,
    max_seconds: float | None = None,
    splits: Sequence[float] = DEFAULT_SHARES,
    seed: int = DEFAULT_SEED,
    jobs: int | None = None,
    backend: Backend = "loky",
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> SynthReport:
    """Synthesise songs into a data set in Slakh2100's layout.

    The same songs and parameters give the same bytes, whatever the number of jobs. A folder that holds a part of
    the same data set is completed; any other folder that is not empty is refused.

    Parameters
    ----------
    midi
        MIDI files, or folders of them. Nothing with ``compose``.
    compose
        Compose this many songs instead.
    seconds
        About how long a composed song is.
    soundfont
        SF2 or SF3 file; by default TimGM6mb.sf2 from the package pretty_midi.
    synthesiser
        ``builtin`` or ``fluidsynth``.
    reorchestrate
        Spread the parts over all categories.
    max_seconds
        Take only the beginning of each song.
    splits
        Percentages of songs for train, validation and test.
    jobs, backend, scheduler
        As for :func:`slakh_hier.parallel.run`. Songs are composed on this machine.

    Raises
    ------
    InputError
        Wrong parameters, or a folder that holds something else; nothing is done.
    MissingExtraError
        A library of the extra ``synth`` is missing.
    LockedError
        Another run is writing into the folder.
    FaultError
        The disk is full or a worker died; finished tracks are kept. Or there is too little room for what is missing, as
        far as some of the songs tell; then nothing is made.
    """
    progress = progress or Silent()
    refuse_locked(Path(out))
    shares = check_shares(splits)
    _check(midi, compose, seconds, synthesiser, max_seconds)
    for library in _LIBRARIES:
        require(library)
    font = Path(soundfont) if soundfont is not None else default_soundfont()
    open_soundfont(str(font))
    settings = Settings(str(font.resolve()), synthesiser, reorchestrate, max_seconds, seed)
    failures: list[tuple[str, str]] = []
    if compose:
        sources = _composed(compose, seconds, seed, jobs, progress)
    else:
        sources, failures = _listed(midi)
    split_of = assign_splits((source.md5 for source in sources), shares, seed)
    sources = [replace(source, split=split_of[source.md5]) for source in sources]
    folder = make_folder(Path(out))
    with folder_lock(folder) as owner:
        _claim(folder, _record(settings, font, shares, seconds if compose else None, sources))
        _remove_leftovers(folder)
        run = _Run(jobs, backend, scheduler, progress)
        try:
            return _make_all(folder, owner.of_workers(scheduler), sources, settings, failures, run)
        finally:
            _remove_leftovers(folder)  # of workers that were stopped


class _Run(NamedTuple):
    """How the work is run in parallel and shown."""

    jobs: int | None
    backend: Backend
    scheduler: str | None
    progress: Progress


def _make_all(
    folder: Path,
    owner: Owner,
    sources: Sequence[Source],
    settings: Settings,
    failures: list[tuple[str, str]],
    run: _Run,
) -> SynthReport:
    remarks: list[tuple[str, str]] = []
    done = {s.track: record for s in sources if (record := _kept(folder / s.split / s.track)) is not None}
    kept = len(done)
    by_track = {source.track: source for source in sources}
    missing = [source for source in sources if source.track not in done]
    require_free(folder, _foreseen(missing, settings), "synthesising")
    tasks: dict[str, tuple[Any, ...]] = {
        source.track: (source, settings, str(folder.resolve()), owner) for source in missing
    }
    songs = {Path(source.path).parent for source in missing if source.path is not None}
    shared = SharedFolders([Path(settings.soundfont), *sorted(songs)], folder)
    with run.progress.stage("synthesising", len(tasks), "tracks") as advance:
        for result in parallel.run(
            make_track, tasks, jobs=run.jobs, backend=run.backend, scheduler=run.scheduler, shared=shared
        ):
            advance(1)
            if isinstance(result.error, SongError):
                failures.append((by_track[result.id].name, str(result.error)))
            else:
                record = result.unwrap()
                done[record.track] = record
                remarks.extend((by_track[record.track].name, remark) for remark in record.remarks)
    return SynthReport(
        folder,
        tuple(_summary(split, sources, done) for split in SPLITS),
        len(done) - kept,
        kept,
        tuple(sorted(failures)),
        tuple(sorted(remarks)),
    )


def _foreseen(sources: Sequence[Source], settings: Settings) -> int:
    """About how many bytes the tracks will take, from reading some of the songs."""
    some = sources[:: max(1, -(-len(sources) // _READ_AHEAD))]
    return round(sum(foreseen_bytes(source, settings) for source in some) * len(sources) / max(1, len(some)))


def _check(
    midi: Sequence[object], compose: int, seconds: float, synthesiser: str, max_seconds: float | None
) -> None:
    if bool(midi) == bool(compose):
        raise InputError("give MIDI files or folders, or a number of songs to compose: one of the two")
    if compose < 0 or compose > MAX_TRACKS:
        raise InputError(f"the number of songs to compose must be 1 to {MAX_TRACKS}, not {compose}")
    if not 8 <= seconds <= 600:
        raise InputError(f"a composed song lasts 8 to 600 s, not {seconds:g}")
    if max_seconds is not None and not max_seconds > 0:
        raise InputError(f"max_seconds must be more than 0, not {max_seconds:g}")
    if synthesiser not in SYNTHESISERS:
        raise InputError(f"synthesiser must be one of {', '.join(SYNTHESISERS)}, not {synthesiser!r}")


def _listed(midi: Sequence[str | os.PathLike[str]]) -> tuple[list[Source], list[tuple[str, str]]]:
    """A source for every file that can be read, numbered by the place among all of them; and the others' reasons."""
    found = find_midi(midi)
    if len(found) > MAX_TRACKS:
        raise InputError(
            f"{len(found)} MIDI files are more than the {MAX_TRACKS} that tracks can be numbered for"
        )
    failures = [(file.name, file.reason) for file in found if file.reason]
    sources = [
        Source(f"Track{number:05d}", "", file.name, file.md5, path=str(file.path.absolute()))
        for number, file in enumerate(found, start=1)
        if not file.reason
    ]
    return sources, failures


def _composed(count: int, seconds: float, seed: int, jobs: int | None, progress: Progress) -> list[Source]:
    from slakh_hier.synth.compose import compose_song, plan_songs

    plans = plan_songs(count, seed)
    tasks = {f"Track{i:05d}": (plan, seconds) for i, plan in enumerate(plans, start=1)}
    songs: dict[str, Source] = {}
    with progress.stage("composing", count, "songs") as advance:
        for result in parallel.run(compose_song, tasks, jobs=jobs):
            song = result.unwrap()
            songs[result.id] = Source(result.id, "", song.name, song.md5, data=song.data)
            advance(1)
    return [songs[track] for track in tasks]


def _record(
    settings: Settings, font: Path, shares: Sequence[float], seconds: float | None, sources: Iterable[Source]
) -> dict[str, Any]:
    """What decides every byte of the data set: written first, compared when the folder is continued."""
    parameters = {
        **{key: value for key, value in asdict(settings).items() if key != "soundfont"},
        "soundfont": font.name,
        "soundfont_sha256": file_sha256(font),
        "splits": list(shares),
        "seconds": seconds,
    }
    return {
        "format": "slakh-hier synth",
        "recipe": _RECIPE,
        "parameters": parameters,
        "tracks": [
            {"track": s.track, "split": s.split, "source": s.name, "midi_md5": s.md5} for s in sources
        ],
    }


def _claim(folder: Path, record: dict[str, Any]) -> None:
    """Take the folder for this data set, or refuse it. Only the lock may be there before."""
    path = folder / RECORD
    if not path.exists():
        if others := [p.name for p in folder.iterdir() if not p.name.startswith(".")]:
            raise InputError(
                f"{folder} holds {', '.join(sorted(others)[:3])} and no {RECORD}: it was not made by synth. Choose an "
                "empty or new folder"
            )
        publish_json(path, record)
        return
    try:
        before = json.loads(read_plain(path, _MAX_RECORD))
        old, new = before["parameters"], record["parameters"]
        if before["recipe"] != record["recipe"]:
            differences = ["it was made by another version of this program"]
        else:
            keys = sorted({*old, *new})
            differences = [f"{k} was {old.get(k)}, is {new.get(k)}" for k in keys if old.get(k) != new.get(k)]
        if not differences and before["tracks"] != record["tracks"]:
            differences = [f"its songs were {len(before['tracks'])} others, or other content"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read ({reason}); choose another folder") from error
    if differences:
        raise InputError(
            f"{folder} holds a data set made otherwise: {'; '.join(differences)}. Give the same parameters to continue "
            "it, or choose another folder"
        )


def _remove_leftovers(folder: Path) -> None:
    """Remove what killed runs and workers left behind; the lock is held."""
    remove_temporaries(folder)


def _kept(track: Path) -> TrackRecord | None:
    """The record of a track that was made before; None where a file of it is missing or damaged: it is made again."""
    path = track / "metadata.yaml"
    try:
        stems = safe_yaml.load(read_plain(path, safe_yaml.MAX_BYTES), str(path))["stems"]
        rendered = [name for name, stem in stems.items() if stem["audio_rendered"]]
        silent = sum("integrated_loudness" not in stems[name] for name in rendered)
        stat_below(track, "mix.flac")  # a pipe in its place would be waited for
        mix = read_header(track / "mix.flac")
    except (OSError, SlakhHierError, HeaderError, KeyError, TypeError, AttributeError):
        return None
    if damage(track) is not None:
        return None
    return TrackRecord(
        track.name, mix.frames / mix.sample_rate, len(rendered), silent, len(stems) - len(rendered)
    )


def _summary(split: str, sources: Sequence[Source], done: dict[str, TrackRecord]) -> SplitSummary:
    mine = [source for source in sources if source.split == split and source.track in done]
    records = [done[source.track] for source in mine]
    return SplitSummary(
        split,
        len(mine),
        len({source.md5 for source in mine}),
        round(sum(record.seconds for record in records) / 60, 2),
        sum(record.stems for record in records),
        sum(record.silent for record in records),
        sum(record.without_audio for record in records),
    )
