"""dr_flac against libsndfile: the same samples of every excerpt, or none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

import slakh_hier.flac_excerpts as module
from slakh_hier.audio import StemFile
from slakh_hier.errors import AudioError
from slakh_hier.flac import frame_header
from slakh_hier.flac_excerpts import FlacExcerpts

pytest.importorskip("miniaudio", reason="there is none for this platform")
RATE, FRAMES = 44_100, 61_234
RNG = np.random.default_rng(17)


def music(channels: int) -> NDArray[np.int16]:
    """Noise that swells from silence: frames of ten bytes and of thousands."""
    swell = np.clip(np.linspace(-8000, 16_000, FRAMES), 0, None)[:, None]
    return np.asarray(RNG.uniform(-1, 1, (FRAMES, channels)) * swell, np.int16)


def written(path: Path, samples: NDArray[np.int16], level: float = 0.5) -> Path:
    with soundfile.SoundFile(path, "w", RATE, samples.shape[1], "PCM_16", compression_level=level) as file:
        file.write(samples)
    return path


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("level", [0.0, 0.5])
def test_every_excerpt_is_what_libsndfile_decodes(tmp_path: Path, channels: int, level: float) -> None:
    wanted = soundfile.read(
        written(tmp_path / "x.flac", music(channels), level), dtype="int16", always_2d=True
    )[0]
    file = FlacExcerpts.open(tmp_path / "x.flac")
    assert file is not None
    block = file.info.blocks[0]
    cuts = [(0, FRAMES), (FRAMES - 1, 1), (0, 1), (block, block), (block - 1, 2), (FRAMES - block, block)]
    cuts += [
        (start, int(RNG.integers(1, FRAMES - start + 1))) for start in RNG.integers(0, FRAMES, 60).tolist()
    ]
    for start, count in cuts:
        got = file.read(start, count)
        assert got is not None, (start, count)
        np.testing.assert_array_equal(got, wanted[start : start + count])
    file.close()


@pytest.mark.parametrize(
    ("name", "channels", "subtype"),
    [
        ("24 bits.flac", 1, "PCM_24"),
        ("8 bits.flac", 1, "PCM_S8"),
        ("three.flac", 3, "PCM_16"),
        ("x.wav", 1, "PCM_16"),
    ],
)
def test_other_files_are_left_to_libsndfile(tmp_path: Path, name: str, channels: int, subtype: str) -> None:
    soundfile.write(tmp_path / name, music(channels), RATE, subtype=subtype)
    assert FlacExcerpts.open(tmp_path / name) is None


def test_tags_before_the_stream_and_damaged_headers_are_left_to_libsndfile(tmp_path: Path) -> None:
    good = written(tmp_path / "x.flac", music(1)).read_bytes()
    assert FlacExcerpts.open(tmp_path / "x.flac") is not None
    first = next(at for at in range(42, len(good)) if frame_header(good, at))
    changed = {
        "an ID3 tag": b"ID3\4\0\0\0\0\0\0" + good,
        "another rate": good[:18] + bytes([good[18] ^ 1]) + good[19:],
        "two channels": good[:20] + bytes([good[20] ^ 2]) + good[21:],
        "blocks of more than one size": good[:8] + b"\0\x20" + good[10:],
        "no first frame": good[:first] + bytes(20) + good[first + 20 :],
        "nothing after the header": good[:42],
    }
    for what, data in changed.items():
        (tmp_path / "y.flac").write_bytes(data)
        assert FlacExcerpts.open(tmp_path / "y.flac") is None, what


def test_without_miniaudio_the_samples_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = music(1)
    path = written(tmp_path / "x.flac", samples)
    monkeypatch.setattr(module, "miniaudio", None)
    assert FlacExcerpts.open(path) is None
    with StemFile(path, track="T", stem="S") as file:
        assert (file.sample_rate, file.frames, file.channels, file.integer) == (RATE, FRAMES, 1, True)
        np.testing.assert_array_equal(file.read(1000, 9000, 1), samples[1000:10_000].T)


def mutated(good: bytes) -> bytes:
    data = bytearray(good)
    at = int(RNG.integers(42, len(data)))
    kind = RNG.choice(["flip", "flips", "zeros", "noise", "cut", "gone", "more"])
    if kind == "flip":
        data[at] ^= 1 << int(RNG.integers(8))
    elif kind == "flips":
        for place in RNG.integers(42, len(data), 20):
            data[place] ^= 1 << int(RNG.integers(8))
    elif kind in ("zeros", "noise"):
        size = len(data[at : at + int(RNG.integers(1, 9000))])
        data[at : at + size] = bytes(size) if kind == "zeros" else RNG.bytes(size)
    elif kind == "cut":
        del data[at:]
    elif kind == "gone":
        del data[at : at + int(RNG.integers(1, 9000))]
    else:
        data[at:at] = RNG.bytes(int(RNG.integers(1, 300)))
    return bytes(data)


@pytest.mark.parametrize("channels", [1, 2])
def test_damaged_files_are_refused_or_give_the_right_samples(tmp_path: Path, channels: int) -> None:
    """150 each; excerpts from the middle too, where dr_flac alone would continue with samples from elsewhere."""
    samples = music(channels)
    path = tmp_path / "x.flac"
    good = written(path, samples).read_bytes()
    refused = right = 0
    for _ in range(150):
        path.write_bytes(mutated(good))
        for start, count in [(0, FRAMES), (20_000, 30_000), (int(RNG.integers(0, FRAMES - 5000)), 5000)]:
            try:
                with StemFile(path, track="T", stem="S") as file:
                    fast = file._excerpts.read(start, count) if file._excerpts else None
                    got = file.read(start, count, channels).T
            except AudioError:
                assert fast is None
                refused += 1
                continue
            if fast is not None:
                right += 1
                np.testing.assert_array_equal(fast, samples[start : start + count])
                np.testing.assert_array_equal(got, fast)
    assert refused > 80
    assert right > 80


@pytest.mark.parametrize("damage", ["gone", "doubled"])
def test_whole_frames_too_few_or_too_many_are_not_taken(tmp_path: Path, damage: str) -> None:
    path = written(tmp_path / "x.flac", music(1))
    good = path.read_bytes()
    starts = [at for at in range(42, len(good)) if good[at] == 0xFF and frame_header(good, at)]
    assert len(starts) == -(-FRAMES // 4096)
    begin, end = starts[10:12]
    path.write_bytes(good[:begin] + good[end:] if damage == "gone" else good[:end] + good[begin:])
    file = FlacExcerpts.open(path)
    assert file is not None
    assert file.read(8 * 4096, 4 * 4096) is None
    assert file.read(2 * 4096, 4 * 4096) is not None
    file.close()
