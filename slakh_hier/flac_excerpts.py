"""Excerpts of 16-bit FLAC files by dr_flac (miniaudio): libsndfile's samples for half its CPU time.

dr_flac leaves out a frame whose checksum is wrong, and goes on with the next. So it never sees a file, only whole FLAC frames
from one place to another, of which the number of samples is known: what does not give exactly as many is not used, and
the caller reads it with libsndfile, which says what is wrong. Nothing else of a file, such as its tags, reaches dr_flac.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from slakh_hier.flac import (
    HEADER_BYTES,
    STREAMINFO_END,
    SYNC,
    FrameHeader,
    StreamInfo,
    first_frame,
    frame_header,
    streaminfo,
)

_MAX_STEPS = 64
"""Of a search for a frame; four are usual."""

try:
    import miniaudio
except ImportError:  # no file for this platform
    miniaudio = None


class FlacExcerpts:
    """An open FLAC file with one or two channels of 16 bits, and blocks of one size.

    Attributes
    ----------
    info
        What its STREAMINFO says.
    """

    def __init__(self, file: int, head: bytes, info: StreamInfo, first: int, header: FrameHeader):
        self.info = info
        self._file, self._header = file, header
        self._end = os.fstat(file).st_size
        # Of what is decoded: one block of metadata, the last one, which says no total.
        self._head = b"fLaC\x80" + head[5:21] + bytes([head[21] & 0xF0]) + bytes(4 + 16)
        self._count = -(-info.frames // header.block)
        self._near = (0, first)  # a frame, and its place: the one after what was read last
        self._first = (0, first)
        bound = 64 + header.block * info.channels * 17 // 8
        self._window = HEADER_BYTES + (min(info.largest, bound) or bound)

    @classmethod
    def open(cls, path: Path) -> Self | None:
        """None where the file is something else, or its first frame does not agree with STREAMINFO."""
        if miniaudio is None:
            return None
        with open(path, "rb") as file:
            head = file.read(STREAMINFO_END)
            info = streaminfo(head)
            if info is None or info.bits != 16 or info.channels > 2 or info.frames == 0:
                return None
            file.seek(0)
            found = first_frame(file)
            if found is None:
                return None
            first, header = found
            says = (header.number, header.channels, header.bits or 16, header.sample_rate or info.sample_rate)
            if says != (0, info.channels, 16, info.sample_rate) or min(info.blocks) < 16:
                return None
            block = info.blocks[0]
            if info.blocks[1] != block or header.block != min(block, info.frames):
                return None
            if os.pread(file.fileno(), len(SYNC), first) != SYNC:
                return None
            return cls(os.dup(file.fileno()), head, info, first, header._replace(block=block))

    def read(self, start: int, count: int) -> NDArray[np.int16] | None:
        """``count`` samples from ``start``, all before the end: (count, channels); None where something is wrong."""
        block, channels = self._header.block, self.info.channels
        begin, end = start // block, -(-(start + count) // block)
        frames = min(end * block, self.info.frames) - begin * block
        place, until = self._place(begin), self._place(end)
        if place is None or until is None:
            return None
        image = self._head + os.pread(self._file, until - place, place)
        samples = np.empty((frames + 1, channels), np.int16)  # one more, which must not come
        if _decode(image, samples) != frames:
            return None
        self._near = (end, until)
        return samples[start - begin * block :][:count]

    def close(self) -> None:
        os.close(self._file)

    def _place(self, frame: int) -> int | None:
        """Where a frame begins; the file's end after the last one. None where it is not found."""
        if frame >= self._count:
            return self._end
        low = self._near if self._near[0] <= frame else self._first
        high = (self._count, self._end)
        for step in range(_MAX_STEPS):
            if low[0] == frame:
                return low[1]
            share = (frame - low[0] - 0.5) / (high[0] - low[0]) if step % 4 < 3 else 0.5
            guess = low[1] + max(1, int((high[1] - low[1]) * share))
            found = self._next(guess, high[1])
            if found is None:
                high = (high[0], guess)
            elif not low[0] < found[0] < high[0]:
                return None
            elif found[0] <= frame:
                low = found
            else:
                high = (found[0], guess)
        return None

    def _next(self, begin: int, end: int) -> tuple[int, int] | None:
        """The first frame that begins from ``begin`` on and before ``end``: its number, and its place."""
        data = os.pread(self._file, min(self._window, end + HEADER_BYTES - begin), begin)
        place = data.find(SYNC)
        while 0 <= place < end - begin:
            header = frame_header(data, place)
            if header is not None and self._belongs(header):
                return header.number, begin + place
            place = data.find(SYNC, place + 1)
        return None

    def _belongs(self, header: FrameHeader) -> bool:
        size = self.info.frames - header.number * self._header.block
        return header._replace(number=0) == self._header._replace(block=min(size, self._header.block))


def _decode(image: bytes, samples: NDArray[np.int16]) -> int:
    """Decode a FLAC stream in memory; the number of samples per channel that came."""
    ffi, flac = miniaudio.ffi, miniaudio.lib
    decoder: Any = flac.ma_dr_flac_open_memory(ffi.from_buffer(image), len(image), ffi.NULL)
    if not decoder:
        return -1
    try:
        place = ffi.cast("ma_dr_flac_int16 *", ffi.from_buffer(samples))
        return int(flac.ma_dr_flac_read_pcm_frames_s16(decoder, len(samples), place))
    finally:
        flac.ma_dr_flac_close(decoder)
