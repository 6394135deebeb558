"""Mixtures of several songs: every part from a clip that has it, sums that stay sums."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from slakh_hier.models.data import ClipDataset, Key
from slakh_hier.models.remix import NOTHING, Remix
from slakh_hier.models.selection import select_clips
from slakh_hier.shards.read import open_shards


def dataset(folder: Path, task: str, remix: float, mask: str | None = None, **more: object) -> ClipDataset:
    shards = open_shards(folder, "train")
    selection = select_clips(shards, task, mask=mask)  # type: ignore[arg-type]
    return ClipDataset(shards, selection, seed=3, remix=remix, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("task", ["sss", "qbe"])
def test_parts_are_those_of_clips_with_the_same_target(
    task: str, guitar_shards: Path, any_shards: Path
) -> None:
    folder = guitar_shards if task == "sss" else any_shards
    data, plain = dataset(folder, task, 1.0), dataset(folder, task, 0.0)
    leaves = data.selection.columns[:, 0]
    parts = []  # of each clip: what each level adds, and the rest
    for item in (plain[place] for place in range(len(plain))):
        signals = np.stack([np.zeros_like(item["mix"]), *item["sources"], item["mix"]])
        parts.append(np.diff(signals, axis=0))
    moved = 0
    for place in range(len(data)):
        item = data[Key(5, place)]
        own = np.diff(np.stack([np.zeros_like(item["mix"]), *item["sources"], item["mix"]]), axis=0)
        np.testing.assert_allclose(own[0], parts[place][0], atol=1e-6)  # the leaf stays with its query
        for part in (1, 2, 3):
            fitting = [
                donor
                for donor in np.flatnonzero(leaves == leaves[place])
                if np.allclose(own[part], parts[donor][part], atol=1e-5)
            ]
            assert fitting
            moved += place not in fitting
        if task == "qbe":
            np.testing.assert_array_equal(item["query"], plain[place]["query"])
    assert moved > len(data) / 2
    again = dataset(folder, task, 1.0)
    np.testing.assert_array_equal(again[Key(5, 1)]["mix"], data[Key(5, 1)]["mix"])
    assert any(
        not np.array_equal(data[Key(6, place)]["mix"], data[Key(5, place)]["mix"]) for place in range(8)
    )


def test_without_luck_nothing_changes(guitar_shards: Path) -> None:
    plain, data = dataset(guitar_shards, "sss", 0.0), dataset(guitar_shards, "sss", 1e-9)
    for place in range(len(data)):
        np.testing.assert_allclose(data[place]["mix"], plain[place]["mix"], atol=1e-6)
        np.testing.assert_allclose(data[place]["sources"], plain[place]["sources"], atol=1e-6)


def test_masks_are_respected(guitar_shards: Path) -> None:
    data = dataset(guitar_shards, "sss", 1.0, "leaf-50")
    available = data.selection.available
    assert 0 < available[:, 0].sum() < len(available)
    assert data._remix is not None
    for place in range(len(data)):
        for seed in range(20):
            parts = data._remix.draw(place, np.random.default_rng(seed))
            for part in parts:
                for signal in (part.signal, part.less):
                    assert signal in (NOTHING, 0) or available[part.place, signal - 1]
            if not available[place, 0]:
                assert parts[0].signal == parts[0].less == NOTHING
                assert (parts[1].place, parts[1].signal, parts[1].less) == (place, 2, NOTHING)
        item = data[Key(1, place)]
        if not available[place, 0]:
            assert not item["sources"][0].any()
        assert item["sources"][1].any()


def test_a_pool_has_all_clips_alike(any_shards: Path) -> None:
    selection = select_clips(open_shards(any_shards, "train"), "qbe")
    remix = Remix(selection, 1.0)
    place = int(np.argmax(selection.columns[:, 0] == selection.columns[0, 0]))
    drawn = {remix.draw(place, np.random.default_rng(seed))[-1].place for seed in range(200)}
    assert drawn == set(np.flatnonzero(selection.columns[:, 0] == selection.columns[0, 0]).tolist())


def test_gains_and_excerpts_come_after(guitar_shards: Path) -> None:
    data = dataset(guitar_shards, "sss", 1.0, gain_db=6.0, crop_seconds=0.25)
    item = data[Key(2, 0)]
    assert item["mix"].shape == (1, 1000)
    assert item["mix"].isfinite().all()
