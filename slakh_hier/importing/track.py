"""One song becomes one track in Slakh's layout, or nothing at all."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from slakh_hier import safe_yaml
from slakh_hier.errors import AudioError, FaultError, InputError, SongError, TextError
from slakh_hier.files import publish_folder, require_free, temporary_folder
from slakh_hier.importing.convert import convert
from slakh_hier.importing.signals import length_at
from slakh_hier.locks import Owner
from slakh_hier.plain_files import read_plain
from slakh_hier.slakh.headers import Header, HeaderError, read_header
from slakh_hier.slakh.layout import METADATA
from slakh_hier.slakh.track_note import write_note
from slakh_hier.slakh.tracks import SUFFIXES
from slakh_hier.submix.encode import AudioFormat, Encoding

AudioMode = Literal["convert", "link", "copy"]
IMPORT = "import"
"""The key of metadata.yaml that holds what only this program reads."""

PADDING_SECONDS = 0.5
"""Files of one song that differ by more are told; exporters differ by less."""

MIX_DIFFERENCE_DB = -30.0
"""A mixture that differs more from the sum of its stems is told; rounding and lossy coding differ by less."""


@dataclass(frozen=True)
class Settings:
    """How the audio of all songs is taken. ``sample_rate`` in Hz; None keeps that of most of a song's stems."""

    audio: AudioMode
    sample_rate: int | None
    audio_format: AudioFormat


@dataclass(frozen=True)
class SourceFile:
    """A song's file: its name inside the song (posix), where it lies, and its instrument's keys for the metadata."""

    name: str
    path: str
    labels: Mapping[str, Any]


@dataclass(frozen=True)
class TrackJob:
    """All that decides a track. ``digest`` is of everything here and of the files' sizes and times."""

    track: str
    split: str
    song: str
    uuid: str
    stems: tuple[SourceFile, ...]
    mix: SourceFile | None
    settings: Settings
    digest: str

    @property
    def place(self) -> str:
        """The track's folder below the data set."""
        return f"{self.split}/{self.track}"


@dataclass(frozen=True)
class TrackRecord:
    """What became of a song.

    ``folded`` counts stems of several channels made mono, ``copied`` files that could not be linked; ``remarks`` are
    for the person who imports.
    """

    digest: str
    song: str
    seconds: float
    stems: int
    folded: int = 0
    copied: int = 0
    remarks: tuple[str, ...] = ()


def make_track(job: TrackJob, out: str, owner: Owner) -> TrackRecord:
    """Make one track below ``out``, in a temporary folder that is renamed when all is there.

    Parameters
    ----------
    owner
        The run that gave the task: when it is over, the track is not published.

    Raises
    ------
    SongError
        The song cannot be used; nothing is left behind.
    FaultError
        The disk is full.
    """
    target = Path(out) / job.place
    try:
        with temporary_folder(Path(out), job.track) as folder:
            (folder / "stems").mkdir()
            headers = {stem.name: _header(job, stem) for stem in job.stems}
            make = _converted if job.settings.audio == "convert" else _taken
            record, gain = make(job, headers, folder)
            (folder / METADATA).write_text(_metadata(job, record, gain), encoding="utf-8")
            write_note(folder)
            publish_folder(folder, target, owner=owner)
    except AudioError as error:
        raise SongError(f"{error.stem}: {error.reason}") from error
    except OSError as error:
        free = shutil.disk_usage(out).free if os.path.isdir(out) else 0
        raise FaultError(
            f"cannot write {target} ({free / 1e6:.1f} MB free): {error.strerror or error}. Finished tracks are kept; make room and run the same "
            "command again"
        ) from error
    return record


def read_record(track: Path) -> TrackRecord | None:
    """The record of a track that was made before; None where its metadata hold none, or one that people broke."""
    try:
        content = safe_yaml.load(read_plain(track / METADATA, safe_yaml.MAX_BYTES), METADATA)[IMPORT]
        record = TrackRecord(**{**content, "remarks": tuple(content["remarks"])})
    except (OSError, LookupError, TypeError, TextError):
        return None
    numbers = (record.seconds, record.stems, record.folded, record.copied)
    texts = (record.digest, record.song, *record.remarks)
    whole = all(isinstance(n, int | float) for n in numbers) and all(isinstance(text, str) for text in texts)
    return record if whole else None


def stem_id(index: int) -> str:
    return f"S{index:02d}"


