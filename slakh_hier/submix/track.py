"""One task of a run: one track, from its stems to its finished folder."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from slakh_hier.audio import StemRef
from slakh_hier.errors import ClippingError, FaultError, InputError
from slakh_hier.files import publish_folder, temporary_folder
from slakh_hier.locks import Owner
from slakh_hier.plain_files import read_plain
from slakh_hier.safe_yaml import MAX_BYTES
from slakh_hier.slakh.tracks import MAX_MIDI
from slakh_hier.submix.encode import AudioFormat, Encoding
from slakh_hier.submix.finished import digest_of, finished_record, write_note
from slakh_hier.submix.layout import Files
from slakh_hier.submix.metadata import dbfs, describe_outputs, submix_metadata
from slakh_hier.submix.mixing import Levels, gain_that_fits, mix_down
from slakh_hier.submix.signals import Atoms, frames_at, read_atoms

METADATA = "metadata.yaml"
SOURCE_MIDI = "all_src.mid"
MIDI = "MIDI"
OnClip = Literal["scale", "float", "error"]


@dataclass(frozen=True)
class Settings:
    """What holds for all tracks. ``sample_rate`` is None for each track's own; ``digest`` is that of all parameters."""

    root: str
    out: str
    format: AudioFormat
    sample_rate: int | None
    on_clip: OnClip
    digest: str
    owner: Owner


@dataclass(frozen=True)
class TrackTask:
    """A track and what is to be made of it; small, since it is pickled.

    Attributes
    ----------
    source, target
        Its folder in the data set, and in the output.
    stems
        The stems in its mix, in order of their ids.
    stamps
        Size and modification time of their files, by stem.
    places
        Category and finest node of each of the track's stems; empty where no tree is at work.
    left_out
        Why a stem with a fault is not in the mix, by stem.
    about
        Fields of the metadata that are known before: level, tree, split.
    midi
        Copy the MIDI files too.
    """

    track: str
    source: str
    target: str
    stems: tuple[StemRef, ...]
    stamps: tuple[tuple[int, int], ...]
    files: Files
    places: Mapping[str, tuple[str | None, str | None]]
    left_out: Mapping[str, str]
    about: Mapping[str, Any]
    midi: bool

    @property
    def sample_rate(self) -> int:
        return self.stems[0].sample_rate

    @property
    def frames(self) -> int:
        """Samples of the longest stem."""
        return max(stem.frames for stem in self.stems)


@dataclass(frozen=True)
class TrackRecord:
    """What became of a track.

    Attributes
    ----------
    kept
        It was finished before.
    seconds
        Length, s.
    files, bytes
        Audio files and their size.
    gain
        Other than 1 where a submix would have exceeded full scale.
    subtype
        ``PCM_16`` or ``FLOAT``.
    peak_dbfs
        Of the loudest file as the data set has it, None for silence; ``loudest`` is its name.
    """

    track: str
    kept: bool
    seconds: float
    files: int
    bytes: int
    gain: float
    subtype: str
    peak_dbfs: float | None
    loudest: str


def make_track(task: TrackTask, settings: Settings) -> TrackRecord:
    """Make a track below the output folder, unless it is there already; it appears complete or not at all.

    Raises
    ------
    AudioError
        A stem cannot be decoded.
    ClippingError
        A file would exceed full scale and ``on_clip`` is error.
    FaultError
        The disk is full.
    """
    root, out = Path(settings.root), Path(settings.out)
    metadata = _read(root, task.source, METADATA)
    midi = _midi_files(root, task.source) if task.midi else {}
    digest = digest_of(
        [
            settings.digest,
            asdict(task),
            hashlib.sha256(metadata).hexdigest(),
            {name: hashlib.sha256(data).hexdigest() for name, data in midi.items()},
        ]
    )
    if (kept := _kept(finished_record(out / task.target, digest))) is not None:
        return kept
    try:
        with temporary_folder(out, task.track) as folder:
            for name, data in midi.items():
                (folder / name).parent.mkdir(exist_ok=True)
                (folder / name).write_bytes(data)
            record = _fill(folder, task, settings, metadata, digest, list(midi))
            publish_folder(folder, out / task.target, owner=settings.owner)
    except OSError as error:
        free = shutil.disk_usage(out).free if out.is_dir() else 0
        raise FaultError(
            f"{out / task.target} cannot be written ({free / 1e6:.1f} MB free): {error.strerror or error}. Finished "
            "tracks are kept; make room and run the same command again"
        ) from error
    return TrackRecord(**record)


def _kept(record: dict[str, Any] | None) -> TrackRecord | None:
    """A record that was read; None where somebody wrote into it what is none."""
    try:
        made = TrackRecord(**{**(record or {}), "kept": True})
    except TypeError:
        return None
    numbers = (made.seconds, made.files, made.bytes, made.gain, made.peak_dbfs or 0)
    texts = (made.track, made.subtype, made.loudest)
    whole = all(isinstance(value, int | float) for value in numbers) and all(
        isinstance(t, str) for t in texts
    )
    return made if whole else None


