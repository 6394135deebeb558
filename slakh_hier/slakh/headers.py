"""What an audio file's header declares, read from its first bytes.

libsndfile opens a WAV file that was cut short without a word, does not distinguish an unknown length from a damaged one, and takes six
to eight times as long (46 microseconds against 8, or one second of ten for Slakh2100's 22,000 stems). Other formats and
unusual headers go to libsndfile.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

import soundfile

from slakh_hier.audio import MAX_FRAMES, libsndfile_reason
from slakh_hier.flac import streaminfo
from slakh_hier.paths import StrPath
from slakh_hier.slakh.content import UNKNOWN, content_in

_HEAD = 4096
_SAMPLES = (0x0001, 0x0003, 0xFFFE)
"""WAV formats of plain samples: integers, floats, and either of them in the extensible form."""


class HeaderError(ValueError):
    """A file whose header cannot be used; the text is the reason."""


@dataclass(frozen=True)
class Header:
    """``frames`` samples per channel, ``sample_rate`` in Hz, ``channels``; ``content`` as FLAC stores it, else ""."""

    frames: int
    sample_rate: int
    channels: int
    content: str = UNKNOWN


def read_header(path: StrPath) -> Header:
    """Read and check the header of a FLAC or WAV file.

    Raises
    ------
    HeaderError
        The file is not audio, holds no samples, or its header is not plausible.
    OSError
        It cannot be read at all.
    """
    with open(path, "rb", buffering=0) as file:
        head = file.read(_HEAD)
        size = os.fstat(file.fileno()).st_size
    header = _flac(head) or _wav(head, size) or _any(path, head)
    if header.frames == 0 and head[:4] == b"fLaC":
        raise HeaderError(
            "has no length in its header, as recorders and pipes write it, or no samples; encode it again: flac -f "
            f"{os.path.basename(path)}"
        )
    if header.frames <= 0:
        raise HeaderError("holds no samples")
    if header.frames > MAX_FRAMES or not 1000 <= header.sample_rate <= 768_000:
        raise HeaderError(
            f"its header is not plausible: {header.frames} frames at {header.sample_rate} Hz; the file is damaged"
        )
    return header


def _flac(head: bytes) -> Header | None:
    info = streaminfo(head)
    return Header(info.frames, info.sample_rate, info.channels, content_in(head)) if info else None


def _wav(head: bytes, size: int) -> Header | None:
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    place, form = 12, None
    while place + 8 <= len(head):
        name, length = head[place : place + 4], int.from_bytes(head[place + 4 : place + 8], "little")
        if name == b"fmt " and length >= 16 and place + 24 <= len(head):
            form = struct.unpack_from("<HHIIH", head, place + 8)
        elif name == b"data":
            if form is None or form[0] not in _SAMPLES or form[4] == 0:
                return None
            _, channels, rate, _, block = form
            missing = place + 8 + length - size
            # Programs that stream write no length at all: 0 or all ones. libsndfile takes the rest of the file.
            if missing > 0 and length < 0xFFFFFF00:
                raise HeaderError(
                    f"is cut short: its header declares {length} bytes of samples, {missing} are missing"
                )
            if missing > 0 or length == 0:
                return None
            return Header(length // block, rate, channels)
        place += 8 + length + length % 2
    return None


def _any(path: StrPath, head: bytes) -> Header:
    try:
        with soundfile.SoundFile(os.fsencode(path)) as file:
            return Header(file.frames, file.samplerate, file.channels)
    except (soundfile.LibsndfileError, OSError, TypeError, ValueError) as error:
        if not head:
            raise HeaderError("is empty") from error
        if head.startswith(b"version https://git-lfs"):
            raise HeaderError("is a Git LFS pointer, not audio: run git lfs pull") from error
        raise HeaderError(f"is not audio that can be opened: {libsndfile_reason(error)}") from error