def _converted(job: TrackJob, headers: Mapping[str, Header], folder: Path) -> tuple[TrackRecord, float]:
    remarks = _padding(headers)
    given = job.mix
    if given is not None:
        try:
            headers = {**headers, given.name: _header(job, given)}
        except AudioError as error:
            remarks.append(f"its mixture {given.name} is not compared: {error.reason}")
            given = None
    rate = job.settings.sample_rate or _rate(job, headers)
    frames = max(length_at(header.frames, header.sample_rate, rate) for header in headers.values())
    try:
        Encoding(job.settings.audio_format).check(rate, frames)
    except InputError as error:
        raise SongError(str(error)) from error
    require_free(folder, 2 * frames * (len(job.stems) + 1), job.song)
    suffix = job.settings.audio_format
    made = convert(
        job.song,
        [
            (stem.name, Path(stem.path), folder / "stems" / f"{stem_id(i)}.{suffix}")
            for i, stem in enumerate(job.stems)
        ],
        folder / f"mix.{suffix}",
        given_mix=(given.name, Path(given.path)) if given else None,
        audio_format=suffix,
        rate=rate,
        frames=frames,
    )
    if made.gain < 1:
        remarks.append(f"went over full scale: all its stems are multiplied by {made.gain:.4f}")
    if made.silent:
        remarks.append(f"silent: {', '.join(made.silent)}")
    if given and made.mix_difference is not None and made.mix_difference > MIX_DIFFERENCE_DB:
        remarks.append(
            f"its mixture {given.name} is not the sum of its stems (the difference is {made.mix_difference:.1f} dB "
            f"relative to it): a stem is missing, or the mixture was processed. mix.{suffix} is the sum"
        )
    folded = sum(headers[stem.name].channels > 1 for stem in job.stems)
    record = TrackRecord(
        job.digest, job.song, frames / rate, len(job.stems), folded=folded, remarks=tuple(remarks)
    )
    return record, made.gain


def _taken(job: TrackJob, headers: Mapping[str, Header], folder: Path) -> tuple[TrackRecord, float]:
    """The files as they are, linked or copied: they must be what the layout can hold."""
    if odd := [stem.name for stem in job.stems if not stem.path.lower().endswith(SUFFIXES)]:
        raise SongError(f"{', '.join(odd)}: the layout holds FLAC and WAV; --audio convert makes them")
    if len({header.sample_rate for header in headers.values()}) > 1:
        rates = ", ".join(f"{name} {header.sample_rate} Hz" for name, header in headers.items())
        raise SongError(f"its files have several sample rates ({rates}); --audio convert resamples them")
    remarks = _padding(headers)
    link = job.settings.audio == "link"
    copied = 0
    for i, stem in enumerate(job.stems):
        copied += _take(stem, folder / "stems" / stem_id(i), link=link)
    if job.mix is not None:
        try:
            _header(job, job.mix)
            copied += _take(job.mix, folder / "mix", link=link)
        except AudioError as error:
            remarks.append(f"its mixture {job.mix.name} is left out: {error.reason}")
    seconds = max(header.frames / header.sample_rate for header in headers.values())
    record = TrackRecord(
        job.digest, job.song, seconds, len(job.stems), copied=copied if link else 0, remarks=tuple(remarks)
    )
    return record, 1.0


def _take(file: SourceFile, target: Path, *, link: bool) -> bool:
    """Link or copy a file under a new name with its own suffix; True when it was copied."""
    real = os.path.realpath(
        file.path
    )  # link(2) would link a symbolic link itself, which scan does not follow
    target = target.with_suffix(os.path.splitext(file.path)[1].lower())
    if link:
        try:
            os.link(real, target)
            return False
        except OSError:  # another file system, or one without links: if copying fails too, that is told
            pass
    shutil.copy2(real, target)
    return True


def _header(job: TrackJob, file: SourceFile) -> Header:
    try:
        return read_header(file.path)
    except (HeaderError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AudioError(job.song, file.name, reason) from error


def _rate(job: TrackJob, headers: Mapping[str, Header]) -> int:
    """The sample rate of most stems; of equally common ones the highest, which loses nothing."""
    rates = Counter(headers[stem.name].sample_rate for stem in job.stems)
    return max(rates, key=lambda rate: (rates[rate], rate))


def _padding(headers: Mapping[str, Header]) -> list[str]:
    seconds = {name: header.frames / header.sample_rate for name, header in headers.items()}
    longest = max(seconds.values())
    short = {name: longest - length for name, length in seconds.items() if longest - length > PADDING_SECONDS}
    if not short:
        return []
    named = ", ".join(f"{name} by {missing:.1f} s" for name, missing in short.items())
    return [f"shorter than the song, silence follows: {named}"]


def _metadata(job: TrackJob, record: TrackRecord, gain: float) -> str:
    """metadata.yaml with the keys of Slakh2100's; what is not known of an imported song is null."""
    stems = {
        stem_id(i): {
            **stem.labels,
            "audio_rendered": True,
            "integrated_loudness": None,
            "midi_saved": False,
            "source": stem.name,
        }
        for i, stem in enumerate(job.stems)
    }
    content = {
        "UUID": job.uuid,
        "audio_dir": "stems",
        IMPORT: {**asdict(record), "remarks": list(record.remarks)},
        "lmd_midi_dir": None,
        "midi_dir": None,
        "normalization_factor": None,
        "normalized": False,
        "overall_gain": gain,
        "stems": stems,
        "target_peak": None,
    }
    return yaml.safe_dump(content, sort_keys=True, allow_unicode=True, width=1000)
