"""Songs of a MUSDB-like folder, whose every sample follows from a formula."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

from slakh_hier.files import file_sha256
from slakh_hier.importing import ImportReport, import_data_set

RATE = 8000
STEMS = ("vocals", "drums", "bass", "other")
MAP = """\
schema: 1
instruments:
  vocals: {files: [vocals]}
  drums: {files: [drums], drums: true}
  bass: {files: [bass], program: 33}
  other: {files: [other]}
mix: [mixture]
"""


def formula(song: int, stem: str, frames: int, channels: int = 2, level: float = 3000.0) -> np.ndarray:
    """Whole numbers (frames, channels) in units of 16-bit integers: two tones that come and go."""
    n = np.arange(frames)[:, None]
    pitch = 0.02 * (STEMS.index(stem) + 2) + 0.003 * song + 0.0007 * np.arange(channels)
    swell = 0.6 + 0.4 * np.sin(n * 0.0009 + song)
    return np.rint(level * swell * (np.sin(pitch * n) + 0.4 * np.sin(2.7 * pitch * n)))


@pytest.fixture
def make_song() -> Callable[..., dict[str, np.ndarray]]:
    """make_song(folder, number, ...) writes a song, and returns the whole numbers of each file."""

    def make(
        folder: Path,
        number: int = 0,
        *,
        seconds: float = 1.0,
        channels: int = 2,
        level: float = 3000.0,
        subtype: str = "PCM_16",
        suffix: str = "wav",
        mixture: bool = True,
    ) -> dict[str, np.ndarray]:
        folder.mkdir(parents=True)
        signals = {name: formula(number, name, round(seconds * RATE), channels, level) for name in STEMS}
        if mixture:
            signals["mixture"] = sum(signals.values(), np.zeros(()))
        for name, values in signals.items():
            soundfile.write(folder / f"{name}.{suffix}", values / 32768, RATE, subtype=subtype)
        return signals

    return make


@pytest.fixture
def songs(tmp_path: Path, make_song: Callable[..., dict[str, np.ndarray]]) -> Path:
    """Six songs of a second, and map.yaml beside them."""
    for number in range(6):
        make_song(tmp_path / "songs" / f"Artist {number} - Song", number)
    (tmp_path / "map.yaml").write_text(MAP)
    return tmp_path / "songs"


@pytest.fixture
def run() -> Callable[..., ImportReport]:
    """run(songs, out, ...) imports into a folder beside the songs, in one process."""
    return _run


@pytest.fixture
def contents() -> Callable[[Path], dict[str, str]]:
    """Digest of every file below a folder, but its lock, by path."""
    return _contents


@pytest.fixture
def tracks() -> Callable[[Path], dict[str, Path]]:
    """Track folders by the song's name."""
    return _tracks


def _run(songs: Path, out: str = "slakh", **options: Any) -> ImportReport:
    return import_data_set(
        songs, songs.parent / out, **{"map_file": songs.parent / "map.yaml", "jobs": 1, **options}
    )


def _contents(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(folder)): file_sha256(path) for path in files}


def _tracks(folder: Path) -> dict[str, Path]:
    found = sorted(folder.glob("*/Track*/metadata.yaml"))
    return {yaml.safe_load(path.read_text())["import"]["song"]: path.parent for path in found}
