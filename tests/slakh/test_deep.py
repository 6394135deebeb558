from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from slakh_hier.slakh.deep import check_audio
from slakh_hier.slakh.headers import streaminfo

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
    _, found_bits, stored = streaminfo(path.read_bytes()[:42])
    assert (found_bits, stored) == (bits, hashlib.md5(raw).digest())
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
