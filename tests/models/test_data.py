"""Selection, examples and batches against the shard set itself and small second implementations."""

from __future__ import annotations

import gc
import pickle
import threading
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DataLoader

from slakh_hier.errors import InputError
from slakh_hier.models.batches import Batches, InOrder
from slakh_hier.models.data import ClipDataset, Key
from slakh_hier.models.queries import QueryPool
from slakh_hier.models.reader import Reader
from slakh_hier.models.selection import Selection, level_names, select_clips
from slakh_hier.models.stored import Batch, change_gains, signals_of
from slakh_hier.shards.read import open_shards


def dataset(folder: Path, task: str = "sss", split: str = "train", **more: object) -> ClipDataset:
    shards = open_shards(folder, split)
    chosen = {k: more.pop(k) for k in ("node", "levels", "mask") if k in more}
    return ClipDataset(shards, select_clips(shards, task, **chosen), **more)  # type: ignore[arg-type]


def test_sss_takes_the_clips_in_which_the_leaf_sounds(guitar_shards: Path, any_shards: Path) -> None:
    data = dataset(guitar_shards)
    assert data.selection.clips.tolist() == list(range(8))  # the ninth clip has no clean guitar
    assert data.selection.levels == (1, 2, 3)
    assert level_names(data.shards, data.selection) == ("clean", "guitars", "strings")
    # Clips drawn for other targets count too, where the leaf sounds.
    assert len(dataset(any_shards, node="clean")) == 9
    assert len(dataset(any_shards, node="dirty")) == 10


def test_an_example_is_the_clip(guitar_shards: Path) -> None:
    data = dataset(guitar_shards)
    item, clip = data[3], data.shards[3]
    assert item["mix"].dtype == item["sources"].dtype == torch.float32
    assert item["available"].tolist() == [True, True, True]
    assert (item["clip"], item["id"]) == (3, "Track00000@1.5s/clean")
    np.testing.assert_array_equal(item["mix"], clip.mix)
    for level, name in enumerate(("clean", "guitars", "strings")):
        np.testing.assert_array_equal(item["sources"][level], clip[name])
    assert "query" not in item


def test_qbe_follows_each_clips_own_path(any_shards: Path) -> None:
    data = dataset(any_shards, "qbe")
    for place, target in enumerate(("clean", "dirty", "drums_1")):
        item, clip = data[place], data.shards[place]
        path = {"clean": "guitars", "dirty": "guitars", "drums_1": "drums_2"}[target]
        np.testing.assert_array_equal(item["sources"][0], clip[target])
        np.testing.assert_array_equal(item["sources"][1], clip[path])
        np.testing.assert_array_equal(item["query"], clip.query)
    assert level_names(data.shards, data.selection) == ("level_1", "level_2", "level_3")


def test_one_level_keeps_the_leafs_clips(guitar_shards: Path) -> None:
    data = dataset(guitar_shards, levels=(2,))
    assert len(data) == 8
    np.testing.assert_array_equal(data[0]["sources"][0], data.shards[0]["guitars"])


def test_masks_withhold_levels_or_examples(guitar_shards: Path) -> None:
    leaf = dataset(guitar_shards, mask="leaf-50")
    assert len(leaf) == 8
    withheld = leaf[0]
    assert withheld["available"].tolist() == [False, True, True]
    assert not withheld["sources"][0].any()  # what is withheld does not even reach the network
    assert withheld["sources"][1].any()
    assert leaf[7]["available"].all()
    everything = dataset(guitar_shards, mask="all-50")
    assert everything.selection.clips.tolist() == [4, 5, 6, 7]
    # A model of the leaf alone has nothing to learn from clips whose leaf is withheld.
    assert dataset(guitar_shards, mask="leaf-50", levels=(1,)).selection.clips.tolist() == [4, 5, 6, 7]


