"""A song's stems as 16-bit mono files of one rate and length that add up to the mix, with one gain for all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from math import log10
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from slakh_hier.importing.signals import Samples, read_together
from slakh_hier.submix.encode import AudioFormat, AudioWriter, Encoding

_HIGHEST, _LOWEST = 32767, -32768


@dataclass(frozen=True)
class Converted:
    """What was written.

    Attributes
    ----------
    gain
        Factor on every stem, 1 unless a stem or the mix would have gone over full scale.
    silent
        Names of files that hold zeros only.
    mix_difference
        Level of (given mixture - sum of the stems), in dB relative to the mixture; None without a mixture.
    """

    gain: float
    silent: tuple[str, ...]
    mix_difference: float | None


def convert(
    song: str,
    stems: Sequence[tuple[str, Path, Path]],
    mix: Path,
    *,
    given_mix: tuple[str, Path] | None,
    audio_format: AudioFormat,
    rate: int,
    frames: int,
) -> Converted:
    """Write every stem, and their sum as ``mix``, each as 16-bit samples.

    The mix is the sum of the written integers, so stems add up to it exactly. Samples are rounded half to even,
    without dither. Files are read once; a second time where a gain below 1 turns out to be needed.

    Parameters
    ----------
    stems
        Name for errors, file to read and file to write.
    given_mix
        Name and file of the song's own mixture, which is compared with the sum.
    rate, frames
        Of all files written: Hz, samples.

    Raises
    ------
    AudioError
        A file cannot be read.
    OSError
        A file cannot be written.
    """
    encoding = Encoding(audio_format)
    sources = [(name, path) for name, path, _ in stems]
    targets = [*(target for *_, target in stems), mix]
    meter = _Meter(len(stems))
    both = [*sources, given_mix] if given_mix else sources
    _write(read_together(song, both, rate, frames), targets, encoding, rate, 1.0, meter)
    gain = meter.gain()
    if gain < 1:
        again = _Meter(len(stems))
        _write(read_together(song, sources, rate, frames), targets, encoding, rate, gain, again)
    silent = tuple(name for (name, _), peak in zip(sources, meter.peaks, strict=True) if peak == 0)
    return Converted(gain, silent, meter.mix_difference() if given_mix else None)


class _Meter:
    """Peaks of the stems and of their sum, and the energy of what a given mixture differs by."""

    def __init__(self, stems: int):
        self.peaks = np.zeros(stems)
        self.mix_peak = 0.0
        self.fits = True
        self.mixture_energy = self.difference_energy = 0.0

    def add(self, stems: Sequence[Samples], given_mix: Samples | None) -> None:
        total = np.zeros(len(stems[0]))
        for i, samples in enumerate(stems):
            self.peaks[i] = max(self.peaks[i], float(samples.max()), -float(samples.min()))
            total += samples
        self.mix_peak = max(self.mix_peak, float(total.max()), -float(total.min()))
        if given_mix is not None:
            # Not by a product of vectors: BLAS would start threads for it.
            self.mixture_energy += float(np.square(given_mix, dtype=np.float64).sum())
            self.difference_energy += float(np.square(given_mix - total).sum())

    def gain(self) -> float:
        if self.fits:
            return 1.0
        # Each rounded stem may be half a step off, so the mix half a step for every stem.
        margin = (len(self.peaks) + 1) / 2
        excess = max(float(self.peaks.max()) / (_HIGHEST - 0.5), self.mix_peak / (_HIGHEST - margin))
        return 1 / excess

    def mix_difference(self) -> float:
        if self.difference_energy == 0:
            return -np.inf
        if self.mixture_energy == 0:
            return np.inf
        return 10 * log10(self.difference_energy / self.mixture_energy)


def _write(
    blocks: Iterator[list[Samples]],
    targets: Sequence[Path],
    encoding: Encoding,
    rate: int,
    gain: float,
    meter: _Meter,
) -> None:
    """Write the stems and their sum, which is the last of ``targets``."""
    with ExitStack() as stack:
        *files, mix_file = (stack.enter_context(AudioWriter(path, rate, encoding)) for path in targets)
        for signals in blocks:
            stems, given_mix = signals[: len(files)], signals[len(files) :]
            meter.add(stems, given_mix[0] if given_mix else None)
            total = np.zeros(len(stems[0]), np.int64)
            for samples, file in zip(stems, files, strict=True):
                # In float64: a product in float32 would be off by whole steps near full scale.
                values = np.rint(samples * np.float64(gain)).astype(np.int64)
                total += values
                meter.fits &= _append(file, values)
            meter.fits &= _append(mix_file, total)


def _append(file: AudioWriter, values: NDArray[np.int64]) -> bool:
    """Write integers; False when some had to be clipped, and the file is of no use."""
    fits = bool(values.max() <= _HIGHEST and values.min() >= _LOWEST)
    file.write(values if fits else values.clip(_LOWEST, _HIGHEST))
    return fits
