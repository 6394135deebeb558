"""The check that no header shows: decode a file to its end and compare the MD5 that FLAC carries.

libsndfile never compares it. Without it whole FLAC frames that are missing, doubled or of another file pass
as audio (with zeros in their place).
"""

from __future__ import annotations

import os
from hashlib import md5
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from slakh_hier.slakh.headers import libsndfile_reason, streaminfo

_BLOCK = 1 << 18
_NOT_STORED = bytes(16)


def check_audio(path: str | os.PathLike[str]) -> str:
    """Decode a FLAC or WAV file in blocks; "" where all is well, else what is wrong.

    FLAC: the number of samples and the MD5 of RFC 9639, section 8.2 (all zero: not stored, then only decoding is
    checked). WAV carries no checksum: the number of samples, and that floats are finite.

    Raises
    ------
    OSError, MemoryError
        Nothing that the file is to blame for.
    """
    with open(path, "rb") as file:
        info = streaminfo(file.read(42))
    try:
        return _decode(path, info)
    except (soundfile.LibsndfileError, AssertionError) as error:
        return f"decoding fails: {libsndfile_reason(error)}"


def _decode(path: str | os.PathLike[str], info: tuple[Any, int, bytes] | None) -> str:
    bits, stored = (info[1], info[2]) if info else (0, _NOT_STORED)
    digest, frames = md5(usedforsecurity=False), 0
    with soundfile.SoundFile(os.fspath(path)) as file:
        if info is None:
            kind = "float64" if file.subtype in ("FLOAT", "DOUBLE") else "int32"
        else:
            kind = "int16" if bits == 16 else "int32"
        while len(block := file.read(_BLOCK, dtype=kind, always_2d=True)):
            if kind == "float64" and not np.isfinite(block).all():
                first = frames + int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
                return f"holds NaN or Inf at {first / file.samplerate:.2f} s"
            frames += len(block)
            if stored != _NOT_STORED:
                digest.update(_little_endian(block, bits))
        if frames != file.frames:
            return f"its header promises {file.frames} samples, {frames} can be decoded"
    if stored != _NOT_STORED and digest.digest() != stored:
        return "its samples do not have the MD5 that its header gives: the content is damaged"
    return ""


def _little_endian(block: NDArray[Any], bits: int) -> bytes:
    """The bytes FLAC's MD5 is taken of: interleaved, signed, little-endian, in whole bytes a sample."""
    if block.dtype == np.int16:
        return block.astype("<i2", copy=False).tobytes()
    width = (bits + 7) // 8
    values = (block >> (32 - bits)).astype("<i4")  # libsndfile aligns to the left
    return values.reshape(-1, 1).view(np.uint8)[:, :width].tobytes()
