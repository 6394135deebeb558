from __future__ import annotations

import struct

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slakh_hier.audio import StemFile
from slakh_hier.errors import AudioError
from slakh_hier.slakh.content import stored_content
from slakh_hier.slakh.deep import check_audio
from slakh_hier.slakh.headers import Header, HeaderError, read_header


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    kind=st.sampled_from(
        [("flac", "PCM_16"), ("flac", "PCM_24"), ("flac", "PCM_S8")]
        + [
            ("wav", s)
            for s in ("PCM_16", "PCM_24", "PCM_32", "PCM_U8", "FLOAT", "DOUBLE", "IMA_ADPCM", "ULAW")
        ]
    ),
    rate=st.sampled_from([8000, 16000, 22050, 44100, 48000, 96000]),
    channels=st.integers(1, 4),
    frames=st.integers(1, 5000),
)
def test_headers_agree_with_libsndfile(tmp_path, kind, rate, channels, frames):
    suffix, subtype = kind
    channels = min(channels, 2) if subtype == "IMA_ADPCM" else channels
    path = tmp_path / f"S00.{suffix}"
    soundfile.write(path, np.zeros((frames, channels)), rate, subtype=subtype)
    info = soundfile.info(str(path))
    content = stored_content(path)
    assert read_header(path) == Header(info.frames, info.samplerate, info.channels, content)
    assert bool(content) == (suffix == "flac")


@pytest.mark.parametrize("form", ["RF64", "WAVEX", "W64"])
def test_further_wav_forms(tmp_path, form):
    path = tmp_path / "S00.wav"
    soundfile.write(path, np.zeros((77, 2)), 16000, format=form, subtype="PCM_16")
    assert read_header(path) == Header(77, 16000, 2)


def test_chunks_before_the_samples(tmp_path):
    path = tmp_path / "S00.wav"
    soundfile.write(path, np.zeros(100, np.int16), 16000)
    data = path.read_bytes()
    odd = b"LIST" + struct.pack("<I", 5) + b"hello\0"
    path.write_bytes(data[:12] + odd + data[12:])
    assert read_header(path) == Header(100, 16000, 1)
    far = b"junk" + struct.pack("<I", 10_000) + bytes(10_000)
    path.write_bytes(data[:12] + far + data[12:])
    assert read_header(path) == Header(100, 16000, 1)


def test_a_wav_file_cut_short_is_seen_although_libsndfile_is_silent(tmp_path):
    path = tmp_path / "S00.wav"
    soundfile.write(path, np.zeros(1000, np.int16), 16000)
    path.write_bytes(path.read_bytes()[:-500])
    assert soundfile.info(str(path)).frames == 750
    with pytest.raises(
        HeaderError, match="cut short: its header declares 2000 bytes of samples, 500 are missing"
    ):
        read_header(path)


def test_a_wav_name_does_not_matter(tmp_path):
    path = tmp_path / "S00.flac"
    soundfile.write(path, np.zeros(50, np.int16), 16000, format="WAV")
    assert read_header(path) == Header(50, 16000, 1)


def test_id3_before_flac(tmp_path):
    path = tmp_path / "S00.flac"
    soundfile.write(path, np.zeros(50, np.int16), 16000)
    path.write_bytes(b"ID3\x04\0\0\0\0\0\x0a" + bytes(10) + path.read_bytes())
    assert read_header(path) == Header(50, 16000, 1)


LONG = 192 << 20
"""Bytes of header, more than the fixture ``bounded`` lets anybody take; zeros, which take no room on the disk."""


def id3_tag(data):
    return [b"ID3\x04\0\0" + bytes(LONG >> shift & 0x7F for shift in (21, 14, 7, 0)), LONG, data]


def empty_tags(data):
    return [b"ID3\x04\0\0\0\0\0\0" * 5_000_000, data]


def flac_blocks(data, count=LONG >> 23):
    padding = [piece for _ in range(count) for piece in (b"\x01" + (1 << 23).to_bytes(3, "big"), 1 << 23)]
    return [data[:4] + bytes([data[4] & 0x7F]) + data[5:42], *padding, data[42:]]


def empty_blocks(data):
    return [data[:4] + bytes([data[4] & 0x7F]) + data[5:42], b"\x01\0\0\0" * 500_000, data[42:]]


def list_chunk(data):
    return [data[:12], b"LIST" + struct.pack("<I", LONG), LONG, data[12:]]


def empty_chunks(data):
    return [data[:12], (b"junk" + bytes(4)) * 500_000, data[12:]]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("suffix", "lengthen"),
    [
        ("flac", id3_tag),
        ("flac", empty_tags),
        ("flac", flac_blocks),
        ("flac", empty_blocks),
        ("wav", list_chunk),
        ("wav", empty_chunks),
    ],
)
def test_an_absurdly_long_header_is_read_or_refused(tmp_path, bounded, suffix, lengthen):
    path = tmp_path / f"S00.{suffix}"
    soundfile.write(path, np.arange(50, dtype=np.int16), 16000)
    pieces = lengthen(path.read_bytes())
    with open(path, "wb") as file:
        for piece in pieces:
            if isinstance(piece, bytes):
                file.write(piece)
            else:
                file.seek(piece, 1)
    assert path.stat().st_size >= 2_000_000
    with bounded():
        try:
            assert read_header(path) == Header(50, 16000, 1, stored_content(path))
        except HeaderError as error:
            assert "not audio that can be opened: " in str(error)  # noqa: PT017
    with bounded():
        try:
            with StemFile(path, track="Track00001", stem="S00") as stem:
                np.testing.assert_array_equal(stem.read(0, 50, 1)[0], np.arange(50))
        except AudioError as error:
            assert str(error).startswith("Track00001/S00: ")  # noqa: PT017
    with bounded():
        assert isinstance(check_audio(path), str)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"<html>not found</html>", "not audio that can be opened"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
        (b"fLaC", "not audio that can be opened"),
        (b"RIFF\0\0\0\0WAVE", "not audio that can be opened"),
        (bytes(5000), "not audio that can be opened"),
    ],
)
def test_no_audio(tmp_path, content, words):
    path = tmp_path / "S00.flac"
    path.write_bytes(content)
    with pytest.raises(HeaderError, match=words):
        read_header(path)


def test_a_wav_without_samples(tmp_path):
    path = tmp_path / "S00.wav"
    soundfile.write(path, np.zeros(0, np.int16), 16000)
    with pytest.raises(HeaderError, match="holds no samples"):
        read_header(path)


@pytest.mark.parametrize(("rate", "frames"), [(44100, 1 << 35), (0, 1000), (300, 1000)])
def test_headers_that_cannot_be(tmp_path, rate, frames):
    path = tmp_path / "S00.flac"
    soundfile.write(path, np.zeros(5000, np.int16), 44100)
    data = bytearray(path.read_bytes())
    data[18:26] = (rate << 44 | 15 << 36 | frames).to_bytes(8, "big")
    path.write_bytes(data)
    with pytest.raises(HeaderError, match="not plausible"):
        read_header(path)


def test_a_flac_of_unknown_length_says_how_to_encode_it_again(tmp_path):
    path = tmp_path / "S00.flac"
    soundfile.write(path, np.zeros(5000, np.int16), 44100)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # RFC 9639, section 8.2: 36 bits of zeros are an unknown number of samples
    data[22:42] = bytes(20)
    path.write_bytes(data)
    with pytest.raises(HeaderError, match=r"no length in its header.*encode it again: flac -f S00\.flac"):
        read_header(path)
