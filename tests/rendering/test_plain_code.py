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
    root: Path, stems: pd.DataFrame, start: float, seconds: float, rate: int, channels: int
) -> np.ndarray[Any, Any]:
    """The sum of some stems between two times, at another rate; float64 (channels, samples), full scale 1."""
    native = int(stems["sample_rate"].iloc[0])
    first, last = int(start * native), int((start + seconds) * native)
    total = np.zeros((last - first, channels))
    for path in stems["path"]:
        audio, _ = soundfile.read(root / path, start=first, stop=last, always_2d=True, fill_value=0)
        if channels == 1:
            audio = audio.mean(axis=1, keepdims=True)
        total[: len(audio)] += audio  # numpy repeats a mono stem in both channels
    if native != rate:
        total = soxr.resample(total, native, rate, quality="HQ")
    samples = round(seconds * rate)
    return np.pad(total, ((0, max(0, samples - len(total))), (0, 0)))[:samples].T


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
    form = shards.clip_seconds, shards.sample_rate, shards.channels
    loud = quiet = 0
    for clip in shards:
        for node in shards.nodes:
            stems = stems_of(catalog, clip.track, node)
            if stems.empty:
                assert clip.state(node.name) == "absent"
                continue
            expected = plain_clip(root, stems, clip.start, *form)
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
            expected = plain_clip(root, stems, clip.query_start, *form)
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


@pytest.mark.parametrize("channels", [None, 1, 2])
def test_stereo(channels: int | None, stereo: Path, tmp_path: Path) -> None:
    """Stereo and mono stems as they are, and folded; levels and SI-SDR of the plan are those of the audio."""
    tree = sh.load_hierarchy("slakh34")
    catalog = sh.scan(stereo, tree, split_scheme="folders")
    plan = sh.plan_clips(
        catalog, tree, clips={"train": 6, "test": 3}, clip_seconds=4.5, step=1.5, channels=channels
    )
    sh.render(plan, tmp_path / "shards", sample_rate=16_000, dtype="float32", jobs=1)
    compare(stereo, catalog, tmp_path / "shards")
    shards = sh.open_shards(tmp_path / "shards")
    assert shards.channels == (channels or 2)
    assert shards[0].mix.shape == (shards.channels, 72_000)
    for clip, row in zip(shards, plan.clips.itertuples(), strict=True):
        mix, target = (x - x.mean(axis=1, keepdims=True) for x in (clip.mix, clip[clip.target]))
        scaled = (mix * target).sum(dtype=float) / (target * target).sum(dtype=float) * target
        ratio = 10 * np.log10(np.sum(scaled**2.0) / np.sum((mix - scaled) ** 2.0))
        assert row.mix_si_sdr_1 == pytest.approx(ratio, abs=0.01)  # two places


@pytest.fixture(scope="module")
def stereo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """At the rate of the shards: energies of the plan are those at the native rate."""
    root = tmp_path_factory.mktemp("stereo") / "slakh"
    return make_slakh(root, seconds=12.0, sample_rate=16_000, channels=2)
