"""Shards against a second, short implementation: read the stems whole, sum them, cut, resample."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import soundfile
import soxr
import yaml

from slakh_hier import Plan, plan_clips, render
from slakh_hier.audio import StemRef
from slakh_hier.shards.verify import verify
from slakh_hier.slakh import Catalog

Stem = dict[str, str]


def stems_by_track(out: Path) -> dict[str, list[Stem]]:
    """Stems that are in the mixture, from the set's catalog.csv."""
    tracks: dict[str, list[Stem]] = {}
    with open(out / "catalog.csv", newline="") as file:
        for row in csv.DictReader(file):
            if row["status"] in ("audio", "unassigned"):
                tracks.setdefault(row["track"], []).append(row)
    return tracks


def categories_by_node(out: Path) -> dict[str, set[str]]:
    """Which categories a node sums up, from the set's hierarchy.yaml."""
    document = yaml.safe_load((out / "hierarchy.yaml").read_text())
    moved: dict[str, set[str]] = {}
    for move in document["patch_overrides"].values():
        moved.setdefault(move["node"], set()).add(move["category"])
    found: dict[str, set[str]] = {name: {name} for name in document["categories"]}
    found |= {name: {name} for names in moved.values() for name in names}

    def walk(name: str, below: Any) -> set[str]:
        parts = (
            [walk(child, deeper) for child, deeper in below.items()]
            if isinstance(below, dict)
            else [{*below}]
        )
        found[name] = set().union(*parts, moved.get(name, set()))
        return found[name]

    found["mix"] = set().union({""}, *(walk(name, below) for name, below in document["tree"].items()))
    found["unassigned"] = {""}
    return found


@lru_cache(maxsize=64)
def whole_stem(path: Path) -> tuple[np.ndarray, int]:
    """float64, (frames, 2): a mono stem sounds in both channels."""
    samples, rate = soundfile.read(path, always_2d=True)
    return np.broadcast_to(samples, (len(samples), 2)), rate


def reference(
    root: Path, stems: list[Stem], start: float, seconds: float, rate: int, channels: int
) -> tuple[np.ndarray | None, bool]:
    """The sum of stems, float64 (channels, samples) at ``rate``; None where there are none. And whether any decoded sample is not zero."""
    if not stems:
        return None, False
    native = int(stems[0]["sample_rate"])
    first, last = int(start * native), int((start + seconds) * native)
    total, sounds = np.zeros((last - first, channels)), False
    for stem in stems:
        samples, found = whole_stem(root / stem["path"])
        assert found == native
        piece = samples[first:last]
        if channels == 1:
            piece = piece.mean(axis=1, keepdims=True)
        total[: len(piece)] += piece
        sounds |= bool(piece.any())
    signal = total if rate == native else soxr.resample(total, native, rate, quality="HQ")
    wanted = round(seconds * rate)
    return np.pad(signal, ((0, max(0, wanted - len(signal))), (0, 0)))[:wanted].T, sounds


def shards_of(out: Path) -> Iterator[dict[str, Any]]:
    """The content of every shard, read with h5py alone."""
    for path in sorted(out.glob("*.h5")):
        with h5py.File(path) as file:
            audio = file["audio"][...].astype(np.float64)
            if file["audio"].dtype == np.int16:
                audio *= file["scale"][...][:, None, None] / 32768
            yield {
                "audio": audio,
                "step": np.float64(file["scale"][...]) / 32768,
                "int16": file["audio"].dtype == np.int16,
                **{name: file[name][...] for name in ("row", "rms", "query_row", "node/parent")},
                **{
                    name: file[name].asstr()[...] if file[name].dtype.kind == "S" else file[name][...]
                    for name in (
                        "clip/track",
                        "clip/target",
                        "clip/start",
                        "clip/query_track",
                        "clip/query_start",
                    )
                },
                "nodes": file["node/name"].asstr()[...].tolist(),
                "rate": int(file.attrs["sample_rate"]),
                "seconds": float(file.attrs["clip_seconds"]),
                "channels": int(file.attrs["channels"]),
            }


def check_signal(shard: dict[str, Any], row: int, expected: np.ndarray) -> None:
    got = shard["audio"][row]
    noise = got - expected
    level = 10 * np.log10(np.mean(expected**2) + 1e-30)
    if level > -40 or not shard["int16"]:
        snr = level - 10 * np.log10(np.mean(noise**2) + 1e-30)
        assert snr > (60 if shard["int16"] else 100)
    else:
        assert np.abs(noise).max() <= shard["step"][row]


