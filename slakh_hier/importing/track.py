"""One song becomes one track in Slakh's layout, or nothing at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from slakh_hier.errors import AudioError, SongError
from slakh_hier.importing.convert import convert
from slakh_hier.importing.sources import ImportRecord, Settings, Song, SourceStem
from slakh_hier.importing.take import take
from slakh_hier.output import METADATA
from slakh_hier.output.folder import Target
from slakh_hier.output.items import Made, make_track
from slakh_hier.output.tracks import stem_name
from slakh_hier.slakh.headers import Header

PADDING_SECONDS = 0.5
"""Files of one song that differ by more are reported; exporters differ by less."""


def import_track(
    target: Target, place: str, digest: str, song: Song, settings: Settings
) -> Made[ImportRecord]:
    """Make one track below the output folder.

    Raises
    ------
    SongError
        The song cannot be used; nothing is left behind.
    FaultError
        The disk is full.
    """

    def fill(folder: Path) -> ImportRecord:
        (folder / "stems").mkdir()
        headers = {file.name: file.header(song.name) for file in song.files}
        make = convert if settings.audio == "convert" else take
        gain, record = make(song, settings, headers, folder, [*song.remarks, *_padding(headers)])
        (folder / METADATA).write_text(_metadata(song, gain, record.remarks), encoding="utf-8")
        return record

    try:
        # A link's content is the user's: to read it would take the time that linking saves.
        return make_track(target, place, digest, ImportRecord, fill, hashed=settings.audio != "link")
    except AudioError as error:
        raise SongError(f"{error.stem}: {error.reason}") from error


def _padding(headers: Mapping[str, Header]) -> list[str]:
    seconds = {name: header.frames / header.sample_rate for name, header in headers.items()}
    longest = max(seconds.values())
    short = {name: longest - length for name, length in seconds.items() if longest - length > PADDING_SECONDS}
    if not short:
        return []
    named = ", ".join(f"{name} by {missing:.1f} s" for name, missing in short.items())
    return [f"shorter than the song, silence follows: {named}"]


def _metadata(song: Song, gain: float, remarks: Sequence[str]) -> str:
    """metadata.yaml with the keys of Slakh2100's; what is not known of an imported song is null."""
    missing = [{"file": file, "why": why} for file, why in song.missing]
    content = {
        "UUID": song.uuid,
        "audio_dir": "stems",
        "artist": song.artist,
        "genre": song.genre,
        "import": {"song": song.name, "id": song.id, "remarks": list(remarks), "missing": missing},
        "lmd_midi_dir": None,
        "midi_dir": None,
        "normalization_factor": None,
        "normalized": False,
        "overall_gain": gain,
        "stems": {stem_name(i): _stem(stem) for i, stem in enumerate(song.stems)},
        "target_peak": None,
        "title": song.title,
    }
    return yaml.safe_dump(content, sort_keys=True, allow_unicode=True, width=1000)


def _stem(stem: SourceStem) -> dict[str, Any]:
    return {
        **stem.instrument,
        "audio_rendered": True,
        "faults": list(stem.faults),
        "has_bleed": stem.has_bleed,
        "integrated_loudness": None,
        "labels": list(stem.labels),
        "midi_saved": False,
        "mixing_gain": stem.gain,
        "source": stem.name,
    }
