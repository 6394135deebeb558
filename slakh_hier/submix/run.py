"""Writing the submixes of a data set: in parallel, track by track, and resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from slakh_hier.display import Shown
from slakh_hier.errors import AudioError, FaultError, InputError, check_choice
from slakh_hier.files import publish
from slakh_hier.output.audio import AudioFormat, Encoding, check_audio
from slakh_hier.output.folder import OutputFolder, place_of, read_failures, write_failures
from slakh_hier.output.items import TRACK_NOTE, digest_of, finished_tracks, make_all, noted_digest
from slakh_hier.parallel import Backend, Tasks
from slakh_hier.paths import StrPath
from slakh_hier.progress import Wanted
from slakh_hier.signals import length_at
from slakh_hier.slakh.broken import OnBroken, broken_stems
from slakh_hier.submix.layout import STEMS, Level, check_level, level_name
from slakh_hier.submix.tasks import Outline, TrackTasks
from slakh_hier.submix.track import OnClip, Settings, SubmixRecord, make_submixes, track_digest

if TYPE_CHECKING:
    from slakh_hier.slakh.catalog import Catalog

TREE = "hierarchy.yaml"
_RECIPE = 2
"""Raised when the same settings give other audio: an old folder is then not resumed with new sound."""
_FLAC_SHARE = 0.5
"""FLAC's usual share of the size of music as plain samples; only for estimates."""


@dataclass(frozen=True, repr=False)
class SubmixReport(Shown):
    """What a run did, or would do."""

    folder: Path
    tracks: int
    made: int
    kept: int
    """``tracks`` to ``kept``: tracks in the folder, those written now, and those that were finished before. Of a dry
    run ``kept`` says how many are there, without a look at their content."""
    files: int
    bytes: int
    """``files`` and ``bytes``: audio files and their size; of a dry run the size is an estimate."""
    hours: float
    """Of music, each track counted once."""
    records: tuple[SubmixRecord, ...] = ()
    """What became of each track, in order of their names; empty for a dry run."""
    failures: tuple[AudioError, ...] = ()
    """Tracks left out because a stem cannot be decoded."""
    empty: tuple[str, ...] = ()
    """Tracks without any stem to mix."""
    repaired: Mapping[str, str] = field(default_factory=dict)
    """Why tracks that were finished before were made again."""

    @property
    def clipped(self) -> list[SubmixRecord]:
        """Tracks in which a submix exceeded full scale, whatever was done about it."""
        return [record for record in self.records if record.gain != 1.0 or record.subtype == "FLOAT"]


