"""MIDI files and SoundFonts made byte by byte, so that the tests know what is in them."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mido")
pytest.importorskip("pyloudnorm")
pytest.importorskip("pretty_midi")

Midi = Callable[..., bytes]


def _length(value: int) -> bytes:
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(0x80 | value & 0x7F)
    return bytes(reversed(out))


def _midi(*tracks: Sequence[tuple[int, bytes]], division: int = 480, form: int = 1) -> bytes:
    out = struct.pack(">4sIHHH", b"MThd", 6, form, len(tracks), division)
    for track in tracks:
        body = b"".join(_length(delta) + event for delta, event in track) + b"\x00\xff\x2f\x00"
        out += struct.pack(">4sI", b"MTrk", len(body)) + body
    return out


@pytest.fixture(scope="session")
def midi() -> Midi:
    """A MIDI file of tracks, each a list of (ticks since the last event, bytes of the event)."""
    return _midi


@pytest.fixture(scope="session")
def song_bytes() -> bytes:
    """Four seconds: piano chords, a bass, drums, and a part of a program without a category."""
    beat = 480
    piano = [(0, b"\xc0\x00"), (0, b"\xff\x03\x05Piano")]
    bass = [(0, b"\xc1\x21")]
    drums = [(0, b"\x99\x24\x64"), (beat, b"\x89\x24\x00")]
    for bar in range(4):
        for key in (60, 64, 67):
            piano.append((0, bytes((0x90, key + bar, 90))))
        for i, key in enumerate((60, 64, 67)):
            piano.append((beat * 2 if i == 0 else 0, bytes((0x80, key + bar, 0))))
        bass += [(0, bytes((0x91, 36 + bar, 100))), (beat * 2, bytes((0x81, 36 + bar, 0)))]
        for key in (36, 38):
            drums += [(0, bytes((0x99, key, 100))), (beat, bytes((0x89, key, 0)))]
    effect = [(0, b"\xc2\x62"), (0, b"\x92\x3c\x50"), (beat * 8, b"\x82\x3c\x00")]
    return _midi(piano, bass, drums, effect)


RATE = 44_100


@pytest.fixture(scope="session")
def make_soundfont(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """An SF2 with one preset of one zone: a looped sine of 441 Hz, with the generators asked for."""

    def make(
        generators: dict[int, int] | None = None, *, root: int = 69, samples: np.ndarray | None = None,
        vorbis: bool = False, loop: tuple[int, int] = (100, 4100), bank: int = 0,
    ) -> Path:  # fmt: skip
        if samples is None:
            samples = np.sin(2 * np.pi * 441 / RATE * np.arange(5000)) * 0.5
        path = tmp_path_factory.mktemp("font") / ("font.sf3" if vorbis else "font.sf2")
        path.write_bytes(_soundfont(samples, generators or {}, root, vorbis, loop, bank))
        return path

    return make


def _soundfont(
    samples: np.ndarray, generators: dict[int, int], root: int, vorbis: bool, loop: tuple[int, int], bank: int
) -> bytes:
    if vorbis:
        import io

        import soundfile

        buffer = io.BytesIO()
        soundfile.write(buffer, samples, RATE, format="OGG", subtype="VORBIS")
        data, end, kind = buffer.getvalue(), len(buffer.getvalue()), 0x10 | 1
    else:
        data = np.rint(np.concatenate([samples, np.zeros(46)]) * 32767).astype("<i2").tobytes()
        end, kind = len(samples), 1

    def chunk(name: bytes, body: bytes) -> bytes:
        return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    def listing(name: bytes, *chunks: bytes) -> bytes:
        return chunk(b"LIST", name + b"".join(chunks))

    rows = [*((k, v) for k, v in sorted(generators.items())), (54, 1), (53, 0)]
    igen = b"".join(struct.pack("<Hh", kind, amount) for kind, amount in rows) + struct.pack("<Hh", 0, 0)
    pdta = listing(
        b"pdta",
        chunk(b"phdr", struct.pack("<20sHHHIII", b"Sine", 0, bank, 0, 0, 0, 0) + struct.pack("<20sHHHIII", b"EOP", 0, 0, 1, 0, 0, 0)),
        chunk(b"pbag", struct.pack("<HHHH", 0, 0, 1, 0)),
        chunk(b"pmod", bytes(10)),
        chunk(b"pgen", struct.pack("<HhHh", 41, 0, 0, 0)),
        chunk(b"inst", struct.pack("<20sH", b"Sine", 0) + struct.pack("<20sH", b"EOI", 1)),
        chunk(b"ibag", struct.pack("<HHHH", 0, 0, len(rows), 0)),
        chunk(b"imod", bytes(10)),
        chunk(b"igen", igen),
        chunk(b"shdr", struct.pack("<20sIIIIIBbHH", b"Sine", 0, end, *loop, RATE, root, 0, 0, kind) + struct.pack("<20s26x", b"EOS")),
    )  # fmt: skip
    body = (
        b"sfbk"
        + listing(b"INFO", chunk(b"ifil", struct.pack("<HH", 2, 1)))
        + listing(b"sdta", chunk(b"smpl", data))
        + pdta
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body