def _fill(
    folder: Path, task: TrackTask, settings: Settings, metadata: bytes, digest: str, others: list[str]
) -> dict[str, Any]:
    outputs = task.files.outputs
    atoms = Atoms([stem.stem for stem in task.stems], outputs)
    encoding, levels, gain = _mix_down(folder, task, settings, atoms)
    names = [output.path(encoding.suffix) for output in outputs]
    for name, signal in zip(names, atoms.signal_of, strict=True):
        first = names[atoms.signal_of.index(signal)]
        if name != first:
            # The same sound: encoded once. A copy and no link, so that whoever edits one file has edited one.
            shutil.copyfile(folder / first, folder / name)
    measured = [levels.peaks[signal] for signal in atoms.signal_of]
    rate = settings.sample_rate or task.sample_rate
    frames = frames_at(task.frames, task.sample_rate, rate)
    about: dict[str, Any] = {
        **task.about,
        "sample_rate": rate,
        "frames": frames,
        "subtype": encoding.subtype,
        "gain": gain,
        "files": describe_outputs(outputs, encoding.suffix, [peak * gain for peak in measured]),
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
    record = asdict(
        TrackRecord(
            track=task.track,
            kept=False,
            seconds=frames / rate,
            files=len(names),
            bytes=sum((folder / name).stat().st_size for name in names),
            gain=gain,
            subtype=encoding.subtype,
            peak_dbfs=dbfs(measured[loudest]),
            loudest=outputs[loudest].name,
        )
    )
    write_note(folder, digest, record, [*names, METADATA, *others])
    return record


def _mix_down(
    folder: Path, task: TrackTask, settings: Settings, atoms: Atoms
) -> tuple[Encoding, Levels, float]:
    """Write the distinct signals in one pass; in a second one where the first found that they do not fit.

    The levels are those of the first pass, before any gain.
    """
    root = Path(settings.root)
    rate = settings.sample_rate or task.sample_rate
    length = frames_at(task.frames, task.sample_rate, rate)
    firsts = [task.files.outputs[atoms.signal_of.index(place)] for place in range(len(atoms.signals))]

    def one_pass(encoding: Encoding, gain: float) -> Levels:
        encoding.check(rate, length)
        paths = [folder / output.path(encoding.suffix) for output in firsts]
        for path in paths:
            path.parent.mkdir(exist_ok=True)
        blocks = read_atoms(task.stems, atoms.groups, root, rate)
        return mix_down(blocks, atoms.signals, paths, rate, encoding, gain)

    encoding = Encoding(settings.format)
    levels = one_pass(encoding, 1.0)
    if levels.fits:
        return encoding, levels, 1.0
    peak = max(levels.peaks)
    loudest = firsts[levels.peaks.index(peak)].name
    if settings.on_clip == "error":
        raise ClippingError(
            f"{task.track}/{loudest}: peaks at {dbfs(peak):+.2f} dBFS, which 16 bits cannot hold. Use --on-clip scale "
            "(one gain for all files of the track) or float (32-bit WAV)"
        )
    for output in firsts:
        (folder / output.path(encoding.suffix)).unlink()
    if settings.on_clip == "float":
        encoding = Encoding("wav", "FLOAT")
        return encoding, one_pass(encoding, 1.0)._replace(fits=True), 1.0
    gain = gain_that_fits(peak, len(atoms.groups))
    again = one_pass(encoding, gain)
    assert again.fits, f"{task.track}: {peak} times {gain} does not fit"
    return encoding, levels, gain


def _read(root: Path, source: str, name: str) -> bytes:
    """A small file of the data set, which must lie inside it, of a size that the scan reads too."""
    path = root / source / name
    real = os.path.realpath(path)
    if os.path.commonpath([real, root]) != str(root):
        raise InputError(f"{path} leads out of the data set ({root}); links are not followed out of it")
    try:
        return read_plain(Path(real), MAX_BYTES if name == METADATA else MAX_MIDI)
    except OSError as error:
        advice = (
            f"nothing this large is {'metadata' if name == METADATA else 'MIDI'}; remove it from the data set"
        )
        raise InputError(
            f"{path} cannot be read: it {error.strerror}; {advice}"
            if error.errno == errno.EFBIG
            else f"{path} cannot be read: {error.strerror}; scan again"
        ) from error


def _midi_files(root: Path, source: str) -> dict[str, bytes]:
    """The track's MIDI files by their names below its folder, as far as they are there."""
    folder = root / source
    names = [SOURCE_MIDI, *(f"{MIDI}/{path.name}" for path in sorted((folder / MIDI).glob("*.mid")))]
    return {name: _read(root, source, name) for name in names if (folder / name).is_file()}
