"""What of a FLAC file is read without a decoder (RFC 9639): STREAMINFO, and the sample rate of the first frame.

libsndfile shows neither the MD5 nor that the number of samples is unknown. The MD5 covers samples only: without the rate of
the first frame, a flipped bit in any of the 20 bits of the header's rate passes (measured for each bit of STREAMINFO; the
other flips that pass, in sizes of blocks and frames, change nothing).
"""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

STREAMINFO_END = 42
"""Bytes of ``fLaC``, a block header and STREAMINFO, which comes first (section 8.2)."""
_MAX_BLOCKS = 1000
_MAX_TAGS = 1000
_RATES = (0, 88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)
_RATE_UNITS = {12: (1, 1000), 13: (2, 1), 14: (2, 10)}
"""Section 9.1.2, by code: the bytes that hold an uncommon rate, and the Hz of its unit."""
_BLOCK_SIZE_BYTES = {6: 1, 7: 2}


class StreamInfo(NamedTuple):
    """``frames`` samples per channel, ``sample_rate`` in Hz, ``bits`` per sample, MD5 of all samples (zeros: not stored)."""

    frames: int
    sample_rate: int
    channels: int
    bits: int
    md5: bytes


def streaminfo(head: bytes) -> StreamInfo | None:
    """STREAMINFO of a stream's first 42 bytes; None where it is not plain FLAC."""
    if head[:4] != b"fLaC" or len(head) < STREAMINFO_END or head[4] & 0x7F != 0 or head[5:8] != b"\0\0\x22":
        return None
    packed = int.from_bytes(head[18:26], "big")
    rate, channels, bits = packed >> 44, (packed >> 41 & 7) + 1, (packed >> 36 & 31) + 1
    return StreamInfo(packed & (1 << 36) - 1, rate, channels, bits, head[26:42])


def skip_id3(file: BinaryIO) -> None:
    """Go to where audio begins: behind the ID3v2 tags that some programs put before FLAC.

    A tag is ten bytes, of which the last four give the length of the rest in seven bits each; a footer of ten more
    bytes is not counted in it (ID3v2.4, section 3).
    """
    place = 0
    for _ in range(_MAX_TAGS):
        file.seek(place)
        head = file.read(10)
        if len(head) < 10 or head[:3] != b"ID3" or any(byte & 0x80 for byte in head[6:]):
            break
        size = sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
        place += 10 + size + (10 if head[5] & 0x10 else 0)
    file.seek(place)


def first_frame_rate(file: BinaryIO) -> int | None:
    """Sample rate (Hz) in the header of the first frame; None where it is left to STREAMINFO, or there is no frame.

    ``file`` stands at ``fLaC``.
    """
    file.seek(4, 1)
    for _ in range(_MAX_BLOCKS):
        block = file.read(4)
        if len(block) < 4:
            return None
        file.seek(int.from_bytes(block[1:], "big"), 1)
        if block[0] & 0x80:  # the last one
            return _rate_of(file.read(16))
    return None


def _rate_of(frame: bytes) -> int | None:
    if len(frame) < 16 or frame[0] != 0xFF or frame[1] & 0xFE != 0xF8:
        return None
    size, rate = frame[2] >> 4, frame[2] & 0x0F
    if rate < len(_RATES):
        return _RATES[rate] or None
    if rate not in _RATE_UNITS:
        return None
    # The frame's number is coded like UTF-8: the leading ones of its first byte are the count of its bytes.
    ones = 8 - (frame[4] ^ 0xFF).bit_length()
    place = 4 + max(1, ones) + _BLOCK_SIZE_BYTES.get(size, 0)
    width, unit = _RATE_UNITS[rate]
    return int.from_bytes(frame[place : place + width], "big") * unit
