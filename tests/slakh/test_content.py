"""What a file holds is one text, whatever the file is called, where it lies and how its samples are packed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from slakh_hier.audio import StemFile
from slakh_hier.slakh.content import SampleDigest, content_of, stored_content

RNG = np.random.default_rng(0)
SIXTEEN = RNG.integers(-(2**15), 2**15, (70_000, 2), dtype=np.int16)


def without_md5(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[26:42] = bytes(16)
    path.write_bytes(data)


@pytest.mark.parametrize("channels", [1, 2])
def test_wav_and_flac_of_the_same_samples_have_the_md5_of_the_samples(tmp_path: Path, channels: int) -> None:
    samples = SIXTEEN[:, :channels]
    expected = hashlib.md5(samples.astype("<i2").tobytes()).hexdigest()
    for name in ("a.flac", "b.wav", "c.flac"):
        soundfile.write(tmp_path / name, samples, 8000, subtype="PCM_16")
    without_md5(tmp_path / "c.flac")
    assert [stored_content(tmp_path / name) for name in ("a.flac", "b.wav", "c.flac")] == [expected, "", ""]
    assert [content_of(tmp_path / name) for name in ("a.flac", "b.wav", "c.flac")] == [expected] * 3


@pytest.mark.parametrize("subtype", ["PCM_24", "FLOAT", "PCM_U8", "PCM_32"])
@pytest.mark.parametrize("block", [999, 1 << 20])
def test_what_is_seen_while_a_stem_is_read_is_what_the_whole_file_has(
    tmp_path: Path, subtype: str, block: int
) -> None:
    path = tmp_path / "S00.wav"
    soundfile.write(path, SIXTEEN / 40_000, 8000, subtype=subtype)
    digest = SampleDigest()
    with StemFile(path, track="Track00001", stem="S00") as file:
        file.watch = digest.update
        for start in range(0, file.frames + block, block):
            file.read(start, block, 1)
    assert digest.hex() == content_of(path)
    soundfile.write(path, SIXTEEN[::-1] / 40_000, 8000, subtype=subtype)
    assert digest.hex() != content_of(path)


@pytest.mark.parametrize("data", [b"", b"fLaC", b"no audio" * 100, b"RIFF"])
def test_of_what_is_no_audio_nothing_is_known(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.flac").write_bytes(data)
    assert content_of(tmp_path / "a.flac") == ""
    assert content_of(tmp_path / "none.wav") == ""


def test_a_pipe_is_not_waited_for_and_a_link_is_followed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.flac")
    assert (stored_content(tmp_path / "a.flac"), content_of(tmp_path / "a.flac")) == ("", "")
    soundfile.write(tmp_path / "b.wav", SIXTEEN, 8000, subtype="PCM_16")
    (tmp_path / "c.wav").symlink_to("b.wav")
    assert content_of(tmp_path / "c.wav") == content_of(tmp_path / "b.wav") != ""
