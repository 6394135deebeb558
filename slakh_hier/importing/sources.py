"""What a track is made from: a song's stems, their files, and how their audio is taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from slakh_hier.errors import AudioError
from slakh_hier.hierarchy import DRUM_PROGRAM
from slakh_hier.output.audio import AudioFormat
from slakh_hier.output.tracks import TrackRecord
from slakh_hier.slakh.headers import Header, HeaderError, read_header

AudioMode = Literal["convert", "link", "copy"]


@dataclass(frozen=True)
class Settings:
    """How the audio of all songs is taken. ``sample_rate`` in Hz; None keeps that of most of a song's files.

    ``channels`` of converted files: 1 or 2; None keeps those of a song's widest stem.
    """

    audio: AudioMode
    sample_rate: int | None
    audio_format: AudioFormat
    channels: int | None


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


def instrument_keys(
    inst_class: str, name: str, program: int | None, patch: str | None = None
) -> dict[str, Any]:
    """The keys of metadata.yaml that say which instrument a stem is; ``program`` is 128 for drums."""
    return {
        "inst_class": inst_class,
        "is_drum": program == DRUM_PROGRAM,
        "midi_program_name": name,
        "plugin_name": patch or "None",
        "program_num": program,
    }


@dataclass(frozen=True)
class SourceStem:
    """A stem."""

    name: str
    """For people, and where it comes from: the first file's name."""
    files: tuple[SourceFile, ...]
    """Are added up."""
    instrument: Mapping[str, Any]
    """The metadata's keys of an instrument: ``is_drum``, ``program_num`` ..."""
    labels: tuple[str, ...] = ()
    """What its data set calls it, coarse to fine; empty where there is no taxonomy."""
    has_bleed: bool | None = None
    """Others are heard in it; None where it is not known."""
    gain: float = 1.0
    """Factor with which it enters the song's mixture."""
    faults: tuple[str, ...] = ()
    """What is known to be wrong with it, each with its source."""


@dataclass(frozen=True)
class Song:
    """All that decides a track, beside the settings and the content of the files."""

    name: str
    """For people; no other song has it."""
    uuid: str
    """The song's identity, 32 hex digits: the same recording has the same in other data sets."""
    stems: tuple[SourceStem, ...]
    mix: SourceFile | None = None
    id: str = ""
    """As tables of splits name it."""
    title: str | None = None
    artist: str | None = None
    genre: str | None = None
    split: str | None = None
    """Where its data set puts it: by a published list, or by the folder that it lies in."""
    missing: tuple[tuple[str, str], ...] = ()
    """Files that are not there or of no use, each with what to know of it; the song was made without them."""
    remarks: tuple[str, ...] = ()
    """What to know of it."""

    @property
    def files(self) -> tuple[SourceFile, ...]:
        """Every stem's files."""
        return tuple(file for stem in self.stems for file in stem.files)


@dataclass(frozen=True)
class Unmatched:
    """A file that is not taken: its name, the songs that were made without it, and why or what to do."""

    file: str
    songs: tuple[str, ...]
    hint: str


@dataclass
class Listing:
    """What a folder of songs holds."""

    songs: list[Song] = field(default_factory=list)
    """Those that can be made into tracks."""
    failures: list[tuple[str, str]] = field(default_factory=list)
    """Songs that cannot be used, with the reason."""
    unmatched: list[Unmatched] = field(default_factory=list)
    """Files that no pattern fits."""
    notes: list[str] = field(default_factory=list)
    """What to know of the whole."""


@dataclass(frozen=True)
class ImportRecord(TrackRecord):
    """What became of a song: stems that lost channels, and files that could not be linked."""

    folded: int = 0
    copied: int = 0
