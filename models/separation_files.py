"""Separate audio files into one file per level and the residual, without holding them in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from slakh_hier.errors import FaultError, InputError, SlakhHierError
from slakh_hier.files import make_folder
from slakh_hier.models.separation import RESIDUAL, Device, Model
from slakh_hier.models.weights import load_weights
from slakh_hier.output.audio import AudioFormat, Encoding, audio_files, check_audio
from slakh_hier.progress import Progress, Silent

MAX_CHANNELS = 8


@dataclass(frozen=True)
class Separated:
    """What became of one file.

    Attributes
    ----------
    source : Path
    files : tuple of Path
        One per level, leaf first, then the residual; empty where it failed.
    seconds : float
        Length of the audio.
    clipped : int
        Samples that FLAC could not hold.
    error : str
        Why it failed; empty where it did not.
    """

    source: Path
    files: tuple[Path, ...]
    seconds: float
    clipped: int = 0
    error: str = ""


def separate_files(
    run: Path,
    audio: Sequence[Path],
    out: Path,
    *,
    query: Path | None = None,
    window_seconds: float = 30.0,
    overlap_seconds: float = 3.0,
    audio_format: AudioFormat = "wav",
    device: Device = "auto",
    progress: Progress | None = None,
) -> list[Separated]:
    """Separate files; each gets a folder ``OUT/NAME/`` with one file per level and ``residual``.

    NAME is that of the file; where several are called alike, as Slakh's mixtures are, ``FOLDER-NAME``.

    Sample rate, channels and length are those of the input, and residual plus coarsest level is the input: exactly
    in FLAC (24 bit, for inputs of at most 24 bits, unless something clips), within float32's rounding in WAV.

    Parameters
    ----------
    run
        A run folder.
    audio
        Files that libsndfile reads: WAV, FLAC, OGG, MP3, AIFF and others.
    out
        Folder; existing results of the same names are replaced.
    query
        QBE: a recording of the instrument to separate.
    window_seconds, overlap_seconds
        See :func:`~slakh_hier.models.separation.separate`.
    audio_format
        ``wav`` (32-bit float, never clips) or ``flac`` (24 bit).
    progress
        Shows seconds of audio.

    Returns
    -------
    list
        One :class:`Separated` per file. One that turns out to be damaged on the way does not stop the others.

    Raises
    ------
    InputError
        The run holds no separator, a query is missing or not wanted, a file is not audio, or two files have one name.
    """
    check_audio(audio_format, None)
    trained = load_weights(Path(run))
    files = [Path(path) for path in audio]
    about = [_header(path) for path in files]
    names = _folder_names(files)
    sound, query_rate = (None, None) if query is None else _read_query(Path(query))
    model = Model(trained, device=device, query=sound, query_rate=query_rate)
    encoding = Encoding(audio_format, "PCM_24" if audio_format == "flac" else "FLOAT")
    scale = np.float32(encoding.full_scale)
    done = []
    progress = progress or Silent()
    for path, name, (frames, rate, channels) in zip(files, names, about, strict=True):
        folder = make_folder(Path(out) / name)
        outputs = tuple(folder / f"{name}.{audio_format}" for name in (*trained.about.names, RESIDUAL))
        try:
            with (
                soundfile.SoundFile(path) as source,
                audio_files(outputs, rate, channels, frames, encoding) as writers,
                progress.stage(path.name, frames / rate, "s of audio") as advance,
            ):
                clipped = 0
                blocks = model.blocks(
                    lambda start, count, source=source, path=path: _read(source, path, start, count),  # type: ignore[misc]
                    frames,
                    rate,
                    window_seconds=window_seconds,
                    overlap_seconds=overlap_seconds,
                )
                for block in blocks:
                    # Rounded first, so that the input less an estimate is a whole number of steps too.
                    estimates = _fitted(block.estimates * scale, encoding)
                    for writer, signal in zip(
                        writers, [*estimates, block.mixture * scale - estimates[-1]], strict=True
                    ):
                        writer.write(fitted := _fitted(signal, encoding))
                        clipped += int((np.abs(fitted - signal) > 1).sum())
                    advance(block.mixture.shape[1] / rate)
            done.append(Separated(path, outputs, frames / rate, clipped))
        except SlakhHierError as error:
            if isinstance(error, FaultError):
                raise
            done.append(Separated(path, (), frames / rate, error=str(error)))
    return done


def _folder_names(files: Sequence[Path]) -> list[str]:
    """A file's name without its suffix; with its folder's before it where several files are called alike (mix)."""
    stems = [path.stem for path in files]
    names = [
        path.stem if stems.count(path.stem) == 1 else f"{path.resolve().parent.name}-{path.stem}"
        for path in files
    ]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise InputError(
            f"two of the files would be called {twice}; separate them with an -o of their own each"
        )
    return names


def _header(path: Path) -> tuple[int, int, int]:
    """Frames, rate and channels that a file promises."""
    try:
        with soundfile.SoundFile(path) as file:
            frames, rate, channels = file.frames, file.samplerate, file.channels
    except (soundfile.LibsndfileError, OSError, TypeError) as error:
        if not path.exists():
            raise InputError(f"{path}: there is no such file") from None
        if path.is_dir():
            raise InputError(f"{path}: is a folder; give audio files") from None
        reason = getattr(error, "error_string", None) or str(error)
        raise InputError(
            f"{path}: is not an audio file that can be read ({reason.strip().rstrip('.')})"
        ) from None
    if frames < 1:
        raise InputError(f"{path}: holds no audio")
    if channels > MAX_CHANNELS:
        raise InputError(f"{path}: has {channels} channels; at most {MAX_CHANNELS} can be separated")
    return frames, rate, channels


def _read(source: soundfile.SoundFile, path: Path, start: int, count: int) -> NDArray[np.float32]:
    """(channels, count) of a file, checked: libsndfile ends early and returns NaN without an error."""
    try:
        source.seek(start)
        found: NDArray[np.float32] = source.read(count, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError, AssertionError) as error:
        raise InputError(
            f"{path}: cannot be decoded near {start / source.samplerate:.1f} s ({error})"
        ) from None
    if len(found) != count:
        raise InputError(f"{path}: ends early, after {start + len(found)} of {source.frames} samples")
    if not np.isfinite(found).all():
        raise InputError(f"{path}: holds NaN or Inf near {start / source.samplerate:.1f} s")
    return np.ascontiguousarray(found.T)


def _read_query(path: Path) -> tuple[NDArray[np.float32], int]:
    frames, rate, _ = _header(path)
    with soundfile.SoundFile(path) as file:
        return _read(file, path, 0, frames), rate


def _fitted(signal: NDArray[np.float32], encoding: Encoding) -> NDArray[np.float32]:
    """A signal in the encoding's units as it can hold it: FLAC takes whole numbers of 24 bits, which float32 holds too."""
    if encoding.subtype == "FLOAT":
        return signal
    return np.rint(signal).clip(-encoding.full_scale, encoding.full_scale - 1)
