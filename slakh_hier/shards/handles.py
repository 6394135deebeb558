"""Open files of one process: a bounded number, safe between threads, never shared across a fork or a pickle.

HDF5 reads a row when it is first read in a process, and compares its checksum. From then on it is read straight from its place in
the file, in a quarter of the time: a row is one chunk, which nothing but the checksum is added to.
"""

from __future__ import annotations

import math
import os
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from h5py import h5s
from numpy.typing import NDArray

from slakh_hier.shards.format import AUDIO, FLETCHER32_BYTES
from slakh_hier.shards.opening import (
    ExpectedFile,
    RefusedError,
    check_file,
    damage,
    first_line,
    open_again,
    open_checked,
)


class Handles:
    """Reads rows of /audio from the shards of a set.

    Files are opened when first read and closed when ``max_open`` others were read since. A process that was
    forked, or that got this object by pickle, opens its own.

    Parameters
    ----------
    expected
        What every shard must be, in the order of their numbers.
    max_open
        Files that are open at a time. One takes about 2 MB, half of them for rows.
    """

    def __init__(self, expected: list[ExpectedFile], max_open: int):
        self._expected, self._max_open = expected, max_open
        # What the file looked like when its structure was checked: such a file need not be checked again.
        self._checked: dict[int, tuple[int, ...]] = {}
        self._rows: dict[int, _Rows] = {}
        self._pool = _Pool()

    def read(self, shard: int, row: int, out: NDArray[Any], begin: int = 0) -> None:
        """Read a row as it is stored, from sample ``begin`` on, into ``out``.

        Parameters
        ----------
        out
            C-contiguous, (channels, count), of the stored type; its length is what is read.

        Raises
        ------
        ShardError
            The shard is not what the index says, or the row's checksum is wrong.
        """
        pool = self._pool
        if pool.pid != os.getpid():
            # After a fork. The old pool is dropped as a whole: another thread may have held its lock.
            pool = self._pool = _Pool()
        # h5py reads one row at a time anyway, so that holding the lock costs nothing and keeps the file open.
        with pool.lock:
            entry = pool.open.get(shard)
            if entry is None:
                entry = self._open(pool, shard)
            else:
                pool.open.move_to_end(shard)
            try:
                if not entry.rows.checked[row] or not _read_straight(entry, row, out, begin):
                    _read_checked(entry, row, out, begin)
                    entry.rows.checked[row] = True
            except Exception as error:  # HDF5's errors have no class of their own
                raise RefusedError(
                    self._expected[shard].path, f"row {row} of /audio is damaged ({first_line(error)})"
                ) from error

    def path(self, shard: int) -> Path:
        """A shard's file."""
        return self._expected[shard].path

    def remember(self, shard: int) -> None:
        """Say that a shard's structure was checked just now."""
        self._checked[shard] = _signature(check_file(self._expected[shard]))

    def close(self) -> None:
        """Close this process's files; the next read opens them again."""
        pool, self._pool = self._pool, _Pool()
        if pool.pid == os.getpid():
            with pool.lock:
                while pool.open:
                    pool.open.popitem()[1].file.close()

    def _open(self, pool: _Pool, shard: int) -> _Open:
        expected = self._expected[shard]
        signature = _signature(check_file(expected))
        if self._checked.get(shard) == signature:
            with damage(expected.path):
                file = open_again(expected.path)
        else:
            file = open_checked(expected)
            self._checked[shard] = signature
            self._rows.pop(shard, None)
        while len(pool.open) >= self._max_open:
            pool.open.popitem(last=False)[1].file.close()
        with damage(expected.path):
            audio = file[AUDIO.path]
            if shard not in self._rows:
                self._rows[shard] = _Rows(_places(file, audio), np.zeros(len(audio), bool))
            space, handle = audio.id.get_space(), file.id.get_vfd_handle()
            pool.open[shard] = _Open(file, audio, space, handle, audio.shape, self._rows[shard])
        return pool.open[shard]

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_pool", "_rows")}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._rows = {}
        self._pool = _Pool()


class _Rows(NamedTuple):
    """Where the rows of a shard are in the file (bytes; -1: unknown), and whether their checksums were compared."""

    places: NDArray[np.int64]
    checked: NDArray[np.bool_]


class _Open(NamedTuple):
    file: h5py.File
    audio: h5py.Dataset
    space: h5s.SpaceID
    handle: int
    shape: tuple[int, int, int]
    rows: _Rows


class _Pool:
    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.open: OrderedDict[int, _Open] = OrderedDict()


def _places(file: h5py.File, audio: h5py.Dataset) -> NDArray[np.int64]:
    places = np.full(len(audio), -1)
    size = math.prod(audio.shape[1:]) * audio.dtype.itemsize + FLETCHER32_BYTES

    def note(chunk: h5py.h5d.StoreInfo) -> None:
        if (chunk.filter_mask, chunk.size) == (0, size):
            places[chunk.chunk_offset[0]] = chunk.byte_offset

    # A file that begins with something else (a user block) counts from elsewhere.
    if hasattr(audio.id, "chunk_iter") and file.userblock_size == 0:
        audio.id.chunk_iter(note)
    return places


def _read_checked(entry: _Open, row: int, out: NDArray[Any], begin: int) -> None:
    """Read through HDF5, which compares the checksum of the whole row."""
    # What audio.read_direct does, in a fifth of its time.
    entry.space.select_hyperslab((row, 0, begin), (1, *out.shape))
    entry.audio.id.read(h5s.create_simple(out.shape), entry.space, out)


def _read_straight(entry: _Open, row: int, out: NDArray[Any], begin: int) -> bool:
    """Read from a row's place in the file; False where that is not possible, or fewer bytes come."""
    place = int(entry.rows.places[row])
    if place < 0 or not hasattr(os, "preadv"):
        return False
    samples = entry.shape[2]
    parts = out[None] if out.shape == entry.shape[1:] else out
    return all(
        os.preadv(entry.handle, [part.data], place + (channel * samples + begin) * out.itemsize)
        == part.nbytes
        for channel, part in enumerate(parts)
    )


def _signature(about: os.stat_result) -> tuple[int, ...]:
    return about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns
