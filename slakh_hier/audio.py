"""Reading stems, with the checks that libsndfile leaves out.

libsndfile reads past the end without an error, accepts any sample rate and channel count, and returns NaN
from float files as they are. Every fault becomes one :class:`~slakh_hier.errors.AudioError`. FLAC files as Slakh's are read
faster, to the same samples (:mod:`~slakh_hier.flac_excerpts`); what is wrong with them, libsndfile says as well.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from slakh_hier.closing import Closing
from slakh_hier.errors import AudioError
from slakh_hier.flac_excerpts import FlacExcerpts
from slakh_hier.wording import channel_word

FULL_SCALE = 32768.0
INT16_SUBTYPES = frozenset({"PCM_16", "PCM_S8", "PCM_U8"})
DEEP_SUBTYPES = frozenset({"PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAC_20", "ALAC_24", "ALAC_32"})
"""Samples of more than 16 bits. Lossy coding is not among them: what it loses is far above the 17th bit."""
MAX_FRAMES = 48_000 * 3600 * 24
"""A header that declares more than a day of audio is taken as damaged (libsndfile would allocate it)."""


class StemRef(NamedTuple):
    """A stem as a catalog knows it: where its audio is, and what it must be like.

    ``path`` is below the root; ``content`` is the MD5 of its samples, where it is known.
    """

    track: str
    stem: str
    path: str
    sample_rate: int
    frames: int
    channels: int
    content: str = ""

    def open(self, root: Path) -> StemFile:
        """Open the stem for reading; :class:`~slakh_hier.errors.AudioError` when it is not what the catalog says.

        Whether links may lead out of ``root`` was decided when the catalog was made.
        """
        return StemFile(
            root / self.path,
            track=self.track,
            stem=self.stem,
            sample_rate=self.sample_rate,
            frames=self.frames,
            channels=self.channels,
        )


def channels_of(stems: Iterable[StemRef]) -> int:
    """Channels of a track: those of its widest stem, 1 or 2; stems of more are folded down to one."""
    return 2 if any(stem.channels == 2 for stem in stems) else 1


class StemFile(Closing):
    """One open stem: checked when opened, checked at each read.

    Parameters
    ----------
    path
        The audio file; links are followed.
    track, stem
        Names for error messages.
    sample_rate, frames, channels
        What the catalog says; ``None`` takes what the header says.

    Attributes
    ----------
    sample_rate : int, Hz
    frames : int, samples
    channels : int
        Of the file, however many are read.
    integer : bool
        The file holds at most 16 bits, so that reads are exact integers.
    deep : bool
        It holds more than 16 bits.
    """

    def __init__(
        self,
        path: Path,
        *,
        track: str,
        stem: str,
        sample_rate: int | None = None,
        frames: int | None = None,
        channels: int | None = None,
    ):
        self.track, self.stem, self.path = track, stem, path
        self.sample_rate: int
        self.frames: int
        self.channels: int
        self.integer: bool
        self.deep = False
        self.watch: Callable[[NDArray[Any]], None] | None = None
        """Is given what is decoded, (count, channels) of int16 or float32, before it is folded down."""
        self._file: soundfile.SoundFile | None = None
        self._position = 0
        self._check_place()
        try:
            self._excerpts = FlacExcerpts.open(path)
            if self._excerpts is None:
                file = self._opened()
                self.sample_rate, self.frames, self.channels = file.samplerate, file.frames, file.channels
                self.integer, self.deep = file.subtype in INT16_SUBTYPES, file.subtype in DEEP_SUBTYPES
            else:
                info = self._excerpts.info
                self.sample_rate, self.frames, self.channels = info.sample_rate, info.frames, info.channels
                self.integer = True
        except (soundfile.LibsndfileError, OSError, TypeError) as error:
            raise self._error(f"{path.name} cannot be opened as audio: {libsndfile_reason(error)}") from error
        try:
            if sample_rate is not None and self.sample_rate != sample_rate:
                raise self._error(f"sample rate is {self.sample_rate} Hz, but {sample_rate} Hz was expected")
            if frames is not None and self.frames != frames:
                raise self._error(f"has {self.frames} frames, but the catalog says {frames}; scan again")
            if channels is not None and self.channels != channels:
                found, expected = channel_word(self.channels), channel_word(channels)
                raise self._error(f"is {found}, but the catalog says {expected}; scan again")
            if not 0 < self.frames <= MAX_FRAMES:
                raise self._error(f"its header declares {self.frames} frames, which is not plausible")
        except AudioError:
            self.close()
            raise

    def read(self, start: int, count: int, channels: int) -> NDArray[Any]:
        """Read ``count`` samples from sample ``start``; after the file's end come zeros.

        Parameters
        ----------
        channels
            1 or 2: a mono file sounds in both of two; other numbers of channels are folded down to their mean.

        Returns
        -------
        (channels, count): int16 where the file holds at most 16 bits and is not folded, else float32 in the same units
        (full scale 32768).

        Raises
        ------
        AudioError
            Fewer samples come than the header declares, a sample is not finite, or decoding fails.
        """
        inside = max(0, min(count, self.frames - start))
        folded = self.channels not in (1, channels)
        if inside == 0:
            return np.zeros((channels, count), np.int16 if self.integer and not folded else np.float32)
        try:
            got: NDArray[Any] | None = self._excerpts.read(start, inside) if self._excerpts else None
            if got is None:
                got = self._read_with_libsndfile(start, inside)
        except (soundfile.LibsndfileError, OSError, AssertionError, MemoryError) as error:
            self._position = -1
            raise self._error(
                f"decoding fails near {start / self.sample_rate:.2f} s: {libsndfile_reason(error)}"
            ) from error
        if len(got) != inside:
            raise self._error(
                f"ends early: {inside} samples expected from {start / self.sample_rate:.2f} s, {len(got)} found"
            )
        if self.watch is not None:
            self.watch(got)
        got = _fold(got)[None] if folded else got.T
        if not self.integer:
            got = got * np.float32(FULL_SCALE)
            if not np.isfinite(got).all():
                raise self._error(f"holds NaN or Inf near {start / self.sample_rate:.2f} s")
        if len(got) < channels:
            got = np.repeat(got, channels, axis=0)
        return got if inside == count else np.pad(got, ((0, 0), (0, count - inside)))

    def close(self) -> None:
        if self._excerpts is not None:
            self._excerpts.close()
            self._excerpts = None
        if self._file is not None:
            self._file.close()

    def _opened(self) -> soundfile.SoundFile:
        if self._position < 0 and self._file is not None:  # libsndfile's decoder is of no use after an error
            self._file.close()
            self._file = None
        if self._file is None:
            # As bytes: soundfile refuses names that are not UTF-8.
            self._file, self._position = soundfile.SoundFile(os.fsencode(self.path)), 0
        return self._file

    def _read_with_libsndfile(self, start: int, count: int) -> NDArray[Any]:
        file = self._opened()
        if self._position != start:
            file.seek(start)
        kind = "int16" if self.integer else "float32"
        got: NDArray[Any] = file.read(count, dtype=kind, always_2d=True)
        self._position = start + len(got)
        return got

    def _check_place(self) -> None:
        try:
            mode = os.stat(self.path).st_mode
        except FileNotFoundError:
            raise self._error(f"{self.path} is not there any more; scan again") from None
        except OSError as error:
            raise self._error(f"{self.path}: {error.strerror}") from error
        if not stat.S_ISREG(mode):
            raise self._error(f"{self.path} is not a regular file")

    def _error(self, reason: str) -> AudioError:
        return AudioError(self.track, self.stem, reason)


def _fold(samples: NDArray[Any]) -> NDArray[Any]:
    """The mean of the channels of (frames, channels); column by column, which is many times faster than ``mean``."""
    total = samples[:, 0].astype(np.float32)
    for channel in range(1, samples.shape[1]):
        total += samples[:, channel]
    return total / np.float32(samples.shape[1])


def libsndfile_reason(error: BaseException) -> str:
    """libsndfile's words for what is wrong, without its ``Error : `` and full stop."""
    text = getattr(error, "error_string", None) or str(error) or type(error).__name__
    return str(text).removeprefix("Error : ").rstrip(". ")