def write_submixes(
    catalog: Catalog,
    out: StrPath,
    *,
    level: Level = None,
    splits: Sequence[str] = (),
    audio_format: AudioFormat = "flac",
    sample_rate: int | None = None,
    channels: int | None = None,
    on_clip: OnClip = "scale",
    on_broken: OnBroken = "stop",
    jobs: int | None = None,
    backend: Backend = "loky",
    scheduler: str | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Wanted = None,
) -> SubmixReport:
    """Write full-length submixes as audio files, one folder per track; a folder that holds part of the same is resumed.

    A track gets ``mix``, one file for each node that it has stems of, ``unassigned`` for stems without a category
    (where the tree keeps them in the mix), and ``metadata.yaml``. The files have 16 bits, and those of one level
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
    audio_format
        ``flac`` or ``wav``.
    sample_rate
        In Hz; None keeps each track's own. Resampled with soxr HQ.
    channels
        1 folds stereo stems down to their mean, in 2 mono stems sound in both; None: as the widest stem of each track.
    on_clip
        When a file would exceed full scale: ``scale`` all files of the track by one gain, which its metadata hold;
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
    progress
        Shows tracks.

    Raises
    ------
    InputError
        An option does not fit, the folder holds something else or was made from another data set, or the catalog knows of
        stems that cannot be decoded (``on_broken="stop"``); nothing is changed.
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
    check_level(catalog.hierarchy, level)
    check_audio(audio_format, sample_rate)
    check_choice("on_clip", on_clip, get_args(OnClip))
    if channels not in (None, 1, 2):
        raise InputError(f"submixes have 1 or 2 channels, not {channels}")
    settings = Settings(str(catalog.root), audio_format, sample_rate, channels, on_clip, catalog.follow_links)
    about = _about(catalog, level, settings)
    folder = OutputFolder(
        out,
        "submix",
        about,
        items=finished_tracks,
        beside=(TREE,),
        reads=[catalog.root],
        about=place_of(catalog.root),
    )
    tasks = TrackTasks(catalog, level, splits)
    broken = broken_stems(catalog, splits, on_broken)
    for rate in {track.sample_rate for track in tasks.outlines.values()}:
        check_audio(audio_format, sample_rate or rate)
    if dry_run:
        folder.check(overwrite=overwrite)
        return _estimate(out, tasks, settings, overwrite)

    def prepare() -> tuple[int, str]:
        missing = [
            track for track in tasks.outlines.values() if not (out / track.target / TRACK_NOTE).exists()
        ]
        return sum(_bytes(track, settings) for track in missing), "writing the submixes"

    digest = digest_of(about)
    if not overwrite:
        _refuse_other_data_set(folder, catalog, tasks, settings, digest)
    with folder.claimed(prepare, scheduler=scheduler, overwrite=overwrite) as target:
        if level != STEMS and not (out / TREE).exists():
            publish(out / TREE, catalog.hierarchy.text.encode())
        seconds = sum(track.frames / track.sample_rate for track in tasks.outlines.values()) / len(tasks)
        done = make_all(
            make_submixes,
            Tasks(tasks, lambda track: (target, tasks[track], settings, digest)),
            target,
            reads=folder.reads,
            stage=("submix", "tracks"),
            worth=(seconds, "s of music"),
            left_out=(AudioError,) if on_broken == "skip" else (),
            jobs=jobs,
            backend=backend,
            scheduler=scheduler,
            progress=progress,
        )
        failures = [error for error in done.failures.values() if isinstance(error, AudioError)]
        lines = [{"track": error.track, "stem": error.stem, "reason": error.reason} for error in failures]
        write_failures(out, [*_failures_of_others(out, {*tasks, *tasks.empty}), *broken, *lines])
    if failures and not done.made:
        raise FaultError(
            f"{out}: every track has a stem that cannot be decoded ({failures[0]}); is the data set complete and "
            "readable?"
        )
    records = done.records
    return SubmixReport(
        folder=out,
        tracks=len(records),
        made=len(records) - done.kept,
        kept=done.kept,
        files=sum(record.files for record in records),
        bytes=sum(record.bytes for record in records),
        hours=sum(record.seconds for record in records) / 3600,
        records=tuple(records),
        failures=tuple(failures),
        empty=tuple(tasks.empty),
        repaired=done.repaired,
    )


def _refuse_other_data_set(
    folder: OutputFolder, catalog: Catalog, tasks: TrackTasks, settings: Settings, digest: str
) -> None:
    """Refuse a folder that was made from a data set in another place, unless what it holds is what would be made now."""
    record = folder.noted()
    if record is None or record.get("data_set") == place_of(catalog.root)["data_set"]:
        return
    known = set(catalog.frame["track"])
    for place in finished_tracks(folder.path):
        track = place.name
        other = track in tasks and noted_digest(place) != track_digest(tasks[track], settings, digest)
        if other or track not in known:
            raise InputError(
                f"{folder.path}: was made from another data set: {place.relative_to(folder.path)} holds other audio. Choose "
                "another folder, or start from scratch with --overwrite"
            )


def _failures_of_others(out: Path, tracks: set[str]) -> list[dict[str, Any]]:
    """What ``failures.jsonl`` says of tracks that this run is not about."""
    with suppress(ValueError):
        return [failure for failure in read_failures(out) if failure.get("track") not in tracks]
    return []


def _about(catalog: Catalog, level: Level, settings: Settings) -> dict[str, Any]:
    """What decides the content of the folder, beside the data set."""
    tree = {"name": catalog.hierarchy.name, "digest": catalog.hierarchy.digest}
    return {
        "recipe": _RECIPE,
        **({} if level == STEMS else {"hierarchy": tree}),
        "level": level_name(level),
        "audio_format": settings.format,
        "sample_rate": settings.sample_rate or "native",
        "channels": settings.channels or "native",
        "on_clip": settings.on_clip,
        "splits": catalog.scheme,
    }


def _estimate(out: Path, tasks: TrackTasks, settings: Settings, overwrite: bool) -> SubmixReport:
    """What a run would do, without looking into files."""
    tracks = tasks.outlines.values()
    return SubmixReport(
        folder=out,
        tracks=len(tasks),
        made=0,
        kept=0 if overwrite else sum((out / track.target / TRACK_NOTE).exists() for track in tracks),
        files=sum(track.files for track in tracks),
        bytes=sum(_bytes(track, settings) for track in tracks),
        hours=sum(track.frames / track.sample_rate for track in tracks) / 3600,
        empty=tuple(tasks.empty),
    )


def _bytes(track: Outline, settings: Settings) -> int:
    """About how much disk space the track will take."""
    frames = length_at(track.frames, track.sample_rate, settings.sample_rate or track.sample_rate)
    share = _FLAC_SHARE if settings.format == "flac" else 1.0
    samples = frames * (settings.channels or track.channels)
    return round(track.files * samples * Encoding(settings.format).bytes * share)
