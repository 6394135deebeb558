"""Every item equals its formula, from any process, thread or pickle."""

from __future__ import annotations

import functools
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil
import pytest

import slakh_hier
from slakh_hier.shards import open_shards
from slakh_hier.shards.handles import Handles
from slakh_hier.shards.index import read_index
from slakh_hier.shards.mask import Mask, availability, withheld
from slakh_hier.shards.tables import clip_table


def open_shard_files(folder):
    """Shards of a folder that this process has open now, as the system counts them."""
    return sum(Path(file.path).parent == folder.resolve() for file in psutil.Process().open_files())


def check_clip(shards, formula, clip, number):
    """Compare all signals of a clip with the formulas; returns the largest error in steps of int16."""
    worst = 0.0
    for column, about in enumerate(shards.nodes):
        expected = formula.node(number, about.name)
        audio = shards.audio(clip, column)
        assert audio.dtype == np.float32
        assert audio.shape == (shards.channels, shards.samples)
        if expected is None or not expected.any():
            assert not audio.any()
        else:
            scale = max(1.0, float(np.abs(expected).max()))
            worst = max(worst, float(np.abs(audio - expected).max()) * 32768 / scale)
    query = formula.query(number)
    found = shards.query(clip)
    assert (query is None) == (found is None)
    if query is not None:
        worst = max(worst, float(np.abs(found - query).max()) * 32768)
    return worst


@pytest.mark.parametrize(("dtype", "steps"), [("int16", 0.51), ("float32", 0.0)])
@pytest.mark.parametrize("split", [None, "train", "validation", "test"])
def test_every_item_is_its_formula(make_set, formula, dtype, steps, split):
    made = make_set(dtype=dtype)
    numbers = {None: range(8), "train": range(6), "validation": (6, 7), "test": ()}[split]
    shards = open_shards(made.folder, split)
    assert len(shards) == len(shards.clips) == len(list(shards)) == len(numbers)
    for clip in np.random.default_rng(0).permutation(len(numbers)):  # numpy integers too
        assert check_clip(shards, formula, clip, numbers[clip]) <= steps


def test_clip(shared_set, formula):
    shards = slakh_hier.open_shards(shared_set.folder, split="train")
    clip = shards[1]
    assert (clip.track, clip.song, clip.split) == ("Track00001", f"{1:032x}", "train")
    assert (clip.target, clip.start) == ("high_strings", 2.5)
    assert (clip.query_track, clip.query_start) == ("Träck00002", 5.0)
    assert (shards[2].query, shards[2].query_track, shards[2].query_start) == (None, None, None)
    assert np.array_equal(clip.mix, shards.audio(1, "mix"))
    assert np.array_equal(clip["strings"], shards.audio(1, shards.node("strings")))
    assert np.array_equal(clip.query, shards.query(1))
    assert repr(clip) == "<Clip 1: train, Track00001 at 2.5 s, target high_strings>"
    assert np.array_equal(shards[-1].mix, shards[5].mix)
    expected = 10 * np.log10(np.mean(formula.node(1, "strings").astype(float) ** 2))
    assert clip.rms("strings") == pytest.approx(expected, abs=1e-4)


def test_states(shared_set, formula):
    shards = open_shards(shared_set.folder)
    seen = set()
    for clip, number in zip(shards, shared_set.clips, strict=True):
        for column in shards.nodes:
            signal = formula.node(number, column.name)
            state = "absent" if signal is None else "sounding" if signal.any() else "silent"
            assert clip.state(column.name) == state
            assert np.isnan(clip.rms(column.name)) == (state == "absent")
            assert (clip.rms(column.name) == -np.inf) == (state == "silent")
            seen.add(state)
    assert seen == {"absent", "silent", "sounding"}


def test_equal_signals_share_a_row(shared_set):
    shards = open_shards(shared_set.folder)
    winds, flutes = shards.node("winds"), shards.node("flutes")
    assert np.array_equal(shards.row[:, winds], shards.row[:, flutes])


def test_masks_by_split(shared_set):
    whole = open_shards(shared_set.folder)
    train, test = open_shards(shared_set.folder, "train"), open_shards(shared_set.folder, "test")
    assert whole.masks == ("leaf-50", "all-50")
    mask = Mask("leaf", 50)
    expected = availability(mask, withheld(mask, whole.clips), whole.nodes)
    assert np.array_equal(whole.mask("leaf-50"), expected)
    assert np.array_equal(train.mask("leaf-50"), expected[:6])
    assert test.mask("leaf-50").shape == (0, 7)
    hit = int(np.argmin(expected[:, -1]))
    assert whole[hit].available("leaf-50") == {
        "mix": True, "strings": True, "winds": True,
        "high_strings": False, "low_strings": False, "flutes": False, "unassigned": False,
    }  # fmt: skip
    assert all(whole[hit].available().values())


def test_empty_set(make_set):
    made = make_set(splits={"train": [], "test": []}, masks=["leaf:50"])
    shards = open_shards(made.folder)
    assert len(shards) == 0
    assert list(shards) == []
    assert shards.row.shape == shards.rms.shape == shards.mask("leaf-50").shape == (0, 7)
    assert list(shards.clips) == [
        "split", "track", "song", "target", "start", "query_track", "query_start", "shard",
    ]  # fmt: skip


def test_shard_without_clips(make_set, formula):
    made = make_set(splits={"train": [[], [0]]})
    shards = open_shards(made.folder)
    assert len(shards) == 1
    assert check_clip(shards, formula, 0, 0) < 0.51


