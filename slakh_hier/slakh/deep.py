"""What no header shows: decode a file to its end and compare the MD5 that FLAC carries, or the stems with their mix.

libsndfile never compares it. Without it whole FLAC frames that are missing, doubled or of another file pass
as audio (with zeros in their place).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from hashlib import md5
from math import log10
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from slakh_hier.audio import libsndfile_reason
from slakh_hier.flac import STREAMINFO_END, StreamInfo, first_frame, skip_id3, streaminfo
from slakh_hier.paths import StrPath

_BLOCK = 1 << 18


def check_audio(path: StrPath) -> str:
    """Decode a FLAC or WAV file in blocks; "" where all is well, else what is wrong.

    FLAC: the number of samples, the sample rate that the first frame gives, and the MD5 of RFC 9639, section 8.2, where it
    is stored. WAV carries no checksum: the number of samples, and that floats are finite.

    Raises
    ------
    OSError, MemoryError
        Nothing that the file is to blame for.
    """
    with open(path, "rb") as file:
        skip_id3(file)
        start = file.tell()
        info = streaminfo(file.read(STREAMINFO_END))
        file.seek(start)
        first = first_frame(file) if info else None
    rate = first[1].sample_rate if first else 0
    if info and rate not in (0, info.sample_rate):
        return f"its header says {info.sample_rate} Hz, its first frame {rate} Hz: one of them is damaged"
    try:
        return _decode(path, info)
    except (soundfile.LibsndfileError, AssertionError) as error:
        return f"decoding fails: {libsndfile_reason(error)}"


def mix_residual(folder: Path, stems: Sequence[Path]) -> float | None:
    """Level of what is in a track's mix and not in its stems, relative to the mix (dB).

    Slakh's stems add up to the mix but for rounding: -75 dB and less where all are there.

    Parameters
    ----------
    folder
        The track's: its mix is ``mix.flac`` or ``mix.wav``.

    Returns
    -------
    float or None
        None where there is no mix, it is silent, or something cannot be decoded or has another sample rate.
    """
    mix = next((path for path in (folder / "mix.flac", folder / "mix.wav") if path.is_file()), None)
    if mix is None:
        return None
    lacking = whole = 0.0
    try:
        with ExitStack() as opened:
            files = [opened.enter_context(soundfile.SoundFile(os.fsencode(path))) for path in (mix, *stems)]
            if len({file.samplerate for file in files}) > 1:
                return None
            while len(block := files[0].read(_BLOCK, dtype="float64", always_2d=True)):
                mixed = block.mean(axis=1)
                parts = (file.read(len(block), dtype="float64", always_2d=True) for file in files[1:])
                rest = mixed.copy()
                for part in parts:
                    rest[: len(part)] -= part.mean(axis=1)
                lacking, whole = lacking + float(rest @ rest), whole + float(mixed @ mixed)
    except (soundfile.LibsndfileError, AssertionError, OSError):
        return None
    return 10 * log10(max(lacking / whole, 1e-20)) if whole else None


def _decode(path: StrPath, info: StreamInfo | None) -> str:
    stored = info.md5 if info else b""
    digest, frames = md5(usedforsecurity=False), 0
    with soundfile.SoundFile(os.fsencode(path)) as file:
        if fault := _misnamed(path, file.format, info):
            return fault
        if info is None:
            kind = "float64" if file.subtype in ("FLOAT", "DOUBLE") else "int32"
        else:
            kind = "int16" if info.bits == 16 else "int32"
        while len(block := file.read(_BLOCK, dtype=kind, always_2d=True)):
            if kind == "float64" and not np.isfinite(block).all():
                first = frames + int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
                return f"holds NaN or Inf at {first / file.samplerate:.2f} s"
            frames += len(block)
            if info and stored:
                digest.update(_little_endian(block, info.bits))
        if frames != file.frames:
            return f"its header declares {file.frames} samples, {frames} can be decoded"
    if stored and digest.digest() != stored:
        return "its samples do not have the MD5 that its header gives: the content is damaged"
    return ""


def _misnamed(path: StrPath, format: str, info: StreamInfo | None) -> str:
    """What is wrong with a file that cannot be compared with an MD5 though its name says FLAC; "" for nothing."""
    if info or os.path.splitext(os.fspath(path))[1].lower() != ".flac":
        return ""
    if format == "FLAC":
        return "its first block is not STREAMINFO, so that no MD5 can be compared: encode it again"
    return (
        f"is named .flac and is {format}, which carries no MD5 to compare: rename it, or convert it to FLAC"
    )


def _little_endian(block: NDArray[Any], bits: int) -> bytes:
    """The bytes FLAC's MD5 is taken of: interleaved, signed, little-endian, in whole bytes per sample."""
    if block.dtype == np.int16:
        return block.astype("<i2", copy=False).tobytes()
    width = (bits + 7) // 8
    values = (block >> (32 - bits)).astype("<i4")  # libsndfile aligns to the left
    return values.reshape(-1, 1).view(np.uint8)[:, :width].tobytes()
