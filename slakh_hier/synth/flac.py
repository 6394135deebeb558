"""Writing FLAC so that a full disk is an error.

libsndfile says nothing when the last frame of a FLAC file is refused while it closes; here every byte goes through Python.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray


def write_flac(path: Path, blocks: Iterable[NDArray[Any]], rate: int) -> None:
    """Write integers of 16 bits, which come in blocks, as a mono FLAC file that is on the disk on return.

    Raises
    ------
    OSError
        A write was refused.
    """
    with open(path, "wb") as raw:
        file = _Recording(raw)
        try:
            with soundfile.SoundFile(file, "w", rate, 1, format="FLAC", subtype="PCM_16") as flac:
                for block in blocks:
                    flac.write(block.astype(np.int16))
        except (soundfile.LibsndfileError, AssertionError) as error:
            raise file.refused or OSError(str(error)) from error
        if file.refused:
            raise file.refused
        raw.flush()
        os.fsync(raw.fileno())


class _Recording:
    """A file for libsndfile's callbacks, out of which no exception gets: the first one is kept."""

    def __init__(self, raw: io.BufferedWriter):
        self.raw = raw
        self.refused: OSError | None = None

    def write(self, data: bytes) -> int:
        if self.refused is None:
            try:
                return self.raw.write(data)
            except OSError as error:
                self.refused = error
        return 0

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        try:
            return self.raw.seek(place, whence)
        except OSError as error:  # seeking writes what is buffered
            self.refused = self.refused or error
            return -1

    def tell(self) -> int:
        return self.raw.tell()
