"""A song's files as they are, linked or copied under the layout's names; those of another rate than most are converted."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from slakh_hier.audio import FULL_SCALE, StemFile
from slakh_hier.errors import AudioError, SongError
from slakh_hier.files import require_free
from slakh_hier.importing.convert import common_rate, resampled
from slakh_hier.importing.sources import ImportRecord, Settings, Song, SourceFile
from slakh_hier.output.audio import AudioWriter, Encoding
from slakh_hier.output.tracks import stem_name
from slakh_hier.signals import length_at, read_atoms
from slakh_hier.slakh.headers import Header
from slakh_hier.slakh.tracks import SUFFIXES


def take(
    song: Song, settings: Settings, headers: Mapping[str, Header], folder: Path, remarks: Sequence[str]
) -> tuple[float, ImportRecord]:
    """Link or copy a song's files, which must be what the layout can hold: gain (1) and record, as of ``convert``.

    A track has one sample rate, that of most of its files. The others become WAV files of that rate, with float samples: nothing
    is rounded, and nothing can exceed full scale.

    Raises
    ------
    AudioError
        A file that must be converted cannot be decoded.
    SongError
        They are not.
    OSError
        A file cannot be written.
    """
    if several := [stem.name for stem in song.stems if len(stem.files) > 1]:
        raise SongError(f"{', '.join(several)}: made of several files; --audio convert adds them up")
    if odd := [file.name for file in song.files if not file.path.lower().endswith(SUFFIXES)]:
        raise SongError(f"{', '.join(odd)}: the layout holds FLAC and WAV; --audio convert makes them")
    remarks = list(remarks)
    link = settings.audio == "link"
    rate = common_rate(song, headers)
    copied = 0
    for index, file in enumerate(song.files):
        target = folder / "stems" / stem_name(index)
        if headers[file.name].sample_rate == rate:
            copied += _take(file, target, link=link)
        else:
            _convert(song, file, target.with_suffix(".wav"), rate)
    if other := [file.name for file in song.files if headers[file.name].sample_rate != rate]:
        remarks.append(resampled(other, headers, rate))
    if song.mix is not None:
        try:
            song.mix.header(song.name)
            copied += _take(song.mix, folder / "mix", link=link)
        except AudioError as error:
            remarks.append(f"its mixture {song.mix.name} is left out: {error.reason}")
    seconds = max(header.frames / header.sample_rate for header in headers.values())
    return 1.0, ImportRecord(seconds, len(song.stems), remarks=tuple(remarks), copied=copied if link else 0)


def _convert(song: Song, file: SourceFile, target: Path, rate: int) -> None:
    with StemFile(Path(file.path), track=song.name, stem=file.name) as stem:
        channels = min(stem.channels, 2)
        frames = length_at(stem.frames, stem.sample_rate, rate)
        require_free(target.parent, 4 * channels * frames, song.name)
        with AudioWriter(target, rate, channels, frames, Encoding("wav", "FLOAT")) as writer:
            for (block,) in read_atoms([stem], [(0,)], rate, frames, channels):
                writer.write(block / FULL_SCALE)


def _take(file: SourceFile, target: Path, *, link: bool) -> bool:
    """Link or copy a file under a new name with its own suffix; True when it was copied."""
    # link(2) would link a symbolic link itself, which scan does not follow
    real = os.path.realpath(file.path)
    target = target.with_suffix(os.path.splitext(file.path)[1].lower())
    if link:
        try:
            os.link(real, target)
            return False
        except OSError:  # another file system, or one without links: if copying fails too, that is reported
            pass
    shutil.copy2(real, target)
    return True
