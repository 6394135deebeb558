"""Excerpts of 16-bit FLAC files by dr_flac (miniaudio): libsndfile's samples for half its CPU time.

dr_flac leaves out a frame whose checksum is wrong, and continues with the next. So it never sees a file, only whole FLAC frames
from one place to another, of which the number of samples is known: what does not give exactly as many is not used, and
the caller reads it with libsndfile, which says what is wrong. Nothing else of a file, such as its tags, reaches dr_flac.
"""

from __future__ import annotations

import os
from bisect import bisect_right, insort
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
"""Of a search for a frame; one to four are usual."""
_MAX_HEADERS = 16
"""That a step looks at: in silence, a frame has ten bytes."""
_MAX_KNOWN = 64

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
        self._known = [(0, first)]  # frames and their places, in order
        self._frame_size = (self._end - first) / self._count
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
        if place is None or until is None or until <= place:
            return None
        image = self._head + os.pread(self._file, until - place, place)
        samples = np.empty((frames + 1, channels), np.int16)  # one more, which must not come
        if _decode(image, samples) != frames:
            return None
        self._frame_size = (until - place) / (end - begin)
        self._know_last(image, until, end - 1)
        return samples[start - begin * block :][:count]

    def close(self) -> None:
        os.close(self._file)

    def _place(self, frame: int) -> int | None:
        """Where a frame begins; the file's end after the last one. None where it is not found."""
        if frame >= self._count:
            return self._end
        at = bisect_right(self._known, (frame, self._end))
        low = self._known[at - 1]
        high = self._known[at] if at < len(self._known) else (self._count, self._end)
        for step in range(_MAX_STEPS):
            if low[0] == frame:
                self._know(low)
                return low[1]
            # Music changes slowly: frames are as large as near by.
            mean = self._frame_size if step == 0 else (high[1] - low[1]) / (high[0] - low[0])
            ahead = (frame - low[0] - 0.5) * mean
            if step > 8 and step % 2:  # frames of very uneven sizes
                ahead = (high[1] - low[1]) / 2
            guess = min(low[1] + max(1, int(ahead)), high[1] - 1)
            found = self._next(guess, high[1], frame)
            if found is None:
                high = (high[0], guess)
            elif not low[0] < found[0] < high[0]:
                return None
            elif found[0] <= frame:
                low = found
            else:
                high = (found[0], guess)
        return None

    def _know(self, found: tuple[int, int]) -> None:
        if len(self._known) > _MAX_KNOWN:
            del self._known[1:]
        if found not in self._known:
            insort(self._known, found)

    def _know_last(self, image: bytes, until: int, frame: int) -> None:
        """Note where the last frame of an image begins, in the middle of which the next excerpt may begin."""
        at = image.rfind(SYNC)
        header = frame_header(image, at)
        if header is not None and header.number == frame and self._belongs(header):
            self._know((frame, until - len(image) + at))

    def _next(self, begin: int, end: int, frame: int) -> tuple[int, int] | None:
        """The first frame from ``begin`` on and before ``end``, or one of the next, up to ``frame``: its number and place."""
        data = os.pread(self._file, min(self._window, end + HEADER_BYTES - begin), begin)
        found = None
        place = data.find(SYNC)
        for _ in range(_MAX_HEADERS):
            if not 0 <= place < end - begin:
                break
            header = frame_header(data, place)
            if header is not None and self._belongs(header):
                if found is not None and header.number > frame:
                    break
                found = header.number, begin + place
                if header.number >= frame:
                    break
            place = data.find(SYNC, place + 1)
        return found

    def _belongs(self, header: FrameHeader) -> bool:
        size = self.info.frames - header.number * self._header.block
        return header[2:] == self._header[2:] and header.block == min(size, self._header.block)


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