def check(root: Path, out: Path) -> dict[str, int]:
    """Compare every signal of a set; the number of nodes in each state."""
    tracks, categories = stems_by_track(out), categories_by_node(out)
    states = {"sounding": 0, "silent": 0, "absent": 0, "queries": 0, "below -40 dBFS": 0}
    for shard in shards_of(out):
        form = shard["seconds"], shard["rate"], shard["channels"]
        for clip, (track, start) in enumerate(zip(shard["clip/track"], shard["clip/start"], strict=True)):
            for column, node in enumerate(shard["nodes"]):
                stems = [stem for stem in tracks[track] if stem["category"] in categories[node]]
                expected, sounds = reference(root, stems, start, *form)
                row, rms = shard["row"][clip, column], shard["rms"][clip, column]
                if expected is None:
                    assert row == -1
                    assert np.isnan(rms)
                    states["absent"] += 1
                elif not sounds or (row == -2 and shard["int16"]):
                    assert np.abs(expected).max() <= 0.5 / 32768
                    assert row == -2
                    assert rms == -np.inf
                    states["silent"] += 1
                else:
                    assert row >= 0
                    check_signal(shard, row, expected)
                    level = 10 * np.log10(np.mean(expected**2))
                    assert rms == pytest.approx(level, abs=0.01)
                    states["sounding"] += 1
                    states["below -40 dBFS"] += level < -40
            check_parents(shard, clip)
            if shard["clip/query_track"][clip]:
                stems = [
                    stem
                    for stem in tracks[shard["clip/query_track"][clip]]
                    if stem["category"] in categories[shard["clip/target"][clip]]
                ]
                expected, _ = reference(root, stems, shard["clip/query_start"][clip], *form)
                assert expected is not None
                assert 10 * np.log10(np.mean(expected**2)) > -30.5
                check_signal(shard, shard["query_row"][clip], expected)
                states["queries"] += 1
            else:
                assert shard["query_row"][clip] == -1
    return states


def check_parents(shard: dict[str, Any], clip: int) -> None:
    """Where all children of a node are rendered, it is their sum, within what rounding each of them costs."""
    parents = shard["node/parent"]
    for column in range(len(parents)):
        children = [c for c in range(len(parents)) if parents[c] == column]
        complete = len(shard["nodes"]) > 10  # not on a single path
        if not children or not complete or shard["row"][clip, column] < 0:
            continue
        rows = [shard["row"][clip, child] for child in children if shard["row"][clip, child] >= 0]
        total = np.sum([shard["audio"][row] for row in rows], axis=0)
        own = shard["row"][clip, column]
        bound = (shard["step"][own] + sum(shard["step"][row] for row in rows)) / 2 + 1e-6
        assert np.abs(total - shard["audio"][own]).max() <= bound


def test_the_small_set_is_what_its_stems_add_up_to(small_slakh: Path, small_set: Path) -> None:
    states = check(small_slakh, small_set)
    assert states["queries"] == 20
    assert min(states["sounding"], states["silent"], states["absent"]) > 3
    assert verify(small_set, full=True, jobs=1) == []


