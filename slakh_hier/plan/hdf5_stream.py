"""An HDF5 file too large for memory, written so that a full disk is an error and not a crash.

HDF5 crashes the process when a write of it fails or when a Python exception crosses it (h5py issues 914, 1120,
2160). So it writes into an object that never fails: after a write was refused, what follows is held in memory until
the caller, outside of HDF5, learns of it.
"""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py

from slakh_hier.errors import FaultError
from slakh_hier.files import sync_folder, temporary_file


class Stream:
    """An HDF5 file that is being written; use :attr:`file` only inside :meth:`writing`."""

    def __init__(self, handle: int):
        self._sink = _Sink(handle)
        with _signals_wait():
            self.file = h5py.File(self._sink, "w", libver="v110")

    @contextmanager
    def writing(self) -> Iterator[h5py.File]:
        """Some writes, after which a refused one is raised as OSError. Keep blocks short: Ctrl-C waits for them."""
        with _signals_wait():
            yield self.file
        if self._sink.error is not None:
            raise self._sink.error

    def close(self) -> None:
        """Write what is left; raises OSError for any write that was refused since the file was opened."""
        with _signals_wait():
            self.file.close()
        if self._sink.error is not None:
            raise self._sink.error


@contextmanager
def hdf5_stream(path: Path) -> Iterator[Stream]:
    """A file under a temporary name that is renamed to ``path`` when the block ends well.

    Raises
    ------
    FaultError
        A write was refused; the temporary file is removed.
    """
    handle, temporary = temporary_file(path.parent)
    try:
        try:
            stream = Stream(handle)
            try:
                yield stream
            finally:
                stream.close()
            os.fsync(handle)
        finally:
            os.close(handle)
        os.replace(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        raise FaultError(
            f"cannot write {path}: {error.strerror or error}. Finished work is kept; make room and run the same "
            "command again"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)


class _Sink(io.RawIOBase):
    """A file whose writes never fail: the first refusal is kept in ``error``, later writes in memory."""

    def __init__(self, handle: int):
        self.error: OSError | None = None
        self._handle = handle
        self._position = self._size = 0
        self._late: list[tuple[int, bytes]] = []

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


@contextmanager
def _signals_wait() -> Iterator[None]:
    """SIGINT and SIGTERM are held back until the block ends: their handlers raise, in the middle of HDF5."""
    if threading.current_thread() is not threading.main_thread():
        yield  # handlers run in the main thread only
        return
    held: list[int] = []
    before = {
        number: signal.signal(number, lambda got, frame: held.append(got))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        if held:
            signal.raise_signal(held[0])
