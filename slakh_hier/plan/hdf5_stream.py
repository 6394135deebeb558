"""An HDF5 file too large for memory, written so that a full disk is an error and not a crash.

HDF5 crashes the process when it cannot write what it must (h5py issues 914, 1120, 2160). So it writes into an object
that never fails: after a write was refused, what follows is held in memory until the caller, outside of HDF5, learns
of it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from slakh_hier.files import cannot_write, sync_folder, temporary_file


@contextmanager
def hdf5_stream(path: Path, scratch: Path) -> Iterator[tuple[h5py.File, Callable[[], None]]]:
    """An HDF5 file under a temporary name in ``scratch`` that is renamed to ``path`` when the block ends well.

    The value is the file and a function that raises when a write of it was refused: call it now and then, since
    from then on memory is filled. ``scratch`` is a folder of the same file system.

    Raises
    ------
    FaultError
        A write was refused; the temporary file is removed.
    """
    try:
        with temporary_file(scratch) as (handle, temporary):
            sink = _Sink(handle)
            file = h5py.File(sink, "w", libver="v110")
            try:
                yield file, sink.check
            finally:
                file.close()
            sink.check()
            os.fsync(handle)
            os.replace(temporary, path)
            sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error


class _Sink(io.RawIOBase):
    """A file whose writes never fail: the first refusal is kept in ``error``, later writes in memory."""

    def __init__(self, handle: int):
        self.error: OSError | None = None
        self._handle = handle
        self._position = self._size = 0
        self._late: list[tuple[int, bytes]] = []

    def check(self) -> None:
        if self.error is not None:
            raise self.error

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        written = 0
        while self.error is None and written < len(view):
            try:
                written += os.pwrite(self._handle, view[written:], self._position + written)
            except OSError as error:
                self.error = error
        if written < len(view):
            self._late.append((self._position, bytes(view)))
        self._position += len(view)
        self._size = max(self._size, self._position)
        return len(view)

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        view = view[: max(0, min(len(view), self._size - self._position))]
        try:
            found = os.pread(self._handle, len(view), self._position)
        except OSError as error:
            self.error, found = self.error or error, b""
        view[:] = found.ljust(len(view), b"\0")
        for place, data in self._late:
            first, last = max(place, self._position), min(place + len(data), self._position + len(view))
            if first < last:
                view[first - self._position : last - self._position] = data[first - place : last - place]
        self._position += len(view)
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        self._size = self._position if size is None else size
        if self.error is None:
            try:
                os.ftruncate(self._handle, self._size)
            except OSError as error:
                self.error = error
        return self._size

    def flush(self) -> None:
        """Nothing is buffered."""
