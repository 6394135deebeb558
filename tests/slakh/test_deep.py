from __future__ import annotations

import hashlib
import io
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from slakh_hier.flac import first_frame, skip_id3, streaminfo
from slakh_hier.slakh.deep import check_audio

RATE, BLOCK = 16000, 4096


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(5).integers(-8000, 8000, 12 * BLOCK + 77, dtype=np.int16)


@pytest.fixture
def flac(tmp_path: Path, noise: np.ndarray) -> Path:
    path = tmp_path / "S00.flac"
    soundfile.write(path, noise, RATE)
    return path


def frames_of(data: bytes) -> list[int]:
    """Where FLAC frames start: the 14-bit sync code, then bytes that all full frames share."""
    starts = [m.start() for m in re.finditer(rb"\xff\xf8", data)]
    common = max(
        {data[s : s + 4] for s in starts}, key=lambda head: sum(data[s : s + 4] == head for s in starts)
    )
    return [s for s in starts if data[s : s + 4] == common]


@pytest.mark.parametrize(("subtype", "bits"), [("PCM_S8", 8), ("PCM_16", 16), ("PCM_24", 24)])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_md5_is_that_of_the_samples_written(tmp_path, subtype, bits, channels):
    path = tmp_path / "S00.flac"
    values = np.random.default_rng(1).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (3000, channels))
    soundfile.write(path, (values << (32 - bits)).astype(np.int32), RATE, subtype=subtype)
    width = bits // 8
    raw = b"".join(int(value).to_bytes(width, "little", signed=True) for value in values.ravel())
    info = streaminfo(path.read_bytes()[:42])
    assert (info.bits, info.md5) == (bits, hashlib.md5(raw).digest())
    assert check_audio(path) == ""
    data = bytearray(path.read_bytes())
    data[30] ^= 1
    path.write_bytes(data)
    assert "MD5" in check_audio(path)


def test_a_missing_md5_is_no_fault(flac):
    data = bytearray(flac.read_bytes())
    data[26:42] = bytes(16)
    flac.write_bytes(data)
    assert check_audio(flac) == ""


def silent_to_libsndfile(path: Path) -> bool:
    try:
        with soundfile.SoundFile(path) as file:
            while len(file.read(1 << 16)):
                pass
    except soundfile.LibsndfileError:
        return False
    return True


@pytest.mark.parametrize("damage", ["one frame gone", "three frames gone", "frame doubled", "frames swapped"])
def test_damage_in_whole_frames_that_libsndfile_passes(flac, damage):
    data = flac.read_bytes()
    f = frames_of(data)
    assert len(f) >= 10
    broken = {
        "one frame gone": data[: f[4]] + data[f[5] :],
        "three frames gone": data[: f[4]] + data[f[7] :],
        "frame doubled": data[: f[5]] + data[f[4] : f[5]] + data[f[5] :],
        "frames swapped": data[: f[4]] + data[f[5] : f[6]] + data[f[4] : f[5]] + data[f[6] :],
    }[damage]
    flac.write_bytes(broken)
    assert silent_to_libsndfile(flac)  # else this test shows nothing
    assert check_audio(flac) != ""


@pytest.mark.parametrize("damage", ["cut", "cut at a frame", "zeroed", "random", "zero tail", "header only"])
def test_damage_inside_frames(flac, damage):
    data = flac.read_bytes()
    f, half = frames_of(data), len(data) // 2
    junk = np.random.default_rng(2).bytes(4096)
    flac.write_bytes(
        {
            "cut": data[: half + 11],
            "cut at a frame": data[: f[6]],
            "zeroed": data[:half] + bytes(4096) + data[half + 4096 :],
            "random": data[:half] + junk + data[half + 4096 :],
            "zero tail": data[:half] + bytes(len(data) - half),
            "header only": data[: f[0]],
        }[damage]
    )
    assert check_audio(flac) != ""


