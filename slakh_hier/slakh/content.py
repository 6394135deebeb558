"""What identifies an audio file: the MD5 of its samples, which names, places and times do not change.

FLAC carries it in its header (RFC 9639, section 8.2). For other files it is taken of what libsndfile decodes: interleaved,
little-endian, as 16-bit integers where a file holds at most that, so that a WAV file has the MD5 of its FLAC; else as
32-bit floats.
"""

from __future__ import annotations

import io
import os
from hashlib import md5
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from slakh_hier.audio import INT16_SUBTYPES
from slakh_hier.flac import STREAMINFO_END, streaminfo
from slakh_hier.plain_files import open_plain

BLOCK = 1 << 18
UNKNOWN = ""


class SampleDigest:
    """The MD5 of samples that come block by block, each (count, channels) of int16 or float32."""

    def __init__(self) -> None:
        self._digest = md5(usedforsecurity=False)

    def update(self, block: NDArray[Any]) -> None:
        little = np.ascontiguousarray(block, block.dtype.newbyteorder("<"))
        self._digest.update(little.data.cast("B"))

    def hex(self) -> str:
        return self._digest.hexdigest()


def stored_content(path: str | os.PathLike[str]) -> str:
    """The MD5 (hex) that a FLAC file gives of its samples; "" where a file gives none, or cannot be read."""
    try:
        with _opened(path) as file:
            return content_in(file.read(STREAMINFO_END))
    except OSError:
        return UNKNOWN


def content_in(head: bytes) -> str:
    """:func:`stored_content`, of the first bytes of a file."""
    info = streaminfo(head)
    return info.md5.hex() if info else UNKNOWN


def content_of(path: str | os.PathLike[str]) -> str:
    """The MD5 (hex) of a file's samples: stored, or taken of all of them; "" where it cannot be decoded."""
    digest = SampleDigest()
    try:
        with _opened(path) as file:
            if stored := content_in(file.read(STREAMINFO_END)):
                return stored
            file.seek(0)
            with soundfile.SoundFile(file.fileno(), closefd=False) as audio:
                kind = "int16" if audio.subtype in INT16_SUBTYPES else "float32"
                while len(block := audio.read(BLOCK, dtype=kind, always_2d=True)):
                    digest.update(block)
    except (soundfile.LibsndfileError, OSError, TypeError, AssertionError):
        return UNKNOWN
    return digest.hex()


def _opened(path: str | os.PathLike[str]) -> io.FileIO:
    """A regular file, unbuffered; a pipe in its place is not waited for."""
    return io.FileIO(open_plain(Path(path), links=True))
