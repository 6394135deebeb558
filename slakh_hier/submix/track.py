"""One task of a run: one track, from its stems to its finished folder."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np

from slakh_hier.audio import StemRef, channels_of
from slakh_hier.errors import ClippingError, InputError
from slakh_hier.files import sha256
from slakh_hier.output import METADATA, SOURCE_MIDI
from slakh_hier.output.audio import AudioFormat, Encoding, Levels, write_fitting, write_sums
from slakh_hier.output.folder import Target
from slakh_hier.output.items import Made, digest_of, make_track
from slakh_hier.plain_files import read_plain
from slakh_hier.safe_yaml import MAX_BYTES
from slakh_hier.signals import Atoms, length_at, read_atoms
from slakh_hier.slakh.content import content_of
from slakh_hier.slakh.layout import LEADS_OUT, inside, within
from slakh_hier.slakh.tracks import MAX_MIDI
from slakh_hier.submix.layout import Files
from slakh_hier.submix.metadata import dbfs, describe_outputs, submix_metadata

MIDI = "MIDI"
OnClip = Literal["scale", "float", "error"]


@dataclass(frozen=True)
class Settings:
    """What holds for all tracks. ``sample_rate`` and ``channels`` are None for each track's own."""

    root: str
    format: AudioFormat
    sample_rate: int | None
    channels: int | None
    on_clip: OnClip
    follow_links: bool = False
    """The catalog's."""


@dataclass(frozen=True)
class TrackTask:
    """A track and what is to be made of it; small, since it is pickled."""

    track: str
    source: str
    target: str
    """``source`` and ``target``: its folder in the data set, and in the output."""
    stems: tuple[StemRef, ...]
    """The stems in its mix, in order of their ids."""
    files: Files
    places: Mapping[str, tuple[str | None, str | None]]
    """Category and finest node of each of the track's stems; empty where no tree is at work."""
    left_out: Mapping[str, str]
    """Why a stem with a fault is not in the mix, by stem."""
    about: Mapping[str, Any]
    """Fields of the metadata that are known before: level, tree, split."""
    midi: bool
    """Copy the MIDI files too."""

    @property
    def sample_rate(self) -> int:
        return self.stems[0].sample_rate

    @property
    def channels(self) -> int:
        """Channels of the widest stem."""
        return channels_of(self.stems)

    @property
    def frames(self) -> int:
        """Samples of the longest stem."""
        return max(stem.frames for stem in self.stems)


@dataclass(frozen=True)
class SubmixRecord:
    """What became of a track."""

    track: str
    seconds: float
    """Length, s."""
    files: int
    bytes: int
    """``files`` and ``bytes``: audio files and their size."""
    gain: float
    """Other than 1 where a submix would have exceeded full scale."""
    subtype: str
    """``PCM_16`` or ``FLOAT``."""
    peak_dbfs: float | None
    """Of the loudest file as the data set has it, None for silence; ``loudest`` is its name."""
    loudest: str


def make_submixes(target: Target, task: TrackTask, settings: Settings, digest: str) -> Made[SubmixRecord]:
    """Make a track below the output folder, unless it is there already.

    Parameters
    ----------
    digest
        Of the settings of the whole folder.

    Raises
    ------
    AudioError
        A stem cannot be decoded.
    ClippingError
        A file would exceed full scale and ``on_clip`` is error.
    FaultError
        The disk is full.
    """
    source = _Source.of(task, settings, digest)

    def fill(folder: Path) -> SubmixRecord:
        for name, data in source.midi.items():
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(data)
        return _fill(folder, task, settings, source.metadata)

    return make_track(target, task.target, source.digest, SubmixRecord, fill)


def track_digest(task: TrackTask, settings: Settings, digest: str) -> str:
    """Of all that a track is made from, by what the files hold; ``digest`` as for :func:`make_submixes`."""
    return _Source.of(task, settings, digest).digest


class _Source(NamedTuple):
    """What of the data set is read before the audio, and the digest of that and of the stems."""

    metadata: bytes
    midi: Mapping[str, bytes]
    digest: str

    @classmethod
    def of(cls, task: TrackTask, settings: Settings, digest: str) -> Self:
        root = Path(settings.root)
        bounds = within(root, settings.follow_links)
        metadata = _read(bounds, root / task.source, METADATA)
        midi = _midi_files(bounds, root / task.source) if task.midi else {}
        stems = [stem._replace(content=content_of(root / stem.path)) for stem in task.stems]
        known = asdict(replace(task, stems=tuple(stems)))
        copied = {name: sha256(data) for name, data in midi.items()}
        return cls(metadata, midi, digest_of(digest, known, sha256(metadata), copied))


