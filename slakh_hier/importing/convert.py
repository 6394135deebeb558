"""A song's stems as files of 16 or 24 bits, of one rate, length and number of channels that add up to the mix, with one gain for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from itertools import accumulate
from math import inf, log10
from pathlib import Path

import numpy as np

from slakh_hier.audio import StemFile
from slakh_hier.errors import AudioError, InputError, SongError
from slakh_hier.files import require_free
from slakh_hier.importing.sources import ImportRecord, Settings, Song, SourceFile
from slakh_hier.output.audio import AudioFormat, Encoding, Levels, check_audio, write_fitting, write_sums
from slakh_hier.output.tracks import stem_name
from slakh_hier.signals import Block, length_at, read_atoms
from slakh_hier.slakh.headers import Header
from slakh_hier.wording import some

MIX_DIFFERENCE_DB = -30.0
"""A mixture that differs more from the sum of its stems is reported; rounding and lossy coding differ by less."""


def convert(
    song: Song, settings: Settings, headers: Mapping[str, Header], folder: Path, remarks: Sequence[str]
) -> tuple[float, ImportRecord]:
    """Write every stem, and their sum as ``mix``: the gain on all stems, and the track's record.

    Samples have 24 bits where a file of the song has more than 16, else 16. Each stem gets its own gain first. The mix is the
    sum of the written integers, so stems add up to it exactly. Files are read once; a second time where a stem or the mix
    would exceed full scale: then all of them get one gain below 1.

    Parameters
    ----------
    headers
        Of the stems' files, by name.
    remarks
        What is known of the song already.

    Raises
    ------
    AudioError
        A file cannot be read.
    SongError
        The format cannot hold the song.
    OSError
        A file cannot be written.
    """
    remarks = list(remarks)
    given = song.mix
    if given is not None:
        try:
            headers = {**headers, given.name: given.header(song.name)}
        except AudioError as error:
            remarks.append(f"its mixture {given.name} is not compared: {error.reason}")
            given = None
    common = common_rate(song, headers)
    rate = settings.sample_rate or common
    channels = settings.channels or max(_channels(headers[file.name]) for file in song.files)
    frames = max(length_at(header.frames, header.sample_rate, rate) for header in headers.values())
    suffix = settings.audio_format
    try:
        check_audio(suffix, rate)
    except InputError as error:
        raise SongError(str(error)) from error
    encoding = _encoding(song, suffix)
    require_free(folder, encoding.bytes * channels * frames * (len(song.stems) + 1), song.name)
    gains = [stem.gain for stem in song.stems for _ in stem.files]
    comparison = _Comparison()
    paths = [folder / "stems" / f"{stem_name(i)}.{suffix}" for i in range(len(song.stems))]

    def one_pass(gain: float) -> Levels:
        compared = [given] if given is not None and gain == 1.0 else []
        with ExitStack() as stack:
            files = [stack.enter_context(_open(song, file)) for file in (*song.files, *compared)]
            groups = [(index,) for index in range(len(files))]
            blocks = _with_gains(read_atoms(files, groups, rate, frames, channels), gains)
            return write_sums(
                comparison.of(blocks) if compared else blocks,
                _sums(song),
                [*paths, folder / f"mix.{suffix}"],
                rate,
                frames,
                encoding,
                gain,
            )

    levels, gain = write_fitting(one_pass, len(song.files))
    silent = [stem.name for stem, peak in zip(song.stems, levels.peaks, strict=False) if peak == 0]
    if other := [file.name for file in song.files if headers[file.name].sample_rate != common]:
        remarks.append(resampled(other, headers, rate))
    if gain < 1:
        remarks.append(f"exceeded full scale: all its stems are multiplied by {gain:.4f}")
    if silent:
        remarks.append(f"silent: {', '.join(silent)}")
    if given is not None and comparison.decibels > MIX_DIFFERENCE_DB:
        remarks.append(
            f"its mixture {given.name} is not the sum of its stems (the difference is {comparison.decibels:.1f} dB "
            f"relative to it): a stem is missing, or the mixture was processed. mix.{suffix} is the sum"
        )
    folded = sum(
        any(headers[file.name].channels not in (1, channels) for file in stem.files) for stem in song.stems
    )
    record = ImportRecord(frames / rate, len(song.stems), len(silent), remarks=tuple(remarks), folded=folded)
    return gain, record


def resampled(names: Sequence[str], headers: Mapping[str, Header], rate: int) -> str:
    """What is said of files that had another sample rate than their track."""
    named = some([f"{name} ({headers[name].sample_rate} Hz)" for name in names], most=3)
    return f"converted to {rate} Hz, its track's rate: {named}"


def common_rate(song: Song, headers: Mapping[str, Header]) -> int:
    """The sample rate of most files; of equally common ones the highest, which loses nothing."""
    rates = Counter(headers[file.name].sample_rate for file in song.files)
    return max(rates, key=lambda rate: (rates[rate], rate))


def _channels(header: Header) -> int:
    """As they are taken: 1 or 2; what has more is folded down to one."""
    return header.channels if header.channels <= 2 else 1


def _with_gains(blocks: Iterator[list[Block]], gains: Sequence[float]) -> Iterator[list[Block]]:
    """The blocks with the gain of each file; a given mixture, which comes last, has none."""
    if all(gain == 1 for gain in gains):
        yield from blocks
        return
    for signals in blocks:
        scaled = [block * gain if gain != 1 else block for block, gain in zip(signals, gains, strict=False)]
        yield [*scaled, *signals[len(gains) :]]


class _Comparison:
    """Energy of a given mixture, and of what it differs by from the sum of the stems."""

    def __init__(self) -> None:
        self._mixture = self._difference = 0.0

    def of(self, blocks: Iterator[list[Block]]) -> Iterator[list[Block]]:
        """The blocks without the mixture, which is their last signal."""
        for *stems, mixture in blocks:
            total = np.sum(stems, axis=0, dtype=np.float64)
            # Not by a product of vectors: BLAS would start threads for it.
            self._mixture += float(np.square(mixture, dtype=np.float64).sum())
            self._difference += float(np.square(mixture - total).sum())
            yield stems

    @property
    def decibels(self) -> float:
        """Level of the difference relative to the mixture."""
        if self._difference == 0:
            return -inf
        return 10 * log10(self._difference / self._mixture) if self._mixture else inf


def _sums(song: Song) -> list[tuple[int, ...]]:
    """The files that are added up in each stem, and in the mix, by their indices in ``song.files``."""
    ends = list(accumulate(len(stem.files) for stem in song.stems))
    stems = [tuple(range(end - len(stem.files), end)) for stem, end in zip(song.stems, ends, strict=True)]
    return [*stems, tuple(range(ends[-1]))]


def _encoding(song: Song, audio_format: AudioFormat) -> Encoding:
    """One for the whole song, so that its files add up bit by bit."""
    with ExitStack() as stack:
        deep = any(stack.enter_context(_open(song, file)).deep for file in song.files)
    return Encoding(audio_format, "PCM_24" if deep else "PCM_16")


def _open(song: Song, file: SourceFile) -> StemFile:
    return StemFile(Path(file.path), track=song.name, stem=file.name)
