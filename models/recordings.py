"""The recordings that are to be separated: files, and folders of files; their headers, and what their results are called."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from slakh_hier.audio import libsndfile_reason
from slakh_hier.errors import InputError
from slakh_hier.importing.songs import SUFFIXES

MAX_CHANNELS = 8
_NAMES: tuple[Callable[[Path], str], ...] = (
    lambda path: path.stem,
    lambda path: f"{path.resolve().parent.name}-{path.stem}",
    lambda path: f"{path.resolve().parent.name}-{path.name}",
)
"""What a file's results may be called: the first that is its alone."""


@dataclass(frozen=True)
class Recording:
    """A file to separate."""

    path: Path
    name: str
    """Of its results."""
    frames: int = 0
    rate: int = 0
    channels: int = 0
    """``frames`` to ``channels``: what its header declares; 0 where ``error`` says why it cannot be separated."""
    error: str = ""
    """Empty where it can."""


def find_recordings(audio: Sequence[Path]) -> list[Recording]:
    """Files as they are given, and for a folder the audio files in it, by name; those below it are not looked at.

    Results are called as the file without its suffix; where several are called alike, as Slakh's mixtures are, their
    folder's name comes before it (``Track00001-mix``), and where that is not enough the suffix behind it.

    Raises
    ------
    InputError
        None of the files can be separated, a folder holds none, or two would still be called alike.
    """
    paths = [path for given in audio for path in ([given] if not given.is_dir() else _inside(given))]
    found = []
    for path, name in zip(paths, _names(paths), strict=True):
        try:
            found.append(Recording(path, name, *_header(path)))
        except InputError as error:
            found.append(Recording(path, name, error=str(error)))
    if found and all(recording.error for recording in found):
        raise InputError("\n".join(recording.error for recording in found))
    return found


def open_recording(path: Path) -> soundfile.SoundFile:
    """Open a recording for reading. Raises what soundfile does; names need not be UTF-8."""
    return soundfile.SoundFile(os.fsencode(path))


def read_recording(source: soundfile.SoundFile, path: Path, start: int, count: int) -> NDArray[np.float32]:
    """(channels, count) of a file, checked: libsndfile ends early and returns NaN without an error.

    Raises
    ------
    InputError
        It cannot be decoded, ends early, or holds values that are not finite.
    """
    try:
        source.seek(start)
        found: NDArray[np.float32] = source.read(count, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError, AssertionError) as error:
        raise InputError(
            f"{path}: cannot be decoded near {start / source.samplerate:.1f} s ({libsndfile_reason(error)})"
        ) from None
    if len(found) != count:
        raise InputError(f"{path}: ends early, after {start + len(found)} of {source.frames} samples")
    if not np.isfinite(found).all():
        raise InputError(f"{path}: holds NaN or Inf near {start / source.samplerate:.1f} s")
    return np.ascontiguousarray(found.T)


def read_query(path: Path) -> tuple[NDArray[np.float32], int]:
    """A whole recording, (channels, samples), and its rate."""
    frames, rate, _ = _header(path)
    with open_recording(path) as file:
        return read_recording(file, path, 0, frames), rate


def _inside(folder: Path) -> Iterator[Path]:
    try:
        files = [path for path in folder.iterdir() if path.is_file() and path.name[:1] != "."]
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror}") from None
    some = sorted(path for path in files if path.suffix.lower() in SUFFIXES)
    if not some:
        raise InputError(
            f"{folder}: holds no audio file (of the kinds {', '.join(sorted(SUFFIXES))}); folders in it are not looked at"
        )
    yield from some


def _names(paths: Sequence[Path]) -> list[str]:
    names = [_NAMES[0](path) for path in paths]
    for longer in _NAMES[1:]:
        often = Counter(name.casefold() for name in names)
        names = [
            longer(path) if often[name.casefold()] > 1 else name
            for path, name in zip(paths, names, strict=True)
        ]
    often = Counter(name.casefold() for name in names)
    if twice := next((name for name in names if often[name.casefold()] > 1), None):
        raise InputError(
            f"two of the files would be called {twice}; separate them with an -o of their own each"
        )
    return names


def _header(path: Path) -> tuple[int, int, int]:
    """Frames, rate and channels that a file promises."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder; give audio files")
    if path.exists() and not path.is_file():  # opening a pipe waits for ever
        raise InputError(f"{path}: is not a regular file")
    try:
        with open_recording(path) as file:
            frames, rate, channels = file.frames, file.samplerate, file.channels
    except (soundfile.LibsndfileError, OSError, TypeError) as error:
        if not path.exists():
            raise InputError(f"{path}: there is no such file") from None
        raise InputError(
            f"{path}: is not an audio file that can be read ({libsndfile_reason(error)})"
        ) from None
    if frames < 1:
        raise InputError(f"{path}: holds no audio")
    if channels > MAX_CHANNELS:
        raise InputError(f"{path}: has {channels} channels; at most {MAX_CHANNELS} can be separated")
    return frames, rate, channels