@pytest.mark.parametrize(
    ("task", "chosen", "message"),
    [
        ("sss", {"node": "cleam"}, "did you mean clean"),
        ("sss", {"node": "mix"}, "mixture itself"),
        ("sss", {"levels": (1, 5)}, "levels 1, 2, 3, not 5"),
        ("sss", {"mask": "leaf-90"}, "no mask 'leaf-90'"),
    ],
)
def test_what_does_not_fit_is_named(
    guitar_shards: Path, task: str, chosen: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        dataset(guitar_shards, task, **chosen)


def test_several_targets_need_a_node(any_shards: Path) -> None:
    with pytest.raises(InputError, match=r"--set node=clean .*clean, dirty, drums_1"):
        dataset(any_shards)


def test_empty_splits_are_errors(shard_writer: Callable[..., Path], tmp_path: Path) -> None:
    splits = {"train": [("clean", {})], "validation": [("clean", {"clean": "gone"})], "test": []}
    folder = shard_writer(tmp_path / "s", splits, queries=False)
    with pytest.raises(InputError, match="validation: clean sounds in none of its 1 clips"):
        dataset(folder, split="validation")
    with pytest.raises(InputError, match="has no clips"):
        dataset(folder, split="test")
    with pytest.raises(InputError, match="holds no queries"):
        dataset(folder, "qbe")
    without = open_shards(shard_writer(tmp_path / "none", {}, queries=False))
    with pytest.raises(InputError, match="has no clips"):
        select_clips(without, "sss")


VARIED = {"seed": 5, "fresh_queries": True, "gain_db": 6.0, "crop_seconds": 0.3}


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_processes_of_a_dataloader_change_nothing(any_shards: Path, context: str) -> None:
    """The same items for any number of workers, in each epoch others."""
    data = dataset(any_shards, "qbe", **VARIED)
    assert len(pickle.dumps(data)) > 0

    def epochs(workers: int) -> list[dict[str, object]]:
        batches = Batches(len(data), 4, seed=5)
        loader = DataLoader(
            data,
            batch_sampler=batches,  # type: ignore[arg-type]
            num_workers=workers,
            persistent_workers=workers > 0,
            multiprocessing_context=context if workers else None,
        )
        found = []
        for epoch in range(2):
            batches.epoch = epoch
            found += list(loader)
        return found

    alone, shared = epochs(0), epochs(2)
    assert len(alone) == len(shared) == 4
    for one, other in zip(alone, shared, strict=True):
        assert one["id"] == other["id"]
        for key in ("mix", "sources", "available", "query", "clip"):
            assert torch.equal(one[key], other[key]), key  # type: ignore[arg-type]
    assert alone[0]["mix"].shape == (4, 1, 1200)  # type: ignore[attr-defined]
    assert not torch.equal(data[Key(0, 1)]["mix"], data[Key(1, 1)]["mix"])


@pytest.mark.parametrize("task", ["sss", "qbe"])
@pytest.mark.parametrize("mask", [None, "leaf-50"])
def test_a_batch_is_its_examples(any_shards: Path, task: str, mask: str | None) -> None:
    """What the reader's thread reads, and what a GPU would unpack, against the examples one by one."""
    node = {"node": "clean"} if task == "sss" else {}
    data = dataset(any_shards, task, mask=mask, **node, **VARIED | {"fresh_queries": task == "qbe"})
    batches = Batches(len(data), 4, seed=5)
    batches.epoch = 3
    expected = [[data[key] for key in keys] for keys in batches]
    reader, stored = Reader(data.batch, batches), Reader(data.stored, batches)
    assert len(expected) == len(reader) == len(stored)
    unpacked = [signals_of(batch) for batch in stored]
    for batch, items in [*zip(reader, expected, strict=True), *zip(unpacked, expected, strict=True)]:
        assert batch["signals"].dtype == torch.float32
        assert batch["id"] == [item["id"] for item in items]
        for key in ("available", *(("query",) if task == "qbe" else ())):
            assert torch.equal(batch[key], torch.stack([item[key] for item in items])), key
        assert torch.equal(batch["signals"][:, 0], torch.stack([item["mix"] for item in items]))
        assert torch.equal(batch["signals"][:, 1:], torch.stack([item["sources"] for item in items]))


def test_a_row_that_nodes_share_is_read_once(guitar_shards: Path) -> None:
    data = dataset(guitar_shards)
    rows = data.shards.row[0, [0, *data.selection.columns[0]]]
    stored = data.stored([Key(0, 0)])
    assert len(stored["rows"]) == len({row for row in rows.tolist() if row >= 0}) + 1
    assert not stored["rows"][-1].any()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_rows_are_sent_as_they_are_stored(
    dtype: str, channels: int, shard_writer: Callable[..., Path], tmp_path: Path
) -> None:
    parts = {"train": [("clean", {"dirty": "off"}), ("clean", {"clean": "off"}), ("clean", {})]}
    folder = shard_writer(tmp_path / "s", parts, queries=False, dtype=dtype, channels=channels)
    shards = open_shards(folder, "train")
    every = np.arange(3)
    paths = np.array([[shards.node(name) for name in ("clean", "guitars")]] * 3)
    data = ClipDataset(shards, Selection((1, 2), every, paths, np.ones((3, 2), bool)))
    stored = data.stored([Key(0, place) for place in range(3)])
    assert stored["rows"].dtype == getattr(torch, dtype)
    batch = signals_of(stored)
    assert batch["signals"].shape == (3, 3, channels, shards.samples)
    for clip in range(3):
        for signal, name in enumerate(("mix", "clean", "guitars")):
            np.testing.assert_array_equal(batch["signals"][clip, signal], shards[clip][name])
    assert not batch["signals"][1, 1].any()


class Slow(ClipDataset):
    """Counts what was read, and when."""

    def batch(self, keys: Sequence[Key]) -> Batch:
        log.append(("read", keys[0].place, threading.current_thread().name))
        if keys[0].place == 6:
            raise InputError("broken")
        return super().batch(keys)


log: list[tuple[str, int, str]] = []


def test_the_reader_is_two_batches_ahead_and_hands_over_errors(guitar_shards: Path) -> None:
    shards = open_shards(guitar_shards, "train")
    data = Slow(shards, select_clips(shards, "sss"))
    log.clear()
    batches = iter(Reader(data.batch, InOrder(len(data), 1)))
    next(batches)
    while len(log) < 3:
        time.sleep(0.001)
    time.sleep(0.05)
    assert [place for _, place, _ in log] == [0, 1, 2]
    assert {name for *_, name in log} == {"reader_0"}
    assert [batch["clip"].item() for batch in islice(batches, 5)] == [1, 2, 3, 4, 5]
    with pytest.raises(InputError, match="broken"):
        next(batches)
    assert not any(thread.name.startswith("reader") for thread in threading.enumerate())


def test_a_reader_that_is_left_ends_its_thread(guitar_shards: Path) -> None:
    data = dataset(guitar_shards)
    for _ in Reader(data.batch, InOrder(len(data), 1)):
        break
    gc.collect()
    assert not any(thread.name.startswith("reader") for thread in threading.enumerate())


def test_fresh_queries_are_of_another_song_and_the_same_node(any_shards: Path) -> None:
    data = dataset(any_shards, "qbe", fresh_queries=True, seed=1)
    songs = data.shards.clips["song"].tolist()
    seen = set()
    for epoch in range(20):
        query = data[Key(epoch, 0)]["query"].numpy()
        matches = [i for i in range(len(data.shards)) if np.array_equal(data.shards.audio(i, "clean"), query)]
        assert len(matches) == 1
        assert songs[matches[0]] != songs[0]
        seen.add(matches[0])
    assert len(seen) > 3


def test_fresh_queries_use_available_leaves(any_shards: Path) -> None:
    data = dataset(any_shards, "qbe", mask="leaf-50")
    drawn = ClipDataset(data.shards, data.selection, fresh_queries=True, mask="leaf-50")
    available = data.shards.mask("leaf-50")[:, data.shards.node("clean")]
    for epoch in range(20):
        query = drawn[Key(epoch, 0)]["query"].numpy()
        found = [i for i in range(len(data.shards)) if np.array_equal(data.shards.audio(i, "clean"), query)]
        assert available[found].all()


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.data())
def test_the_query_pool_draws_every_clip_of_other_songs(songs: list[int], data: st.DataObject) -> None:
    clip = data.draw(st.integers(0, len(songs) - 1))
    pool = QueryPool(np.arange(len(songs)), np.array(songs))
    rng = np.random.default_rng(0)
    drawn = {pool.draw(clip, rng) for _ in range(400)}
    others = {i for i, song in enumerate(songs) if song != songs[clip]}
    assert drawn == (others or {None})


