"""Separate audio files into one file per level and the residual, without holding them in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from slakh_hier.audio import libsndfile_reason
from slakh_hier.errors import InputError
from slakh_hier.files import make_folder
from slakh_hier.models.recordings import (
    Recording,
    find_recordings,
    open_recording,
    read_query,
    read_recording,
)
from slakh_hier.models.separation import SILENT_QUERY, Device, Model, check_windows
from slakh_hier.models.weights import RESIDUAL, load_weights
from slakh_hier.output.audio import AudioFormat, Encoding, audio_files, check_audio
from slakh_hier.paths import StrPath
from slakh_hier.progress import Progress, Wanted, shown


@dataclass(frozen=True)
class Separated:
    """What became of one file."""

    source: Path
    files: tuple[Path, ...]
    """One per level, finest first, then the residual; empty where it failed."""
    seconds: float
    """Length of the audio."""
    clipped: int = 0
    """Samples that FLAC could not hold."""
    error: str = ""
    """Why it failed; empty where it did not."""


def separate_files(
    run: StrPath,
    audio: Sequence[StrPath],
    out: StrPath,
    *,
    query: StrPath | None = None,
    window_seconds: float = 30.0,
    overlap_seconds: float = 3.0,
    audio_format: AudioFormat = "wav",
    device: Device = "auto",
    progress: Wanted = None,
) -> list[Separated]:
    """Separate files; each gets a folder ``OUT/NAME/`` with one file per level and ``residual``.

    NAME is that of the file (:func:`~slakh_hier.models.recordings.find_recordings`).

    Sample rate, channels and length are those of the input, and residual plus coarsest level is the input: exactly
    in FLAC (24 bit, for inputs of at most 24 bits, unless something clips), within float32's rounding in WAV.

    Parameters
    ----------
    run
        A run folder.
    audio
        Files that libsndfile reads (WAV, FLAC, OGG, MP3, AIFF and others), or folders of such files.
    out
        Folder; existing results of the same names are replaced.
    query
        QBE: a recording of the instrument to separate.
    window_seconds, overlap_seconds
        See :func:`~slakh_hier.models.separation.separate`.
    audio_format
        ``wav`` (32-bit float, never clips) or ``flac`` (24 bit).
    device
        ``auto``: a GPU where there is one.
    progress
        Shows seconds of audio.

    Returns
    -------
    list
        One :class:`Separated` per file. One that is not audio, or turns out to be damaged, does not stop the others.

    Raises
    ------
    InputError
        The run holds no separator, a query is missing or not wanted, no file can be separated, or two have one name.
    FaultError
        The results cannot be written; what is finished is kept.
    """
    check_audio(audio_format)
    check_windows(window_seconds, overlap_seconds)
    trained = load_weights(run)
    recordings = find_recordings([Path(path) for path in audio])
    sound, query_rate = (None, None) if query is None else read_query(Path(query))
    if sound is not None and not sound.any():
        raise InputError(f"{query}: {SILENT_QUERY}")
    model = Model(trained, device=device, query=sound, query_rate=query_rate)
    separation = _Separation(model, window_seconds, overlap_seconds, audio_format, shown(progress))
    target = make_folder(Path(out))
    done = []
    for one in recordings:
        seconds = one.frames / one.rate if one.rate else 0.0
        try:
            if one.error:
                raise InputError(one.error)
            folder = make_folder(target / one.name)
            files = tuple(folder / f"{name}.{audio_format}" for name in (*trained.about.names, RESIDUAL))
            done.append(Separated(one.path, files, seconds, separation.write(one, files)))
        except InputError as error:
            done.append(Separated(one.path, (), seconds, error=str(error)))
    return done


@dataclass(frozen=True)
class _Separation:
    """How every recording is separated."""

    model: Model
    window_seconds: float
    overlap_seconds: float
    audio_format: AudioFormat
    progress: Progress

    def write(self, recording: Recording, files: Sequence[Path]) -> int:
        """Separate one recording into its files and return how many samples were clipped."""
        frames, rate = recording.frames, recording.rate
        encoding = Encoding(self.audio_format, "PCM_24" if self.audio_format == "flac" else "FLOAT")
        scale, clipped = np.float32(encoding.full_scale), 0
        with (
            _opened(recording.path) as source,
            audio_files(files, rate, recording.channels, frames, encoding) as writers,
            self.progress.stage(recording.path.name, frames / rate, "s of audio") as advance,
        ):
            for block in self.model.blocks(
                lambda start, count: read_recording(source, recording.path, start, count),
                frames,
                rate,
                window_seconds=self.window_seconds,
                overlap_seconds=self.overlap_seconds,
            ):
                # Rounded first, so that the input less an estimate is a whole number of steps too.
                estimates = _fitted(block.estimates * scale, encoding)
                for writer, signal in zip(
                    writers, [*estimates, block.mixture * scale - estimates[-1]], strict=True
                ):
                    writer.write(fitted := _fitted(signal, encoding))
                    clipped += int((np.abs(fitted - signal) > 1).sum())
                advance(block.mixture.shape[1] / rate)
        return clipped


@contextmanager
def _opened(path: Path) -> Iterator[soundfile.SoundFile]:
    try:
        source = open_recording(path)
    except (soundfile.LibsndfileError, OSError) as error:  # it changed since its header was read
        raise InputError(f"{path}: cannot be opened any more ({libsndfile_reason(error)})") from None
    with source:
        yield source


def _fitted(signal: NDArray[np.float32], encoding: Encoding) -> NDArray[np.float32]:
    """A signal in the encoding's units as it can hold it: FLAC takes whole numbers of 24 bits, which float32 holds too."""
    if encoding.subtype == "FLOAT":
        return signal
    return np.rint(signal).clip(-encoding.full_scale, encoding.full_scale - 1)
