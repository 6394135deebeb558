"""What a track is made from: a song's stems, their files, and how their audio is taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from slakh_hier.errors import AudioError
from slakh_hier.output.audio import AudioFormat
from slakh_hier.output.tracks import TrackRecord
from slakh_hier.slakh.headers import Header, HeaderError, read_header

AudioMode = Literal["convert", "link", "copy"]


@dataclass(frozen=True)
class Settings:
    """How the audio of all songs is taken. ``sample_rate`` in Hz; None keeps that of most of a song's files."""

    audio: AudioMode
    sample_rate: int | None
    audio_format: AudioFormat


@dataclass(frozen=True)
class SourceFile:
    """A song's file: its name inside the song (posix), and where it lies."""

    name: str
    path: str

    def header(self, song: str) -> Header:
        """What the file promises; AudioError where it is not audio."""
        try:
            return read_header(self.path)
        except (HeaderError, OSError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise AudioError(song, self.name, reason) from error


@dataclass(frozen=True)
class SourceStem:
    """A stem: its name, the files that are added up in it, and its instrument's keys for the metadata."""

    name: str
    files: tuple[SourceFile, ...]
    labels: Mapping[str, Any]


@dataclass(frozen=True)
class Song:
    """All that decides a track, beside the content of the files. ``uuid`` is the song's identity, 32 hex digits."""

    name: str
    uuid: str
    stems: tuple[SourceStem, ...]
    mix: SourceFile | None
    settings: Settings

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """Every stem's files."""
        return tuple(file for stem in self.stems for file in stem.files)


@dataclass(frozen=True)
class ImportRecord(TrackRecord):
    """What became of a song: stems of several channels made mono, and files that could not be linked."""

    folded: int = 0
    copied: int = 0
