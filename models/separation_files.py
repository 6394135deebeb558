"""Separate audio files into one file a level and the residual, without holding them in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
from numpy.typing import NDArray

from slakh_hier.errors import FaultError, InputError, SlakhHierError
from slakh_hier.files import TEMPORARY_PREFIX, make_folder, sync_folder
from slakh_hier.models.separation import RESIDUAL, Model
from slakh_hier.models.weights import load_weights
from slakh_hier.progress import Progress, Silent

FileFormat = Literal["wav", "flac"]
MAX_CHANNELS = 8
MAX_WAV = 4_000_000_000
"""Longer WAV files are written as RF64, which has 64-bit sizes."""
STEP24 = 2.0**-23


@dataclass(frozen=True)
class Separated:
    """What became of one file.

    Attributes
    ----------
    source : Path
    files : tuple of Path
        One a level, leaf first, then the residual; empty where it failed.
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
    file_format: FileFormat = "wav",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    progress: Progress | None = None,
) -> list[Separated]:
    """Separate files; each gets a folder ``OUT/NAME/`` with a file a level and ``residual``.

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
    file_format
        ``wav`` (32-bit float, never clips) or ``flac`` (24 bit).
    progress
        Shows seconds of audio.

    Returns
    -------
    list
        One :class:`Separated` a file. One that turns out to be damaged on the way does not stop the others.

    Raises
    ------
    InputError
        The run holds no separator, a query is missing or not wanted, a file is no audio, or two files have one name.
    """
    trained = load_weights(Path(run))
    files = [Path(path) for path in audio]
    about = [_header(path) for path in files]
    names = _folder_names(files)
    sound, query_rate = (None, None) if query is None else _read_query(Path(query))
    model = Model(trained, device=device, query=sound, query_rate=query_rate)
    done = []
    progress = progress or Silent()
    for path, name, (frames, rate, channels) in zip(files, names, about, strict=True):
        folder = make_folder(Path(out) / name)
        outputs = tuple(folder / f"{name}.{file_format}" for name in (*trained.about.names, RESIDUAL))
        size = 4 * frames * channels
        try:
            with (
                soundfile.SoundFile(path) as source,
                _writers(outputs, rate, channels, file_format, size) as writers,
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
                    estimates = block.estimates
                    if file_format == "flac":
                        estimates = _quantised(estimates)
                    signals = [*estimates, block.mixture - estimates[-1]]
                    for writer, signal in zip(writers, signals, strict=True):
                        clipped += int((np.abs(signal) > 1).sum()) if file_format == "flac" else 0
                        writer.write(signal.T)
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
            f"{path}: is no audio file that can be read ({reason.strip().rstrip('.')})"
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


def _quantised(estimates: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rounded to 24 bits, so that input minus estimate is one too; what would clip is cut first."""
    quantised: NDArray[np.float32] = (np.rint(np.clip(estimates, -1, 1 - STEP24) / STEP24) * STEP24).astype(
        np.float32
    )
    return quantised


@contextmanager
def _writers(
    paths: Sequence[Path], rate: int, channels: int, file_format: FileFormat, size: int
) -> Iterator[list[soundfile.SoundFile]]:
    """Open files under temporary names that get their own when everything was written."""
    container = "FLAC" if file_format == "flac" else "WAV" if size < MAX_WAV else "RF64"
    temporary = [path.with_name(TEMPORARY_PREFIX + path.name) for path in paths]
    try:
        for name in temporary:
            name.unlink(missing_ok=True)  # a killed run's, or a link that a stranger put there
        with ExitStack() as stack:
            yield [
                stack.enter_context(
                    soundfile.SoundFile(
                        name,
                        "w",
                        rate,
                        channels,
                        subtype="PCM_24" if file_format == "flac" else "FLOAT",
                        format=container,
                    )
                )
                for name in temporary
            ]
        for name, path in zip(temporary, paths, strict=True):
            os.replace(name, path)
        sync_folder(paths[0].parent)
    except (soundfile.LibsndfileError, OSError) as error:
        raise FaultError(
            f"{paths[0].parent}: cannot be written: {error}. Make room and run it again"
        ) from error
    finally:
        for name in temporary:
            name.unlink(missing_ok=True)
