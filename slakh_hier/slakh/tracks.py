"""Looking at one track on disk: its metadata, its song, and every audio file of its stems folder."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple, Self
from zlib import crc32

from slakh_hier.errors import MetadataError
from slakh_hier.files import md5
from slakh_hier.output import METADATA, SOURCE_MIDI
from slakh_hier.safe_yaml import read_bytes
from slakh_hier.slakh.content import UNKNOWN, content_of
from slakh_hier.slakh.deep import check_audio, mix_residual
from slakh_hier.slakh.headers import HeaderError, read_header
from slakh_hier.slakh.layout import LEADS_OUT, STEMS, inside, within
from slakh_hier.slakh.metadata import STEM_ID, TrackMetadata, read_metadata

SUFFIXES = (".flac", ".wav")
"""Where a stem has several files, the first of these counts."""

MAX_MIDI = 16 << 20


class Stamp(NamedTuple):
    """What shows whether a file has changed: bytes, modification time (ns), and ``change``.

    The modification time can be set by anybody, and programs that copy do. The inode's number and the time of its last change
    cannot: ``change`` is a checksum of both, since a million stamps are kept.
    """

    size: int
    mtime_ns: int
    change: int

    @classmethod
    def of(cls, info: os.stat_result) -> Self:
        change = crc32(b"%d/%d" % (info.st_ino, info.st_ctime_ns))
        return cls(info.st_size, info.st_mtime_ns, change)


_NO_STAMP = Stamp(0, 0, 0)
"""Of a file that could not be looked at: such a fault may be gone next time."""


def stamp_of(path: Path) -> Stamp:
    """The stamp of a file as it is now; zeros where it cannot be looked at."""
    try:
        return Stamp.of(os.stat(path))
    except OSError:
        return _NO_STAMP


class FileFacts(NamedTuple):
    """An audio file: its stamp, its header, and why it cannot be used ("" if it can).

    ``content`` is the MD5 of its samples, where it is known (:mod:`slakh_hier.slakh.content`). ``deep`` is None where the
    content was not checked, else what was wrong with it ("" for nothing).
    """

    stamp: Stamp
    frames: int = 0
    sample_rate: int = 0
    channels: int = 0
    content: str = UNKNOWN
    fault: str = ""
    deep: str | None = None


@dataclass(frozen=True)
class TrackFacts:
    """All that a scan needs to know of a track.

    ``metadata`` is None where they cannot be read, for the reason ``error``. ``files`` maps names of audio files
    in the stems folder to what they are; ``strays`` are the other names there. ``stems_fault`` says why that folder
    cannot be looked into. ``residual`` is :func:`~slakh_hier.slakh.deep.mix_residual` (dB), where stems are missing and the
    audio was checked.
    """

    metadata_stamp: Stamp | None
    metadata: TrackMetadata | None
    error: str = field(compare=False)
    midi_stamp: Stamp | None
    midi_md5: str | None
    files: dict[str, FileFacts] = field(default_factory=dict)
    # Never kept: listing the folder shows them.
    strays: list[str] = field(default_factory=list, compare=False)
    stems_fault: str = field(default="", compare=False)
    residual: float | None = field(default=None, compare=False)

    @property
    def missing(self) -> list[str]:
        """Stems that the metadata call rendered and that have no file."""
        there = {name.partition(".")[0] for name in self.files}
        stems = self.metadata.stems if self.metadata else {}
        return [stem for stem, entry in stems.items() if entry.rendered and stem not in there]


def look(
    root: Path, path: str, known: TrackFacts | None = None, *, deep: bool = False, follow_links: bool = False
) -> TrackFacts:
    """Look at the track in the folder ``path`` below the resolved ``root``.

    Nothing that the metadata say is used as a path.

    Parameters
    ----------
    known
        What was found last time; whatever has kept its stamp is not read again.
    deep
        Decode every file and compare it with the MD5 that FLAC files carry.
    follow_links
        Links may lead out of ``root``.
    """
    folder, bounds = root / path, within(root, follow_links)
    try:
        stamp, metadata, error = _metadata(bounds, folder, f"{path}/{METADATA}", known)
    except OSError as system:
        stamp, metadata, error = None, None, f"{path}/{METADATA}: cannot be read: {system.strerror or system}"
    if metadata is None:
        return TrackFacts(stamp, None, error, None, None)
    midi_stamp, midi_md5 = (None, None) if metadata.uuid else _midi(bounds, folder, known)
    entries, fault = _stems_folder(bounds, folder / STEMS)
    files: dict[str, FileFacts] = {}
    strays: list[str] = []
    for entry in entries:
        name, suffix = os.path.splitext(entry.name)
        if suffix.lower() in SUFFIXES and STEM_ID.fullmatch(name):
            files[entry.name] = _file(bounds, entry, known.files.get(entry.name) if known else None, deep)
        else:
            strays.append(entry.name)
    facts = TrackFacts(stamp, metadata, "", midi_stamp, midi_md5, files, strays, fault)
    if deep and facts.missing:
        return replace(facts, residual=mix_residual(folder, [folder / STEMS / name for name in files]))
    return facts


def _metadata(
    bounds: Path, folder: Path, name: str, known: TrackFacts | None
) -> tuple[Stamp | None, TrackMetadata | None, str]:
    path = folder / METADATA
    info = os.lstat(path)
    if stat.S_ISLNK(info.st_mode):
        if not inside(bounds, path):
            return None, None, f"{name}: {LEADS_OUT}"
        info = os.stat(path)
    if not stat.S_ISREG(info.st_mode):
        return None, None, f"{name}: not a regular file"
    stamp = Stamp.of(info)
    if known is not None and known.metadata is not None and known.metadata_stamp == stamp:
        return stamp, known.metadata, ""
    data = read_bytes(path)
    try:
        return stamp, read_metadata(data, name), ""
    except MetadataError as error:
        return stamp, None, str(error)


def _midi(bounds: Path, folder: Path, known: TrackFacts | None) -> tuple[Stamp | None, str | None]:
    path = folder / SOURCE_MIDI
    try:
        info = os.stat(path)
        if not stat.S_ISREG(info.st_mode) or info.st_size > MAX_MIDI or not inside(bounds, path):
            return None, None
        stamp = Stamp.of(info)
        if known is not None and known.midi_stamp == stamp:
            return stamp, known.midi_md5
        return stamp, md5(path.read_bytes())
    except OSError:
        return None, None


def _stems_folder(bounds: Path, folder: Path) -> tuple[list[os.DirEntry[str]], str]:
    """What lies in the stems folder, in order of names, without hidden files; else why it cannot be read."""
    try:
        if folder.is_symlink() and not inside(bounds, folder):
            return [], LEADS_OUT
        with os.scandir(folder) as entries:
            # ._S00.flac and the like come out of archives that a Mac made.
            return sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name), ""
    except FileNotFoundError:
        return [], ""
    except OSError as error:
        return [], f"cannot be read: {error.strerror}"


def _file(bounds: Path, entry: os.DirEntry[str], known: FileFacts | None, deep: bool) -> FileFacts:
    if entry.is_symlink() and not inside(bounds, entry.path):
        return FileFacts(_NO_STAMP, fault=LEADS_OUT)
    try:
        info = entry.stat()
        if not stat.S_ISREG(info.st_mode):
            return FileFacts(_NO_STAMP, fault="not a regular file")
        facts = known
        if facts is None or facts.stamp != Stamp.of(info):
            facts = _header(entry.path, info)
        if deep and facts.deep is None and not facts.fault:
            facts = facts._replace(deep=check_audio(entry.path))
            if not facts.content and not facts.deep:
                facts = facts._replace(content=content_of(entry.path))
        return facts
    except (OSError, MemoryError) as error:
        return FileFacts(
            _NO_STAMP, fault=f"cannot be read: {getattr(error, 'strerror', None) or 'out of memory'}"
        )


def _header(path: str, info: os.stat_result) -> FileFacts:
    try:
        header = read_header(path)
    except HeaderError as error:
        return FileFacts(Stamp.of(info), fault=str(error))
    return FileFacts(Stamp.of(info), header.frames, header.sample_rate, header.channels, header.content)