def test_clip_table_of_the_whole_folder(shared_set):
    table = clip_table(shared_set.folder, read_index(shared_set.folder))
    assert table.equals(open_shards(shared_set.folder).clips)
    assert table["split"].tolist() == ["train"] * 6 + ["validation"] * 2
    assert table["shard"].tolist()[3:5] == ["train-00000.h5", "train-00001.h5"]


def test_open_files_are_bounded(make_set, formula):
    made = make_set(splits={"train": [[number] for number in range(9)]})
    shards = open_shards(made.folder, max_open=3)
    assert open_shard_files(made.folder) == 0  # opened when first read
    for number in [*range(9), *range(9)[::-1], *range(9)]:
        assert check_clip(shards, formula, number, number) < 0.51
        assert 1 <= open_shard_files(made.folder) <= 3
    shards.close()
    assert open_shard_files(made.folder) == 0
    assert check_clip(shards, formula, 4, 4) < 0.51


def test_pickle_carries_no_handles(make_set, formula):
    made = make_set()
    shards = open_shards(made.folder)
    before = pickle.dumps(shards)
    shards.mask("leaf-50"), shards[0].mix
    held = open_shard_files(made.folder)
    copy = pickle.loads(pickle.dumps(shards))
    assert open_shard_files(made.folder) == held > 0  # none by being unpickled
    assert check_clip(copy, formula, 4, 4) < 0.51  # of another shard than clip 0
    assert open_shard_files(made.folder) > held
    shutil.copytree(made.folder, made.folder.parent / "moved")
    assert len(pickle.loads(before)) == 8


def test_threads(make_set, formula):
    made = make_set(splits={"train": [[number] for number in range(8)]})
    shards = open_shards(made.folder, max_open=2)  # every thread closes files of the others
    start = threading.Barrier(8)

    def work(seed):
        start.wait()
        return max(check_clip(shards, formula, i, i) for i in np.random.default_rng(seed).permutation(8))

    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(work, range(8))) < 0.51


def in_fresh_process(test):
    """Run a test that forks in an interpreter of its own: threads that other tests left behind can deadlock a fork."""

    @functools.wraps(test)
    def run(*arguments, **named):
        if "SLAKH_HIER_FRESH" in os.environ:
            test(*arguments, **named)
            return
        node = os.environ["PYTEST_CURRENT_TEST"].rpartition(" ")[0]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", node],
            cwd=Path(__file__).parents[2],
            env={**environment, "SLAKH_HIER_FRESH": "1"},
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == 0, done.stdout

    return run


def read_some(shards, numbers, results):
    results.put([(number, shards[number].mix.tobytes()) for number in numbers])


@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
@in_fresh_process
def test_worker_processes(make_set, method):
    made = make_set(splits={"train": [[0, 1, 2], [3, 4, 5], [6, 7, 8]]})
    shards = open_shards(made.folder, max_open=2)
    expected = {number: shards[number].mix.tobytes() for number in range(9)}  # handles are open here
    order = np.random.default_rng(1).permutation(np.tile(np.arange(9), 12)).tolist()
    # A bound method carries the whole set along, as a data loader does.
    with multiprocessing.get_context(method).Pool(4) as pool:
        got = pool.starmap(shards.audio, [(number, 0) for number in order], chunksize=18)
    assert [audio.tobytes() for audio in got] == [expected[number] for number in order]
    assert shards[2].mix.tobytes() == expected[2]  # the parent's handles still work


@in_fresh_process
def test_fork_while_a_thread_reads(make_set):
    shards = open_shards(make_set().folder, max_open=1)
    expected = [clip.mix.tobytes() for clip in shards]
    stop = threading.Event()

    def read():
        while not stop.is_set():
            for number in range(8):
                assert shards[number].mix.tobytes() == expected[number]

    thread = threading.Thread(target=read)
    thread.start()
    try:
        context = multiprocessing.get_context("fork")
        for _ in range(10):
            results = context.Queue()
            child = context.Process(target=read_some, args=(shards, range(8), results), daemon=True)
            child.start()
            got = results.get(timeout=60)
            child.join(30)
            assert child.exitcode == 0
            assert [audio for _, audio in got] == expected
    finally:
        stop.set()
        thread.join()


def test_one_read_a_signal(make_set, monkeypatch):
    shards = open_shards(make_set().folder)
    reads = []
    original = Handles.read
    monkeypatch.setattr(Handles, "read", lambda self, *what: reads.append(what[:2]) or original(self, *what))
    shards[0]["strings"], shards[0].state("strings"), shards[0].available("leaf-50")
    assert reads == [(0, shards.row[0, shards.node("strings")])]
    silent = next(i for i in range(8) if shards[i].state("flutes") != "sounding")
    shards[silent]["flutes"]
    assert len(reads) == 1


def test_files_are_opened_by_path_without_locks(make_set):
    import fcntl

    made = make_set()
    with open(made.file(), "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert open_shards(made.folder)[0].mix.any()


def test_plain_h5py_has_the_file_open(make_set, formula):
    import h5py

    made = make_set()
    with h5py.File(made.file(), "r") as file:
        shards = open_shards(made.folder)
        assert check_clip(shards, formula, 0, 0) < 0.51
        assert np.array_equal(shards.row[:4], file["row"][...])


def test_two_sets_over_the_same_files(make_set, formula):
    made = make_set(splits={"train": [[number] for number in range(6)]})
    one, two = open_shards(made.folder, max_open=1), open_shards(made.folder, max_open=2)
    for number in np.random.default_rng(0).integers(0, 6, 60).tolist():
        assert check_clip(one, formula, number, number) < 0.51
        assert check_clip(two, formula, number, number) < 0.51
        if number == 3:
            one.close()  # closes nothing of the other set's