def test_every_bit_flip_is_an_error_or_leaves_the_samples(flac, noise):
    data = flac.read_bytes()
    rng = np.random.default_rng(3)
    seen = 0
    for bit in rng.integers(42 * 8, len(data) * 8, 60):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << (bit % 8)
        flac.write_bytes(flipped)
        if check_audio(flac) == "":
            np.testing.assert_array_equal(soundfile.read(flac, dtype="int16")[0], noise)
        else:
            seen += 1
    assert seen > 40


def id3(size: int, footer: bool = False) -> bytes:
    """A tag whose content looks like a FLAC stream, to see that it is skipped and not searched."""
    content = (b"fLaC" * size)[:size]
    sizes = bytes(size >> shift & 0x7F for shift in (21, 14, 7, 0))
    head = b"ID3\x04\x00" + (b"\x10" if footer else b"\x00") + sizes
    return head + content + ((b"3DI" + head[3:]) if footer else b"")


@pytest.mark.parametrize("tag", [id3(100), id3(70_000), id3(40) + id3(50)])
def test_the_md5_behind_an_id3_tag_is_compared_too(flac, tag):
    data = flac.read_bytes()
    f = frames_of(data)
    flac.write_bytes(tag + data)
    assert check_audio(flac) == ""
    flac.write_bytes(tag + data[: f[4]] + data[f[5] : f[6]] + data[f[4] : f[5]] + data[f[6] :])
    assert silent_to_libsndfile(flac)
    assert "MD5" in check_audio(flac)


@pytest.mark.parametrize("tag", [b"", id3(0), id3(100), id3(300, footer=True), id3(7, footer=True) + id3(9)])
def test_where_audio_begins(flac, tag):
    file = io.BytesIO(tag + flac.read_bytes())
    skip_id3(file)
    assert file.tell() == len(tag)


@pytest.mark.parametrize("rate", [8000, 11_025, 16_000, 44_100, 45_000, 65_550, 96_000])
def test_the_rate_of_the_first_frame(tmp_path, noise, rate):
    """RFC 9639, section 9.1.2: common rates have codes, others are written in kHz, Hz or tens of Hz."""
    path = tmp_path / "S00.flac"
    soundfile.write(path, noise[:2000], rate)
    with open(path, "rb") as file:
        found = first_frame(file)
        assert found is not None
        assert found[1].sample_rate == rate
    assert check_audio(path) == ""
    data = bytearray(path.read_bytes())
    packed = int.from_bytes(data[18:21], "big") ^ 1 << 7  # the rate is the first 20 bits
    data[18:21] = packed.to_bytes(3, "big")
    path.write_bytes(data)
    assert f"Hz, its first frame {rate} Hz" in check_audio(path)


def test_a_forged_rate_in_frames_alone(flac):
    data = bytearray(flac.read_bytes())
    start = frames_of(bytes(data))[0]
    assert data[start + 2] & 0x0F == 5  # 16 kHz
    data[start + 2] += 1
    data[start + 5] = crc8(data[start : start + 5])
    flac.write_bytes(data)
    assert check_audio(flac) == "its header says 16000 Hz, its first frame 22050 Hz: one of them is damaged"


def crc8(data: bytes) -> int:
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 0x07 if value & 0x80 else value << 1) & 0xFF
    return value


def test_a_header_without_a_number_of_samples(flac):
    data = bytearray(flac.read_bytes())
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    flac.write_bytes(data)
    assert check_audio(flac) != ""


def test_a_wav_file_named_flac(tmp_path, noise):
    soundfile.write(tmp_path / "S00.wav", noise, RATE)
    path = (tmp_path / "S00.wav").rename(tmp_path / "S00.flac")
    assert "is named .flac and is WAV" in check_audio(path)


def test_wav(tmp_path, noise):
    path = tmp_path / "S00.wav"
    soundfile.write(path, noise, RATE)
    assert check_audio(path) == ""
    values = noise / 32768
    soundfile.write(path, values, RATE, subtype="FLOAT")
    assert check_audio(path) == ""
    values[24_000] = np.inf
    soundfile.write(path, values, RATE, subtype="FLOAT")
    assert check_audio(path) == "holds NaN or Inf at 1.50 s"