def _fill(folder: Path, task: TrackTask, settings: Settings, metadata: bytes) -> SubmixRecord:
    outputs = task.files.outputs
    atoms = Atoms(np.array([[stem.stem in output.stems for stem in task.stems] for output in outputs]))
    _, place = atoms.sums()
    encoding, levels, gain = _write(folder, task, settings, atoms)
    names = [output.path(encoding.format) for output in outputs]
    for name, signal in zip(names, place, strict=True):
        first = names[place.index(signal)]
        if name != first:
            # The same sound: encoded once. A copy and no link, so that whoever edits one file has edited one.
            shutil.copyfile(folder / first, folder / name)
    measured = [levels.peaks[signal] for signal in place]
    rate = settings.sample_rate or task.sample_rate
    frames = length_at(task.frames, task.sample_rate, rate)
    about: dict[str, Any] = {
        **task.about,
        "sample_rate": rate,
        "channels": settings.channels or task.channels,
        "frames": frames,
        "subtype": encoding.subtype,
        "gain": gain,
        "files": describe_outputs(outputs, encoding.format, [peak * gain for peak in measured]),
    }
    if task.files.absent:
        about["absent"] = list(task.files.absent)
    if task.left_out:
        about["left_out"] = dict(task.left_out)
    text = submix_metadata(
        metadata, f"{task.source}/{METADATA}", about=about, gain=gain, categories=task.places
    )
    (folder / METADATA).write_bytes(text)
    loudest = max(range(len(measured)), key=measured.__getitem__)
    return SubmixRecord(
        track=task.track,
        seconds=frames / rate,
        files=len(names),
        bytes=sum((folder / name).stat().st_size for name in names),
        gain=gain,
        subtype=encoding.subtype,
        peak_dbfs=dbfs(measured[loudest]),
        loudest=outputs[loudest].name,
    )


def _write(folder: Path, task: TrackTask, settings: Settings, atoms: Atoms) -> tuple[Encoding, Levels, float]:
    """Write each distinct sum once, as the first file that is it; the levels are those before any gain."""
    rate = settings.sample_rate or task.sample_rate
    sums, place = atoms.sums()
    firsts = [task.files.outputs[place.index(signal)] for signal in range(len(sums))]

    def one_pass(gain: float, encoding: Encoding) -> Levels:
        paths = [folder / output.path(encoding.format) for output in firsts]
        for path in paths:
            path.parent.mkdir(exist_ok=True)
        frames = length_at(task.frames, task.sample_rate, rate)
        with ExitStack() as stack:
            files = [stack.enter_context(stem.open(Path(settings.root))) for stem in task.stems]
            blocks = read_atoms(files, atoms.groups, rate, frames, settings.channels or task.channels)
            return write_sums(blocks, sums, paths, rate, frames, encoding, gain)

    encoding = Encoding(settings.format)
    if settings.on_clip == "scale":
        return encoding, *write_fitting(lambda gain: one_pass(gain, encoding), len(atoms.groups))
    levels = one_pass(1.0, encoding)
    if levels.fits:
        return encoding, levels, 1.0
    if settings.on_clip == "error":
        peak = max(levels.peaks)
        loudest = firsts[levels.peaks.index(peak)].name
        raise ClippingError(
            f"{task.track}/{loudest}: peaks at {dbfs(peak):+.2f} dBFS, which 16 bits cannot hold. Use --on-clip scale "
            "(one gain for all files of the track) or float (32-bit WAV)"
        )
    return (encoding := Encoding("wav", "FLOAT")), one_pass(1.0, encoding), 1.0


def _read(bounds: Path, folder: Path, name: str) -> bytes:
    """A small file of the data set, which must lie inside it, of a size that the scan reads too."""
    path = folder / name
    if not inside(bounds, path):
        raise InputError(f"{path}: {LEADS_OUT}")
    try:
        return read_plain(Path(os.path.realpath(path)), MAX_BYTES if name == METADATA else MAX_MIDI)
    except OSError as error:
        advice = (
            f"nothing this large is {'metadata' if name == METADATA else 'MIDI'}; remove it from the data set"
        )
        raise InputError(
            f"{path} cannot be read: it {error.strerror}; {advice}"
            if error.errno == errno.EFBIG
            else f"{path} cannot be read: {error.strerror}; scan again"
        ) from error


def _midi_files(bounds: Path, folder: Path) -> dict[str, bytes]:
    """The track's MIDI files by their names below its folder, as far as they are there."""
    names = [SOURCE_MIDI, *(f"{MIDI}/{path.name}" for path in sorted((folder / MIDI).glob("*.mid")))]
    return {name: _read(bounds, folder, name) for name in names if (folder / name).is_file()}
