"""What of a FLAC file is read without a decoder (RFC 9639): STREAMINFO, and the headers of frames.

libsndfile shows neither the MD5 nor that the number of samples is unknown. The MD5 covers samples only: without the rate of
the first frame, a flipped bit in any of the 20 bits of the header's rate passes (measured for each bit of STREAMINFO; the
other flips that pass, in sizes of blocks and frames, change nothing).
"""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

STREAMINFO_END = 42
"""Bytes of ``fLaC``, a block header and STREAMINFO, which comes first (section 8.2)."""
HEADER_BYTES = 16
"""The longest header of a frame."""
SYNC = b"\xff\xf8"
"""How a frame begins, in streams whose blocks have one size."""
_MAX_BLOCKS = 1000
_MAX_TAGS = 1000
_RATES = (0, 88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)
_RATE_UNITS = {12: (1, 1000), 13: (2, 1), 14: (2, 10)}
"""Section 9.1.2, by code: the bytes that hold an uncommon rate, and the Hz of its unit."""
_BLOCK_BYTES = {6: 1, 7: 2}
"""Section 9.1.1, by code: the bytes that hold an uncommon block size, less one."""
_BITS = (0, 8, 12, None, 16, 20, 24, 32)
_CHANNELS = (1, 2, 3, 4, 5, 6, 7, 8, 2, 2, 2)


class StreamInfo(NamedTuple):
    """``frames`` samples per channel, ``sample_rate`` in Hz, ``bits`` per sample, MD5 of all samples (empty: not stored).

    ``blocks`` are the smallest and the largest number of samples per channel in a FLAC frame, without the last one;
    ``largest`` is the size of the largest one in bytes (0: unknown).
    """

    frames: int
    sample_rate: int
    channels: int
    bits: int
    md5: bytes
    blocks: tuple[int, int]
    largest: int


class FrameHeader(NamedTuple):
    """``number`` of the FLAC frame where ``SYNC`` begins it, else of its first sample; 0 where STREAMINFO says the value."""

    number: int
    block: int
    sample_rate: int
    channels: int
    bits: int


def streaminfo(head: bytes) -> StreamInfo | None:
    """STREAMINFO of a stream's first 42 bytes; None where it is not plain FLAC."""
    if head[:4] != b"fLaC" or len(head) < STREAMINFO_END or head[4] & 0x7F != 0 or head[5:8] != b"\0\0\x22":
        return None
    packed = int.from_bytes(head[18:26], "big")
    rate, channels, bits = packed >> 44, (packed >> 41 & 7) + 1, (packed >> 36 & 31) + 1
    blocks = int.from_bytes(head[8:10], "big"), int.from_bytes(head[10:12], "big")
    largest, md5 = int.from_bytes(head[15:18], "big"), head[26:42]
    return StreamInfo(packed & (1 << 36) - 1, rate, channels, bits, md5 if any(md5) else b"", blocks, largest)


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


def first_frame(file: BinaryIO) -> tuple[int, FrameHeader] | None:
    """Where the first frame begins in the file, and its header; None where there is none.

    ``file`` stands at ``fLaC``.
    """
    file.seek(4, 1)
    for _ in range(_MAX_BLOCKS):
        block = file.read(4)
        if len(block) < 4:
            return None
        file.seek(int.from_bytes(block[1:], "big"), 1)
        if block[0] & 0x80:  # the last one
            place = file.tell()
            header = frame_header(file.read(HEADER_BYTES), 0)
            return None if header is None else (place, header)
    return None


def frame_header(data: bytes, place: int) -> FrameHeader | None:
    """The header of a frame that begins at ``place``; None where there is none, or it does not have its CRC-8."""
    head = data[place : place + HEADER_BYTES]
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xFE != 0xF8:
        return None
    block_code, rate_code, channels, bits = head[2] >> 4, head[2] & 15, head[3] >> 4, _BITS[head[3] >> 1 & 7]
    # The number is coded like UTF-8: the leading ones of its first byte are the count of its bytes.
    ones = 8 - (head[4] ^ 0xFF).bit_length()
    if block_code == 0 or rate_code == 15 or channels > 10 or bits is None or head[3] & 1 or ones in (1, 8):
        return None
    number = head[4] & 0x7F >> ones
    end = 5 + max(0, ones - 1)
    for byte in head[5:end]:
        number = number << 6 | byte & 0x3F
    width = _BLOCK_BYTES.get(block_code, 0)
    block = int.from_bytes(head[end : end + width], "big") + 1 if width else _block_of(block_code)
    end += width
    width, unit = _RATE_UNITS.get(rate_code, (0, 0))
    rate = int.from_bytes(head[end : end + width], "big") * unit if width else _RATES[rate_code]
    end += width
    if end >= len(head) or _crc8(head[:end]) != head[end]:
        return None
    return FrameHeader(number, block, rate, _CHANNELS[channels], bits)


def _block_of(code: int) -> int:
    return 192 if code == 1 else 144 << code if code < 6 else 1 << code


def _crc8_table() -> bytes:
    """Of the polynomial x^8 + x^2 + x + 1 (section 9.1.8)."""
    table = bytearray(256)
    for value in range(256):
        rest = value
        for _ in range(8):
            rest = rest << 1 ^ (0x107 if rest & 0x80 else 0)
        table[value] = rest
    return bytes(table)


_CRC8 = _crc8_table()


def _crc8(data: bytes) -> int:
    rest = 0
    for byte in data:
        rest = _CRC8[rest ^ byte]
    return rest