def test_gains_keep_the_levels_nested() -> None:
    rng = np.random.default_rng(0)
    parts = torch.from_numpy(rng.standard_normal((2, 4, 2, 50)).astype(np.float32))
    signals = torch.cat((parts.sum(1, keepdim=True), parts[:, :3].cumsum(1)), 1)
    gains = torch.tensor([[2, 0.5, 3, 0.25], [1, 1, 1, 0.5]])
    change_gains(signals, torch.ones(2, 3, dtype=torch.bool), gains)
    scaled = parts * gains[..., None, None]
    torch.testing.assert_close(signals[:, 1:], scaled[:, :3].cumsum(1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(signals[:, 0], scaled.sum(1), rtol=1e-4, atol=1e-5)


def test_gains_do_not_use_withheld_audio() -> None:
    """The leaf is withheld in the first clip only: there the second level is one part."""
    rng = np.random.default_rng(0)
    signals = torch.from_numpy(rng.standard_normal((2, 3, 2, 50)).astype(np.float32))
    signals[0, 1] = 0
    before = signals.clone()
    available = torch.tensor([[False, True], [True, True]])
    change_gains(signals, available, torch.tensor([[7, 0.5, 0.25], [2, 0.5, 0.25]]))
    mix, leaf, upper = before.unbind(1)
    expected = torch.stack((0.5 * upper[0], 2 * leaf[1] + 0.5 * (upper[1] - leaf[1])))
    torch.testing.assert_close(signals[:, 2], expected)
    torch.testing.assert_close(signals[:, 0], expected + 0.25 * (mix - upper))
    torch.testing.assert_close(signals[:, 1], torch.stack((leaf[0], 2 * leaf[1])))
    assert not signals[0, 1].any()


def test_a_crop_is_an_excerpt_of_everything_but_the_query(any_shards: Path) -> None:
    data = dataset(any_shards, "qbe", crop_seconds=0.25, seed=3)
    item, clip = data[Key(2, 0)], data.shards[0]
    assert item["mix"].shape == (1, 1000)
    assert item["query"].shape == (1, 2000)
    begins = [b for b in range(1001) if np.array_equal(clip.mix[:, b : b + 1000], item["mix"])]
    assert len(begins) == 1
    np.testing.assert_array_equal(item["sources"][0], clip["clean"][:, begins[0] : begins[0] + 1000])
    assert dataset(any_shards, crop_seconds=0.6, node="clean")[0]["mix"].shape == (1, 2000)


@settings(max_examples=60)
@given(
    clips=st.integers(1, 60),
    batch=st.integers(1, 16),
    steps=st.none() | st.integers(1, 9),
    parts=st.integers(1, 3),
    world=st.integers(1, 3),
)
def test_a_step_sees_the_same_clips_however_it_is_shared_out(
    clips: int, batch: int, steps: int | None, parts: int, world: int
) -> None:
    size = batch * parts * world
    if steps is None and clips < parts * world:
        with pytest.raises(InputError, match="too few"):
            Batches(clips, size, seed=1, steps=steps, parts=parts, world=world)
        return

    def keys(**more: int) -> list[list[Key]]:
        batches = Batches(clips, size, seed=1, steps=steps, **more)
        batches.epoch = 3
        found = list(batches)
        assert len(found) == len(batches)
        return found

    devices = [keys(parts=parts, rank=rank, world=world) for rank in range(world)]
    steps_done = len(devices[0]) // parts
    for step in range(steps_done):
        shared = [k for d in devices for part in d[step * parts : (step + 1) * parts] for k in part]
        assert all(len(part) >= 1 for d in devices for part in d)
        if size <= clips or steps is not None:
            assert sorted(shared) == sorted(keys()[step])
    if steps is None:
        everything = [k.place for d in devices for part in d for k in part]
        assert len(everything) == len(set(everything))


def test_rounds_within_an_epoch_are_drawn_differently() -> None:
    """8 clips, 3 steps of 4: twelve examples, of which no two may be the same draw of the same clip."""
    batches = Batches(8, 4, seed=1, steps=3)
    seen = []
    for epoch in range(3):
        batches.epoch = epoch
        seen += [key for batch in batches for key in batch]
    assert len(set(seen)) == len(seen) == 36


def test_batches_resume_where_they_stopped() -> None:
    whole = Batches(50, 4, seed=9, steps=30, parts=2)
    whole.epoch = 2
    expected = list(whole)
    rest = Batches(50, 4, seed=9, steps=30, parts=2)
    rest.epoch, rest.start = 2, 7
    assert list(rest) == expected[7:]
    assert len(list(rest)) == 60  # the next epoch is whole again
    rest.epoch = 3
    assert [k.place for k in next(iter(rest))] != [k.place for k in expected[0]]


@given(st.integers(1, 40), st.integers(1, 9), st.integers(1, 4))
def test_validation_sees_each_clip_once(clips: int, batch: int, world: int) -> None:
    if clips < world:
        with pytest.raises(InputError, match="too few"):
            InOrder(clips, batch, world=world)
        return
    devices = [InOrder(clips, batch, rank=rank, world=world) for rank in range(world)]
    assert sorted(k.place for d in devices for b in d for k in b) == list(range(clips))
    assert all(len(list(d)) == len(d) for d in devices)
