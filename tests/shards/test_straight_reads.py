"""A row is read by HDF5 once in a process, and then straight from the file: the same values, whole or in part."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from slakh_hier.errors import ShardError
from slakh_hier.shards import handles as module
from slakh_hier.shards import open_shards
from slakh_hier.shards.read import ShardSet


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> Counter[tuple[str, int]]:
    """How often each row, by file, was read by HDF5."""
    counts: Counter[tuple[str, int]] = Counter()
    real = module._read_checked

    def spy(entry: Any, row: int, out: Any, begin: int) -> None:
        counts[Path(entry.file.filename).name, row] += 1
        real(entry, row, out, begin)

    monkeypatch.setattr(module, "_read_checked", spy)
    return counts


def rows(folder: Path) -> dict[tuple[str, int], np.ndarray]:
    """Every stored row, by plain h5py."""
    found = {}
    for path in sorted(folder.glob("*.h5")):
        with h5py.File(path, "r") as file:
            found |= {(path.name, row): values for row, values in enumerate(file["audio"][:])}
    return found


def read(shards: ShardSet, begin: int = 0, count: int | None = None) -> dict[tuple[str, int], np.ndarray]:
    """All rows, through the set."""
    found = {}
    for clip in range(len(shards)):
        file = str(shards.clips["shard"].iloc[clip])
        wanted = {row for row in (*shards.row[clip].tolist(), int(shards.query_row[clip])) if row >= 0}
        for row in wanted:
            out = np.empty(
                (shards.channels, shards.samples - begin if count is None else count), shards.dtype
            )
            shards.read_stored(clip, row, out, begin)
            found[file, row] = out
    return found


@pytest.mark.parametrize("dtype", ["int16", "float32"])
@pytest.mark.parametrize("max_open", [1, 64])
def test_the_second_reading_is_straight_and_the_same(make_set, checked, dtype, max_open):
    made = make_set(dtype=dtype)
    shards, stored = open_shards(made.folder, max_open=max_open), rows(made.folder)
    first, second = read(shards), read(shards)
    for found in (first, second):
        assert found.keys() == stored.keys()
        assert all(np.array_equal(found[key], stored[key]) for key in stored)
    assert checked == dict.fromkeys(stored, 1)
    part = read(shards, 700, 650)
    assert all(np.array_equal(part[key], stored[key][:, 700:1350]) for key in stored)
    assert sum(checked.values()) == len(stored)


def test_a_part_that_is_read_first_is_checked_as_a_whole(make_set, checked):
    made = make_set()
    stored = rows(made.folder)
    shards = open_shards(made.folder)
    read(shards, 1000, 10)
    assert checked == dict.fromkeys(stored, 1)
    shards.close()
    with h5py.File(made.file(), "r", locking=False) as file:
        place = file["audio"].id.get_chunk_info_by_coord((0, 0, 0)).byte_offset
    data = bytearray(made.file().read_bytes())
    data[place + 4] ^= 1
    made.replace(0, bytes(data))
    with pytest.raises(ShardError, match="row 0 of /audio is damaged"):
        read(open_shards(made.folder), 1000, 10)


def test_a_file_that_was_replaced_is_checked_again(make_set, checked):
    made = make_set()
    shards, stored = open_shards(made.folder), rows(made.folder)
    read(shards)
    shards.close()
    read(shards)
    assert checked == dict.fromkeys(stored, 1)
    shards.close()
    copy = made.folder / "copy"
    copy.write_bytes(made.file().read_bytes())
    copy.rename(made.file())
    read(shards)
    name = made.file().name
    assert checked == {key: 2 if key[0] == name else 1 for key in stored}


def test_rows_are_read_by_hdf5_alone_where_the_system_cannot_read_into_place(make_set, checked, monkeypatch):
    made = make_set()
    monkeypatch.delattr(os, "preadv")
    shards, stored = open_shards(made.folder), rows(made.folder)
    read(shards)
    found = read(shards)
    assert all(np.array_equal(found[key], stored[key]) for key in stored)
    assert checked == dict.fromkeys(stored, 2)


def test_little_is_kept_in_memory_for_a_file_that_is_open(make_set):
    made = make_set()
    shards = open_shards(made.folder)
    read(shards)
    opened = list(shards._handles._pool.open.values())
    assert len(opened) > 1
    for entry in opened:
        _, _, kept, _ = entry.file.id.get_access_plist().get_cache()
        assert kept == 1 << 20
        _, kept, _ = entry.audio.id.get_access_plist().get_chunk_cache()
        assert kept == 1 << 20
