"""Audio files that are whole: what did not reach the disk is an error, whatever libsndfile says."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, NamedTuple, Self, get_args

import numpy as np
import soundfile
from numpy.typing import NDArray

from slakh_hier.audio import FULL_SCALE, libsndfile_reason
from slakh_hier.errors import InputError, check_choice
from slakh_hier.files import replacing

AudioFormat = Literal["flac", "wav"]
Subtype = Literal["PCM_16", "PCM_24", "FLOAT"]
LARGEST: Final = 2**15 - 1
RATES: Final = (1_000, 384_000)
"""Sample rates (Hz) that every step of the program takes, FLAC with it."""
MAX_WAV: Final = 4_000_000_000
"""Bytes; a longer WAV file is written as RF64, which has 64-bit sizes."""
_FULL_SCALES: Final = {"PCM_16": FULL_SCALE, "PCM_24": 2.0**23, "FLOAT": 1.0}
_HEAD: Final = 256
"""Bytes in which all chunks before the samples lie."""
_BYTES: Final = {"PCM_16": 2, "PCM_24": 3, "FLOAT": 4}


class Encoding(NamedTuple):
    """How samples are stored: 16 or 24 bits in FLAC or WAV, or ``FLOAT`` (32 bits) in WAV."""

    format: AudioFormat
    subtype: Subtype = "PCM_16"

    @property
    def full_scale(self) -> float:
        """What full scale is in the units of :meth:`AudioWriter.write`."""
        return _FULL_SCALES[self.subtype]

    @property
    def bytes(self) -> int:
        """Bytes of a sample without compression."""
        return _BYTES[self.subtype]


def check_rate(sample_rate: int) -> None:
    """Raise InputError for a sample rate (Hz) out of :data:`RATES`."""
    if not RATES[0] <= sample_rate <= RATES[1]:
        raise InputError(f"the sample rate must lie between {RATES[0]} and {RATES[1]} Hz, not {sample_rate}")


def check_audio(format: str, sample_rate: int | None = None) -> None:
    """Raise InputError for a format or sample rate (Hz; None: the input's own) that cannot be written."""
    check_choice("the audio format", format, get_args(AudioFormat))
    if sample_rate is None:
        return
    check_rate(sample_rate)
    if format == "flac" and sample_rate > 65535 and sample_rate % 10:
        raise InputError(
            f"FLAC has no sample rate of {sample_rate} Hz; use --audio-format wav or another rate"
        )


class AudioWriter:
    """An audio file of known length that is being written. Leaving its block closes it and reads its end back.

    Parameters
    ----------
    frames
        Samples per channel of the whole file.
    level
        FLAC's compression, 0 (fastest) to 1; None: libsndfile's default.

    Raises
    ------
    OSError
        A write was refused, as on a full disk.
    """

    def __init__(
        self,
        path: Path,
        sample_rate: int,
        channels: int,
        frames: int,
        encoding: Encoding,
        *,
        level: float | None = None,
    ):
        self.path, self.encoding, self.frames, self._written = path, encoding, frames, 0
        long = encoding.format == "wav" and frames * channels * encoding.bytes > MAX_WAV
        try:
            self._file = soundfile.SoundFile(
                os.fsencode(path),  # as bytes: soundfile refuses names that are not UTF-8
                "w",
                sample_rate,
                channels,
                format="RF64" if long else encoding.format.upper(),
                subtype=encoding.subtype,
                compression_level=level,
            )
        except soundfile.LibsndfileError as error:
            raise self._refused(error) from error

    def write(self, samples: NDArray[Any]) -> None:
        """Append samples, (channels, count), in the encoding's units: whole numbers that fit, or floats.

        The conversion is exact: libsndfile's own would multiply floats by 32767.
        """
        data: NDArray[Any]
        if self.encoding.subtype == "FLOAT":
            data = samples.astype(np.float32)
        elif self.encoding.subtype == "PCM_16":
            data = samples.astype(np.int16)
        else:
            data = samples.astype(np.int32) << 8
        try:
            self._file.write(data.T)
        except (soundfile.LibsndfileError, AssertionError) as error:
            raise self._refused(error) from error
        self._written += data.shape[1]

    def discard(self) -> None:
        """Close and remove a file that is of no use."""
        self._file.close()
        self.path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file.closed:
            return
        try:
            self._file.close()
        except soundfile.LibsndfileError as fault:
            if kind is None:
                raise self._refused(fault) from fault
        if kind is None:
            if self.encoding.subtype == "FLOAT":
                self._forget_time()
            self._read_back()

    def _forget_time(self) -> None:
        """Set the time in the chunk ``PEAK``, which libsndfile adds to floats, to 0: the same audio is the same bytes.

        After the chunk's name come its size, its version and the time, of four bytes each.
        """
        with open(self.path, "r+b") as file:
            place = file.read(_HEAD).find(b"PEAK")
            if place >= 0:
                file.seek(place + 12)
                file.write(bytes(4))

    def _read_back(self) -> None:
        """Decode the last sample: libsndfile says nothing when FLAC's last frame was refused while closing."""
        assert self._written == self.frames, f"{self._written} of {self.frames} samples were written"
        try:
            with soundfile.SoundFile(os.fsencode(self.path)) as file:
                file.seek(self.frames - 1)
                if file.frames != self.frames or len(file.read(2, dtype="int16")) != 1:
                    raise OSError(f"{self.path.name}: its end was not written, as on a full disk")
        except (soundfile.LibsndfileError, AssertionError) as error:
            raise self._refused(error) from error

    def _refused(self, error: BaseException) -> OSError:
        reason = libsndfile_reason(error)
        return OSError(f"{self.path.name}: a write was refused, as on a full disk (libsndfile: {reason})")


@contextmanager
def audio_files(
    paths: Sequence[Path], sample_rate: int, channels: int, frames: int, encoding: Encoding
) -> Iterator[list[AudioWriter]]:
    """Writers of files that get their names together, when all of them are whole.

    Raises
    ------
    FaultError
        A write was refused; no file is replaced.
    """
    with replacing(paths) as temporary, ExitStack() as stack:
        yield [
            stack.enter_context(AudioWriter(path, sample_rate, channels, frames, encoding))
            for path in temporary
        ]


class Levels(NamedTuple):
    """What :func:`write_sums` found: the peak of each signal in units of 16 bits, and whether all of them were written."""

    peaks: tuple[float, ...]
    fits: bool


def write_sums(
    blocks: Iterable[Sequence[NDArray[Any]]],
    sums: Sequence[Sequence[int]],
    paths: Sequence[Path],
    sample_rate: int,
    frames: int,
    encoding: Encoding,
    gain: float = 1.0,
) -> Levels:
    """Write signals that are sums of atoms, in one pass over blocks of them.

    For 16 and 24 bits each atom is rounded (half to even, no dither), and then the integers are added: files add up bit by
    bit wherever their atoms do, whether they were resampled or not. The noise of that is the noise of the stems themselves.

    At the first sample that exceeds full scale the files are removed and the rest of the song is only measured, so that the
    caller knows what to do about it.

    Parameters
    ----------
    blocks
        The atoms, (channels, samples) each, block by block, in units of 16-bit integers.
    sums
        For each file, the atoms that are added.
    gain
        Factor on every atom.
    """
    whole = encoding.subtype != "FLOAT"
    scale = encoding.full_scale / FULL_SCALE
    units = scale if whole else 1.0  # of what is added up, in units of 16 bits
    peaks = [0.0] * len(sums)
    fits = True
    with ExitStack() as stack:
        writers: list[AudioWriter] = []
        for atoms in blocks:
            if not writers:
                writers = [
                    stack.enter_context(AudioWriter(path, sample_rate, len(atoms[0]), frames, encoding))
                    for path in paths
                ]
            pieces = [_rounded(atom, gain * units) for atom in atoms] if whole else atoms
            for place, members in enumerate(sums):
                total = pieces[members[0]]
                for atom in members[1:]:
                    total = total + pieces[atom]
                low, high = float(total.min()), float(total.max())
                peaks[place] = max(peaks[place], -low / units, high / units)
                if fits and whole and (low < -encoding.full_scale or high > encoding.full_scale - 1):
                    fits = False
                    for writer in writers:
                        writer.discard()
                if fits:
                    writers[place].write(total if whole else total * scale)
    return Levels(tuple(peaks), fits)


def write_fitting(one_pass: Callable[[float], Levels], atoms: int) -> tuple[Levels, float]:
    """Write with gain 1; where that exceeds full scale, again with the gain that fits. The levels are before any gain.

    Parameters
    ----------
    one_pass
        :func:`write_sums` with this gain.
    atoms
        The most that a file adds up.
    """
    levels = one_pass(1.0)
    if levels.fits:
        return levels, 1.0
    gain = gain_to_fit(max(levels.peaks), atoms)
    again = one_pass(gain)
    assert again.fits, f"{levels.peaks} times {gain} do not fit"
    return levels, gain


def gain_to_fit(peak: float, atoms: int) -> float:
    """The gain with which sums of at most ``atoms`` rounded signals that reached ``peak`` stay below full scale.

    Rounding moves each atom by half a step of 16 bits at most, in the pass that found the peak and in the one to come.
    """
    return (LARGEST - atoms / 2) / (peak + atoms / 2)


def _rounded(atom: NDArray[Any], gain: float) -> NDArray[Any]:
    if gain == 1.0:
        return atom if atom.dtype == np.int32 else np.rint(atom)
    return np.rint(
        atom * np.float64(gain)
    )  # a product in float32 would be off by whole steps near full scale