@pytest.mark.parametrize(
    "options",
    [
        {"levels": [0, 1, 2, 3]},
        {"levels": [2, 0], "sample_rate": 11025},
        {"levels": [1], "sample_rate": 16000, "dtype": "float32"},
        {"levels": [3], "sample_rate": 44100},
    ],
    ids=["with categories", "native rate", "float32, upwards", "coarse"],
)
def test_other_levels_rates_and_types(
    small_plan: Plan, small_slakh: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    render(small_plan, tmp_path, jobs=1, **options)
    check(small_slakh, tmp_path)
    assert verify(tmp_path, full=True, jobs=1) == []


@pytest.mark.parametrize(
    ("target", "levels", "below"),
    [
        ("clean_guitars", None, 0),
        ("clean_guitars", [0, 1, 2, 3], 2),
        ("guitars", None, 0),
        ("guitars", [1, 2, 3], 2),
        ("guitars", [0, 1, 2, 3], 5),
    ],
)
def test_one_path(
    small_catalog: Catalog,
    small_slakh: Path,
    small_activity: Path,
    tmp_path: Path,
    target: str,
    levels: list[int] | None,
    below: int,
) -> None:
    """The target and its ancestors, and on levels below it that are asked for, what lies below it."""
    plan = plan_clips(
        small_catalog,
        small_catalog.hierarchy,
        target=target,
        clips={"train": 4, "test": 2},
        clip_seconds=2,
        step=0.5,
        activity=small_activity,
        jobs=1,
    )
    render(plan, tmp_path, sample_rate=8000, levels=levels, masks=["leaf-50", "all-50"], jobs=1)
    states = check(small_slakh, tmp_path)
    (first, *_) = shards_of(tmp_path)
    path = ["mix", *reversed(small_catalog.hierarchy.path(target))]
    assert first["nodes"][: len(path)] == path
    assert len(first["nodes"]) == len(path) + below
    assert states["queries"] == 0
    assert verify(tmp_path, full=True, jobs=1) == []


def test_targets_of_several_levels(
    small_catalog: Catalog, small_slakh: Path, small_activity: Path, tmp_path: Path
) -> None:
    """Every node of the tree in every clip; queries are of the target's node, whatever its level."""
    tree = small_catalog.hierarchy
    drawing: dict[str, Any] = {"clip_seconds": 2, "step": 0.5, "activity": small_activity, "jobs": 1}
    plan = plan_clips(small_catalog, tree, query_levels=[1, 2, 3], clips={"train": 12, "test": 6}, **drawing)
    render(plan, tmp_path / "any", sample_rate=8000, masks=["leaf-50"], jobs=1)
    assert check(small_slakh, tmp_path / "any")["queries"] == 18
    assert {tree.nodes[target].level for target in plan.clips["target"]} == {1, 2, 3}
    assert verify(tmp_path / "any", full=True, jobs=1) == []
    # Levels above some targets: queries are there all the same.
    render(plan, tmp_path / "coarse", sample_rate=8000, levels=[3], jobs=1)
    assert check(small_slakh, tmp_path / "coarse")["queries"] == 18


@pytest.mark.parametrize(
    ("target", "levels"), [(None, [0, 1, 2, 3]), ("clean_guitars", None)], ids=["any", "one path"]
)
def test_music(
    music_catalog: Catalog,
    music_activity: Path,
    music: Path,
    tmp_path: Path,
    target: str | None,
    levels: list[int] | None,
) -> None:
    plan = plan_clips(
        music_catalog,
        music_catalog.hierarchy,
        target=target,
        clips={"train": 4, "validation": 2, "test": 2},
        activity=music_activity,
    )
    render(plan, tmp_path, levels=levels, jobs=1)
    states = check(music, tmp_path)
    assert states["sounding"] > 20
    assert states["queries"] == (0 if target else 8)
    assert verify(tmp_path, full=True, jobs=1) == []


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_silent_is_what_would_be_stored_as_zeros(small_slakh: Path, tmp_path: Path, dtype: str) -> None:
    """A stereo stem whose channels cancel each other when they are averaged, and one that rounds to zero."""
    import shutil

    import slakh_hier as sh

    root = tmp_path / "slakh"
    shutil.copytree(small_slakh, root)
    tree = sh.load_hierarchy("slakh34")
    first = sh.scan(root, tree, jobs=1).usable
    changed = {}
    for track, stems in first.groupby("track"):
        alone = stems[~stems["category"].duplicated(keep=False)]
        for row, kind in zip(alone.itertuples(), ("cancels", "rounds"), strict=False):
            noise = np.random.default_rng(3).uniform(-0.5, 0.5, row.frames)
            samples = np.stack([noise, -noise], 1) if kind == "cancels" else noise * 1e-5
            soundfile.write(root / row.path, samples, row.sample_rate, subtype="PCM_24")
            changed[str(track), str(row.category)] = kind
    catalog = sh.scan(root, tree, jobs=1)
    plan = sh.plan_clips(
        catalog, tree, clips={"train": 8, "validation": 4, "test": 4}, clip_seconds=2, step=0.5, queries=False,
        channels=1, activity=tmp_path / "activity.h5", jobs=1,
    )  # fmt: skip
    out = tmp_path / "shards"
    sh.render(plan, out, levels=[0, 1, 2, 3], dtype=dtype, sample_rate=11025, jobs=1)  # type: ignore[arg-type]
    seen = set()
    for clip in sh.open_shards(out):
        for node in clip.shards.nodes:
            kind = changed.get((clip.track, node.name))
            if kind is not None:
                silent = kind == "cancels" or dtype == "int16"
                assert clip.state(node.name) == ("silent" if silent else "sounding"), (clip, node)
                assert clip.rms(node.name) == -np.inf if silent else -130 < clip.rms(node.name) < -100
                assert clip[node.name].any() != silent
                seen.add(kind)
    assert seen == {"cancels", "rounds"}
    assert verify(out, full=True, jobs=1) == []


def test_stems_that_cancel_each_other_are_read_all_the_same(tmp_path: Path) -> None:
    """They sound; whether their sum does is seen when it is stored."""
    from slakh_hier.signals import TrackReader

    noise = np.random.default_rng(2).integers(-5000, 5000, 8000, dtype=np.int16)
    rows = [StemRef("Track00001", "S00", name, 8000, 8000, 1) for name in ("a.wav", "b.wav")]
    for name, samples in (("a.wav", noise), ("b.wav", -noise)):
        soundfile.write(tmp_path / name, samples, 8000, subtype="PCM_16")
    with TrackReader(rows, np.array([[True, True], [True, False]]), tmp_path, 1) as reader:
        nodes = reader.clip(0, 8000, 8000, 8000)
    assert nodes.place == [0, 1]
    assert not nodes.signals[0].any()
    np.testing.assert_allclose(nodes.signals[1][0] * 32768, noise, atol=1e-3)
