"""Writing an audio file block by block, so that what did not reach the disk is noticed."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import soundfile
from numpy.typing import NDArray

from slakh_hier.audio import FULL_SCALE
from slakh_hier.errors import InputError

AudioFormat = Literal["flac", "wav"]
LARGEST = 2**15 - 1
_WAV_BYTES = 2**32 - 2**16
"""A WAV file gives its length in 32 bits; some room is for its header."""


class Encoding(NamedTuple):
    """How samples are stored: ``PCM_16`` in FLAC or WAV, or ``FLOAT`` (32 bits) in WAV."""

    suffix: AudioFormat
    subtype: Literal["PCM_16", "FLOAT"] = "PCM_16"

    @property
    def bytes(self) -> int:
        """Bytes of a sample without compression."""
        return 2 if self.subtype == "PCM_16" else 4

    def check(self, sample_rate: int, frames: int) -> None:
        """Raise InputError where the format cannot hold such a file."""
        if self.suffix == "flac" and sample_rate > 65535 and sample_rate % 10:
            raise InputError(f"FLAC has no sample rate of {sample_rate} Hz; use --format wav or another rate")
        if self.suffix == "wav" and frames * self.bytes > _WAV_BYTES:
            raise InputError(
                f"{frames / sample_rate / 3600:.1f} h at {sample_rate} Hz are more than the 4 GB that a WAV file can "
                "hold; use --format flac"
            )


class AudioWriter:
    """A mono audio file that is being written. Leaving its block closes it, and checks that its end is on the disk.

    Raises
    ------
    OSError
        A write was refused, as on a full disk.
    """

    def __init__(self, path: Path, sample_rate: int, encoding: Encoding):
        self.path, self.encoding, self.frames = path, encoding, 0
        try:
            self._file = soundfile.SoundFile(
                path, "w", sample_rate, 1, format=encoding.suffix.upper(), subtype=encoding.subtype
            )
        except soundfile.LibsndfileError as error:
            raise self._refused(error) from error

    def write(self, samples: NDArray[Any]) -> None:
        """Append samples in integer units (full scale 32768); for PCM_16 they must be whole and fit."""
        if self.encoding.subtype == "PCM_16":
            data = samples.astype(np.int16)
        else:
            data = (samples / FULL_SCALE).astype(np.float32)
        try:
            self._file.write(data)
        except (soundfile.LibsndfileError, AssertionError) as error:
            raise self._refused(error) from error
        self.frames += len(data)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._file.close()
        except soundfile.LibsndfileError as fault:
            if kind is None:
                raise self._refused(fault) from fault
        if kind is None:
            self._read_back()

    def _read_back(self) -> None:
        """Decode the last sample: libsndfile says nothing when FLAC's last frame was refused while closing."""
        if self.frames == 0:  # given up before its first block
            return
        try:
            with soundfile.SoundFile(self.path) as file:
                file.seek(self.frames - 1)
                if file.frames != self.frames or len(file.read(2, dtype="int16")) != 1:
                    raise OSError(f"{self.path.name}: its end was not written")
        except (soundfile.LibsndfileError, AssertionError) as error:
            raise self._refused(error) from error

    def _refused(self, error: BaseException) -> OSError:
        reason = getattr(error, "error_string", "") or "the disk may be full"
        return OSError(f"{self.path.name}: {str(reason).rstrip('.: ')}")
