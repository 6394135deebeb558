"""Making a data set: songs in, a folder in Slakh's layout out; in parallel, and resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from slakh_hier import parallel
from slakh_hier.errors import InputError, check_choice
from slakh_hier.files import file_sha256
from slakh_hier.locks import refuse_locked
from slakh_hier.output.folder import OutputFolder
from slakh_hier.output.items import digest_of, finished_tracks
from slakh_hier.output.tracks import (
    MAX_TRACKS,
    DataSetReport,
    TrackTask,
    check_count,
    make_tracks,
    track_name,
)
from slakh_hier.parallel import Backend
from slakh_hier.paths import StrPath
from slakh_hier.progress import Progress, Wanted, shown
from slakh_hier.splits import DEFAULT_SHARES, assign_splits, check_shares
from slakh_hier.synth.extras import default_soundfont, require
from slakh_hier.synth.same_notes import by_notes
from slakh_hier.synth.sampler import open_soundfont
from slakh_hier.synth.sources import find_midi
from slakh_hier.synth.synthesise import SYNTHESISERS, Synthesiser
from slakh_hier.synth.track import Settings, Source, estimated_bytes, synthesise_track
from slakh_hier.wording import counted, some

DEFAULT_SEED = 588
DEFAULT_SECONDS = 40.0
_RECIPE = 1
"""Raised when the same settings give other audio, so that an old folder is not resumed with new sound."""

_READ_AHEAD = 64
"""Songs that are read to estimate the disk space that all will take; one takes 10 to 30 ms."""

_LIBRARIES = ("mido", "pyloudnorm", "scipy.signal")


def make_data_set(
    midi: Sequence[StrPath],
    out: StrPath,
    *,
    compose: int = 0,
    seconds: float = DEFAULT_SECONDS,
    soundfont: StrPath | None = None,
    synthesiser: Synthesiser = "builtin",
    reorchestrate: bool = False,
    max_seconds: float | None = None,
    splits: Sequence[float] = DEFAULT_SHARES,
    seed: int = DEFAULT_SEED,
    overwrite: bool = False,
    jobs: int | None = None,
    backend: Backend = "loky",
    scheduler: str | None = None,
    progress: Wanted = None,
) -> DataSetReport:
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
    seed
        Of patches, splits and composed songs.
    overwrite
        Remove what an earlier run made in ``out`` first.
    jobs, backend, scheduler
        As for :func:`slakh_hier.parallel.run`. Songs are composed on this machine.
    progress
        Shows tracks.

    Raises
    ------
    InputError
        Wrong parameters, or a folder that holds something else; nothing is done.
    MissingExtraError
        A library of the extra ``synth`` is missing.
    LockedError
        Another run is writing into the folder.
    FaultError
        The disk is full or a worker died; finished tracks are kept. Or there is not enough free disk space for what is
        missing, estimated from some of the songs; then nothing is made.
    """
    progress = shown(progress)
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
    same = {s.md5: s.md5 for s in sources} if compose else by_notes(sources, jobs, progress)
    split_of = assign_splits(same.values(), shares, seed)
    by_place = {f"{split_of[same[source.md5]]}/{source.track}": source for source in sources}
    about = _settings(settings, font, shares, seconds if compose else None)
    tasks = {
        place: TrackTask(
            source.name, source.md5, digest_of(about, place, source.name, source.md5), (source, settings)
        )
        for place, source in by_place.items()
    }
    folder = OutputFolder(
        Path(out),
        "synth",
        about,
        items=finished_tracks,
        about={
            "tracks": [{"track": place, "source": s.name, "midi_md5": s.md5} for place, s in by_place.items()]
        },
        reads=[path for path in map(Path, midi) if path.is_dir()],
    )
    songs = {Path(source.path).parent for source in sources if source.path is not None}
    report = make_tracks(
        folder,
        synthesise_track,
        tasks,
        failures=failures,
        room=lambda places: (_estimate([by_place[place] for place in places], settings), "synthesising"),
        shared=[font, *sorted(songs)],
        stage=("synthesising", "tracks"),
        overwrite=overwrite,
        jobs=jobs,
        backend=backend,
        scheduler=scheduler,
        progress=progress,
    )[0]
    return replace(report, notes=(*_doubles(sources, same), *report.notes))


def _doubles(sources: Sequence[Source], same: Mapping[str, str]) -> list[str]:
    """What to say of songs whose files differ and whose notes do not."""
    songs: dict[str, dict[str, str]] = {}
    for source in sources:
        songs.setdefault(same[source.md5], {}).setdefault(source.md5, source.name)
    doubled = [sorted(names.values()) for names in songs.values() if len(names) > 1]
    if not doubled:
        return []
    named = some([f"{names[0]} and {some(names[1:], most=2)}" for names in doubled], "; ", 3)
    have = counted(len(doubled), "song has", "songs have")
    return [f"{have} other files with the same notes, kept in one split with it: {named}"]


def _estimate(sources: Sequence[Source], settings: Settings) -> int:
    """About how many bytes the tracks will take, from reading some of the songs."""
    some = sources[:: max(1, -(-len(sources) // _READ_AHEAD))]
    return round(sum(estimated_bytes(source, settings) for source in some) * len(sources) / max(1, len(some)))


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
    check_choice("synthesiser", synthesiser, SYNTHESISERS)


def _listed(midi: Sequence[StrPath]) -> tuple[list[Source], list[tuple[str, str]]]:
    """A source for every file that can be read, numbered by the place among all of them; and the others' reasons."""
    found = find_midi(midi)
    check_count(len(found))
    failures = [(file.name, file.reason) for file in found if file.reason]
    sources = [
        Source(track_name(number), file.name, file.md5, path=str(file.path.absolute()))
        for number, file in enumerate(found, start=1)
        if not file.reason
    ]
    return sources, failures


def _composed(count: int, seconds: float, seed: int, jobs: int | None, progress: Progress) -> list[Source]:
    from slakh_hier.synth.compose import compose_song, plan_songs

    plans = plan_songs(count, seed)
    tasks = {track_name(i): (plan, seconds) for i, plan in enumerate(plans, start=1)}
    songs: dict[str, Source] = {}
    with progress.stage("composing", count, "songs") as advance:
        for result in parallel.run(compose_song, tasks, jobs=jobs):
            song = result.unwrap()
            songs[result.id] = Source(result.id, song.name, song.md5, data=song.data)
            advance(1)
    return [songs[track] for track in tasks]


def _settings(
    settings: Settings, font: Path, shares: Sequence[float], seconds: float | None
) -> dict[str, Any]:
    """What decides every byte of the data set, beside the songs."""
    return {
        "recipe": _RECIPE,
        **{key: value for key, value in asdict(settings).items() if key != "soundfont"},
        "soundfont": font.name,
        "soundfont_sha256": file_sha256(font),
        "splits": list(shares),
        "seconds": seconds,
    }
