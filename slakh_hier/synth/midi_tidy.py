"""The tracks of a MIDI file, tidied so that mido (1.3.3) reads them as players do.

By itself, mido refuses other chunks, wrong lengths and real-time messages between events under a running status; raises
errors of six kinds for meta events that are shorter than theirs; loses the time before meta events that it does not know;
and reads on behind the end of a track. So a track is cut at its end, and what a song does not need is replaced by empty
text events, which keep the time and the running status.
"""

from __future__ import annotations

import re

from slakh_hier.errors import SongError
from slakh_hier.wording import escaped

_LENGTH = rb"[\x80-\xff]{0,3}[\x00-\x7f]"
_EVENT = re.compile(
    rb"(%b)(?:\xff(.)(%b)|[\xf0\xf7](%b)|([\xf1-\xf3\xf6\xf8-\xfe])|([\x80-\xef]|(?=[\x00-\x7f])))"
    % ((_LENGTH,) * 3),
    re.DOTALL,
)
"""An event: its time; kind and length of a meta event, length of a system-exclusive one, another system message, or the
status of a channel message (empty: the running one)."""

_DATA_BYTES = {0x80: 2, 0x90: 2, 0xA0: 2, 0xB0: 2, 0xC0: 1, 0xD0: 1, 0xE0: 2, 0xF1: 1, 0xF2: 2, 0xF3: 1}
_NAME, _PORT, _END, _TEMPO, _METER = 0x03, 0x21, 0x2F, 0x51, 0x58
_FEWEST_BYTES = {_NAME: 0, _PORT: 1, _TEMPO: 3, _METER: 4}
_MOST_BYTES = 1000
_MOST_HALVINGS = 6  # of a whole note, in a time signature
_NOTHING, _END_OF_TRACK = b"\xff\x01\x00", b"\xff\x2f\x00"


def tidy_tracks(data: bytes) -> tuple[list[bytes], list[str]]:
    """The events of every track in the chunks behind a file's header, and remarks about what breaks the standard.

    Raises
    ------
    SongError
        A track is damaged: at which byte; or its end is missing.
    """
    tracks: list[bytes] = []
    remarks: list[str] = []
    place = max(14, 8 + int.from_bytes(data[4:8]))
    while place + 8 <= len(data):
        kind, start = data[place : place + 4], place + 8
        end = start + int.from_bytes(data[place + 4 : start])
        if kind != b"MTrk":
            whole = kind.isalnum() and end <= len(data)
            place = end if whole else _next_track(data, start)
            if whole or place < len(data):  # else whatever lies behind the last track
                remarks.append(f"its chunk {escaped(kind.decode('latin-1'))} is not a track; skipped")
            continue
        name = f"track {len(tracks) + 1}"
        follows = data[end : end + 4] in (b"MTrk", b"") or data[start:end].endswith(_END_OF_TRACK)
        right = end <= len(data) and follows
        track, stop, clipped = _tidy(data, start, end if right else len(data), name)
        if not right:
            if not track.endswith(_END_OF_TRACK):
                raise SongError(f"is cut off: {name} has no end")
            remarks.append(
                f"the chunk of {name} says that it has {end - start} bytes, and it has {stop - start}"
            )
            end = _next_track(data, stop)
        if clipped:
            remarks.append(
                f"{name} has data bytes above 127, in {clipped} of its messages; they are taken as 127"
            )
        tracks.append(track)
        place = end
    if data[place:].startswith(b"MTrk"):
        raise SongError(f"is cut off: it ends inside the header of track {len(tracks) + 1}")
    return tracks, remarks


def _next_track(data: bytes, place: int) -> int:
    found = data.find(b"MTrk", place)
    return found if found >= 0 else len(data)


def _tidy(data: bytes, place: int, end: int, name: str) -> tuple[bytes, int, int]:
    """A track's events up to its end, where they end in ``data``, and how many messages have data bytes above 127."""
    events: list[bytes] = []
    running = b""
    clipped = 0
    while place < end:
        event = _EVENT.match(data, place, end)
        if event is None:
            raise SongError(f"has no event that can be read at byte {place} ({name})")
        time, meta, meta_length, exclusive_length, system, status = event.groups()
        if status is not None:
            running = status or running
            if not running:
                raise SongError(f"has a data byte where an event should begin at byte {event.end()} ({name})")
            size = _DATA_BYTES[running[0] & 0xF0]
        else:
            length = meta_length or exclusive_length
            size = _number(length) if length else _DATA_BYTES.get(system[0], 0)
        place = event.end() + size
        if place > end:
            raise SongError(f"is cut off: the event at byte {event.start()} reaches past the end of {name}")
        content = data[event.end() : place]
        if status is not None:
            clipped += max(content) > 127
            events.append(time + running + content)
        elif meta is not None and meta[0] == _END:
            return b"".join([*events, time, _END_OF_TRACK]), place, clipped
        elif (meta and _is_needed(meta[0], content)) or (exclusive_length and size <= _MOST_BYTES):
            events.append(event[0] + content)
        else:
            events.append(time + _NOTHING)
    return b"".join(events), place, clipped


def _is_needed(kind: int, content: bytes) -> bool:
    """Whether a meta event says something of a song that can be read."""
    fewest = _FEWEST_BYTES.get(kind, _MOST_BYTES)
    return fewest <= len(content) < _MOST_BYTES and not (kind == _METER and content[1] > _MOST_HALVINGS)


def _number(length: bytes) -> int:
    """A variable-length quantity: seven bits a byte."""
    value = 0
    for byte in length:
        value = value << 7 | byte & 0x7F
    return value
