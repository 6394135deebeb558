"""Signals of one track while it is made: in memory while they are small, else on disk.

An hour of ten stems is 6 GB. Plain reads and writes, not a memory map: mapped pages would count as this process's memory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from slakh_hier.files import TEMPORARY_PREFIX, require_free

BLOCK = 1 << 18
"""Samples that are worked on at a time."""

MEMORY = 192 << 20
"""Bytes that a track's signals may take in memory."""

_SAMPLE = 4


class Scratch:
    """Named signals of ``frames`` samples of four bytes, all zeros until they are written.

    Parameters
    ----------
    folder
        For the files of a large track.
    signals
        How many there will be.

    Raises
    ------
    FaultError
        They fit neither in memory nor on the disk.
    """

    def __init__(self, folder: Path, frames: int, signals: int):
        self.folder, self.frames = folder, frames
        self.on_disk = _SAMPLE * frames * signals > MEMORY
        if self.on_disk:
            require_free(folder, _SAMPLE * frames * signals, "a track of this length")
        self._arrays: dict[str, NDArray[Any]] = {}
        self._dtypes: dict[str, np.dtype[Any]] = {}

    def add(self, name: str, dtype: type[np.generic]) -> None:
        """A new signal of int32 or float32."""
        self._dtypes[name] = np.dtype(dtype)
        if not self.on_disk:
            self._arrays[name] = np.zeros(self.frames, dtype)
            return
        with open(self._path(name), "wb") as file:
            file.truncate(_SAMPLE * self.frames)

    def write(self, name: str, place: int, samples: NDArray[Any]) -> None:
        """Write samples from sample ``place`` on."""
        if not self.on_disk:
            self._arrays[name][place : place + len(samples)] = samples
            return
        with open(self._path(name), "r+b") as file:
            file.seek(_SAMPLE * place)
            file.write(np.ascontiguousarray(samples, self._dtypes[name]).data)

    def read(self, name: str, place: int, count: int | None = None) -> NDArray[Any]:
        """At most ``count`` samples (None: ``BLOCK``) from sample ``place`` on; not to be changed."""
        count = min(count or BLOCK, self.frames - place)
        if not self.on_disk:
            return self._arrays[name][place : place + count]
        return np.fromfile(self._path(name), self._dtypes[name], count, offset=_SAMPLE * place)

    def places(self) -> range:
        """Where the blocks begin."""
        return range(0, self.frames, BLOCK)

    def remove(self, name: str) -> None:
        """Free a signal's place."""
        del self._dtypes[name]
        if self.on_disk:
            self._path(name).unlink()
        else:
            del self._arrays[name]

    def _path(self, name: str) -> Path:
        return self.folder / f"{TEMPORARY_PREFIX}{name}"
