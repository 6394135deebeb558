"""Small data sets, and a plain implementation to compare with: read everything, np.sum, as a script would."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

from slakh_hier.hierarchy import Hierarchy, load_hierarchy, parse_hierarchy
from slakh_hier.slakh import Catalog, scan
from slakh_hier.testing import make_slakh

RATE = 8000
MakeTrack = Callable[..., Path]

MIXED = """
schema: 1
name: mixed
levels: 2
categories:
  kit: {drums: true}
  low: {programs: [32-39]}
tree:
  rhythm:
    section: [kit, low]
  melody:
    keys: {match: {programs: [0-7]}}
    guitars: {match: {programs: [24-31]}}
"""
"""A tree with categories of their own and finest nodes that hold their rule; much is unassigned."""


@pytest.fixture(scope="session")
def tree() -> Hierarchy:
    return load_hierarchy("slakh34")


@pytest.fixture(scope="session")
def mixed_tree() -> Hierarchy:
    return parse_hierarchy(MIXED, "mixed.yaml")


@pytest.fixture(scope="session")
def songs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four tracks in split folders, eight stems each, one of another length and one stem that slakh34 has no place for."""
    return make_slakh(
        tmp_path_factory.mktemp("songs") / "slakh",
        tracks=4,
        seconds=1.5,
        sample_rate=RATE,
        every_category=False,
        defects=["shorter_stem", "unassigned_program", "stereo_stem", "unrendered_stem", "silent_stem"],
    )


@pytest.fixture(scope="session")
def catalog(songs: Path, tree: Hierarchy) -> Catalog:
    return scan(songs, tree)


@pytest.fixture
def make_track(tmp_path: Path) -> MakeTrack:
    """make_track({0: samples, 128: samples}) -> root of a data set of one track, a stem a program in their order."""
    root = tmp_path / "own"

    def make(
        stems: Mapping[int, Any],
        *,
        track: str = "Track00001",
        rate: int = RATE,
        subtype: str = "PCM_16",
        **more: Any,
    ) -> Path:
        folder = root / track
        (folder / "stems").mkdir(parents=True)
        entries = {}
        for number, (program, samples) in enumerate(stems.items()):
            stem = f"S{number:02d}"
            entries[stem] = {"program_num": program, "is_drum": program == 128, "plugin_name": "None"}
            if samples is not None:
                suffix = "flac" if subtype == "PCM_16" else "wav"
                soundfile.write(folder / "stems" / f"{stem}.{suffix}", samples, rate, subtype=subtype)
        (folder / "metadata.yaml").write_text(json.dumps({"UUID": "a" * 32, "stems": entries, **more}))
        return root

    return make


def sound(path: Path) -> np.ndarray:
    """A file's 16-bit samples."""
    assert soundfile.info(path).subtype == "PCM_16"
    return soundfile.read(path, dtype="int16")[0]


def metadata(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / "metadata.yaml").read_text(encoding="utf-8"))


def plain_submixes(catalog: Catalog, track: str, *, fold: bool = False) -> dict[str, np.ndarray]:
    """Every node of a track with a stem, the mix and what is unassigned: int64, by the catalog's columns alone.

    (samples,), or (samples, 2) where a stem is stereo and nothing is folded.
    """
    rows = catalog.frame[catalog.frame["track"] == track]
    rows = rows[rows["status"].isin(["audio", "unassigned"])]
    length = rows["frames"].max()
    found: dict[str, np.ndarray] = {}
    for _, row in rows.iterrows():
        samples, _ = soundfile.read(catalog.root / row["path"], dtype="int16", always_2d=True)
        if fold or rows["channels"].max() == 1:
            samples = np.rint(samples.astype(np.float64).mean(axis=1)).astype(np.int64)
        else:
            samples = np.repeat(samples.astype(np.int64), 3 - samples.shape[1], axis=1)
        samples = np.concatenate([samples, np.zeros((length - len(samples), *samples.shape[1:]), np.int64)])
        levels = [row[name] for name in rows.columns if name.startswith("level_")]
        names = {"mix", *(levels if row["category"] else ["unassigned"])}
        for name in names:
            found[name] = found.get(name, 0) + samples
    return found


def tree_of_files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content, the lock aside."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


@pytest.fixture(scope="session")
def plain() -> SimpleNamespace:
    """The functions above, for tests (a conftest cannot be imported by name)."""
    return SimpleNamespace(
        sound=sound, metadata=metadata, submixes=plain_submixes, files=tree_of_files, rate=RATE
    )
