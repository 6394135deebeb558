"""The shards against thirty plain lines that know nothing of the engine: read stems, sum, resample, cut."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import soxr

import slakh_hier as sh
from slakh_hier.testing import make_slakh

CLIPS = {"train": 8, "validation": 4, "test": 4}


def plain_clip(
    root: Path, stems: pd.DataFrame, start: float, seconds: float, rate: int
) -> np.ndarray[Any, Any]:
    """The sum of some stems between two times, at another rate; float64, full scale 1."""
    total = np.zeros(0)
    for stem in stems.itertuples():
        native = int(stem.sample_rate)
        first, last = int(start * native), int((start + seconds) * native)
        audio, _ = soundfile.read(root / str(stem.path), start=first, stop=last, always_2d=True, fill_value=0)
        part = audio.mean(axis=1)
        total = total + part if len(total) else part
        if native != rate and stem.Index == stems.index[-1]:
            total = soxr.resample(total, native, rate, quality="HQ")
    samples = round(seconds * rate)
    return np.pad(total, (0, max(0, samples - len(total))))[:samples]


def stems_of(catalog: sh.Catalog, track: str, node: sh.hierarchy.Column) -> pd.DataFrame:
    """Catalog rows of a rendered node in a track."""
    rows = catalog.frame[
        catalog.frame["track"].eq(track) & catalog.frame["status"].isin(["audio", "unassigned"])
    ]
    if node.name == "mix":
        return rows
    if node.name == "unassigned":
        return rows[rows["status"] == "unassigned"]
    return rows[rows["category" if node.level == 0 else f"level_{node.level}"] == node.name]


def compare(root: Path, catalog: sh.Catalog, folder: Path) -> None:
    shards = sh.open_shards(folder)
    loud = quiet = 0
    for clip in shards:
        for node in shards.nodes:
            stems = stems_of(catalog, clip.track, node)
            if stems.empty:
                assert clip.state(node.name) == "absent"
                continue
            expected = plain_clip(root, stems, clip.start, shards.clip_seconds, shards.sample_rate)
            found = clip[node.name]
            error = found - expected
            rms = 20 * np.log10(max(np.sqrt(np.mean(expected**2)), 1e-12))
            if rms > -40:
                assert 10 * np.log10(np.sum(expected**2) / max(np.sum(error**2), 1e-30)) > 60, (
                    clip.track,
                    clip.start,
                    node,
                )
                loud += 1
            else:
                assert np.abs(error).max() <= 1 / 32768, (clip.track, clip.start, node)
                quiet += 1
            if clip.state(node.name) == "sounding":
                assert clip.rms(node.name) == pytest.approx(rms, abs=0.02)
            else:
                assert clip.state(node.name) == "silent"
                assert not expected.any()
        if clip.query is not None:
            target = next(node for node in shards.nodes if node.name == clip.target)
            stems = stems_of(catalog, clip.query_track, target)
            expected = plain_clip(root, stems, clip.query_start, shards.clip_seconds, shards.sample_rate)
            assert 10 * np.log10(np.sum(expected**2) / max(np.sum((clip.query - expected) ** 2), 1e-30)) > 60
    assert loud > 20
    assert quiet + loud > len(shards.clips) * 2


@pytest.mark.parametrize("target", ["clean_guitars", None])
def test_music(target: str | None, music: Path, tmp_path: Path) -> None:
    tree = sh.load_hierarchy("slakh34")
    catalog = sh.scan(music, tree, split_scheme="folders")
    plan = sh.plan_clips(catalog, tree, target=target, clips=CLIPS)
    sh.render(plan, tmp_path / "shards", levels=[0, 1, 2, 3] if target is None else None)
    compare(music, catalog, tmp_path / "shards")


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda path: make_slakh(path, seconds=12.0, sample_rate=22_050), id="22050 Hz, FLAC"),
        pytest.param(
            lambda path: make_slakh(path, seconds=12.0, sample_rate=11_025, audio_format="wav"), id="11025 Hz"
        ),
        pytest.param(lambda path: make_slakh(path, seconds=12.0, sample_rate=16_000), id="not resampled"),
    ],
)
def test_generated_data(make: Callable[[Path], Path], tmp_path: Path) -> None:
    root = make(tmp_path / "slakh")
    tree = sh.load_hierarchy("slakh34")
    catalog = sh.scan(root, tree, split_scheme="folders")
    plan = sh.plan_clips(catalog, tree, clips={"train": 6, "test": 3}, clip_seconds=4.5, step=1.5)
    sh.render(plan, tmp_path / "shards", jobs=1)
    compare(root, catalog, tmp_path / "shards")
