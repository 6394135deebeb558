"""A song's files as they are, linked or copied under the layout's names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from slakh_hier.errors import AudioError, SongError
from slakh_hier.importing.sources import ImportRecord, Song, SourceFile
from slakh_hier.output.tracks import stem_name
from slakh_hier.slakh.headers import Header
from slakh_hier.slakh.tracks import SUFFIXES


def take(
    song: Song, headers: Mapping[str, Header], folder: Path, remarks: Sequence[str]
) -> tuple[float, ImportRecord]:
    """Link or copy a song's files, which must be what the layout can hold: gain (1) and record, as of ``convert``.

    Raises
    ------
    SongError
        They are not.
    OSError
        A file cannot be copied.
    """
    if several := [stem.name for stem in song.stems if len(stem.files) > 1]:
        raise SongError(f"{', '.join(several)}: made of several files; --audio convert adds them up")
    if odd := [file.name for file in song.files if not file.path.lower().endswith(SUFFIXES)]:
        raise SongError(f"{', '.join(odd)}: the layout holds FLAC and WAV; --audio convert makes them")
    if len({header.sample_rate for header in headers.values()}) > 1:
        rates = ", ".join(f"{name} {header.sample_rate} Hz" for name, header in headers.items())
        raise SongError(f"its files have several sample rates ({rates}); --audio convert resamples them")
    remarks = list(remarks)
    link = song.settings.audio == "link"
    copied = sum(_take(file, folder / "stems" / stem_name(i), link=link) for i, file in enumerate(song.files))
    if song.mix is not None:
        try:
            song.mix.header(song.name)
            copied += _take(song.mix, folder / "mix", link=link)
        except AudioError as error:
            remarks.append(f"its mixture {song.mix.name} is left out: {error.reason}")
    seconds = max(header.frames / header.sample_rate for header in headers.values())
    return 1.0, ImportRecord(seconds, len(song.stems), remarks=tuple(remarks), copied=copied if link else 0)


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
