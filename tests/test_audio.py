"""Reading stems: exact samples, and one kind of error for every fault of RIFF, FLAC and file systems."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slakh_hier.audio import StemFile, StemRef
from slakh_hier.errors import AudioError

RATE, FRAMES = 8000, 20_000
RANDOM = np.random.default_rng(7)
NOISE = RANDOM.integers(-9000, 9000, FRAMES, dtype=np.int16)


def open_stem(path: Path, **expected: Any) -> StemFile:
    return StemFile(path, track="Track00042", stem="S07", **expected)


@pytest.fixture(params=["flac", "wav"])
def noise(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"S07.{request.param}"
    soundfile.write(path, NOISE, RATE, subtype="PCM_16")
    return path


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    cuts=st.lists(st.tuples(st.integers(0, FRAMES + 500), st.integers(0, 6000)), min_size=1, max_size=6),
)
def test_any_order_of_reads_gives_the_samples_and_zeros_after_the_end(
    noise: Path, cuts: list[tuple[int, int]]
) -> None:
    padded = np.concatenate([NOISE, np.zeros(7000, np.int16)])
    with open_stem(noise, sample_rate=RATE, frames=FRAMES) as file:
        for start, count in cuts:
            got = file.read(start, count, 1)[0]
            assert got.dtype == np.int16
            np.testing.assert_array_equal(got, padded[start : start + count])


@pytest.mark.parametrize("suffix", ["flac", "wav"])
@pytest.mark.parametrize("subtype", ["PCM_24", "FLOAT", "PCM_U8"])
def test_other_sample_formats_come_in_units_of_16_bits(tmp_path: Path, suffix: str, subtype: str) -> None:
    if not soundfile.check_format(suffix, subtype):
        pytest.skip("there is no such file")
    path = tmp_path / f"S07.{suffix}"
    wanted = NOISE.astype(np.float64) / 32768 + 1e-4
    soundfile.write(path, wanted, RATE, subtype=subtype)
    step = {"PCM_24": 2.0**-8, "FLOAT": 2.0**-9, "PCM_U8": 256.0}[subtype]
    with open_stem(path) as file:
        got = file.read(100, 5000, 1)[0].astype(np.float64)
    np.testing.assert_allclose(got, wanted[100:5100] * 32768, atol=step)


@pytest.mark.parametrize("channels", [2, 5])
def test_channels_are_folded_down_to_their_mean(tmp_path: Path, channels: int) -> None:
    data = RANDOM.integers(-20000, 20000, (3000, channels), dtype=np.int16)
    path = tmp_path / "S07.wav"
    soundfile.write(path, data, RATE, subtype="PCM_16")
    with open_stem(path) as file:
        assert file.channels == channels
        got = file.read(10, 2000, 1)[0]
        np.testing.assert_allclose(got, data[10:2010].mean(axis=1), rtol=1e-6, atol=1e-2)
        assert not file.read(2990, 50, 1)[0, 10:].any()


def test_two_channels_are_read_as_they_are_and_a_mono_file_sounds_in_both(tmp_path: Path) -> None:
    data = RANDOM.integers(-20000, 20000, (3000, 2), dtype=np.int16)
    soundfile.write(tmp_path / "stereo.flac", data, RATE, subtype="PCM_16")
    soundfile.write(tmp_path / "mono.flac", data[:, 0], RATE, subtype="PCM_16")
    for name, wanted in (("stereo", data.T), ("mono", np.stack([data[:, 0]] * 2))):
        with open_stem(tmp_path / f"{name}.flac") as file:
            got = file.read(10, 3000, 2)
        assert got.dtype == np.int16
        np.testing.assert_array_equal(got, np.pad(wanted[:, 10:], ((0, 0), (0, 10))))


def missing(path: Path) -> None:
    path.unlink()


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)  # opening it would wait for a writer for ever


def text(path: Path) -> None:
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\n")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def header_only(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:42])


def random_bytes(path: Path) -> None:
    path.write_bytes(RANDOM.bytes(5000))


def shorter(path: Path) -> None:
    soundfile.write(path, NOISE[:-1], RATE, subtype="PCM_16")


def other_rate(path: Path) -> None:
    soundfile.write(path, NOISE, 48000, subtype="PCM_16")


def no_frames(path: Path) -> None:
    soundfile.write(path, NOISE[:0], RATE, subtype="PCM_16")


def link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


FAULTS = [
    missing, directory, pipe, text, empty, header_only, random_bytes, shorter, other_rate, no_frames,
    link_to_itself,
]  # fmt: skip


@pytest.mark.parametrize("damage", FAULTS, ids=lambda fault: fault.__name__)
def test_every_fault_is_an_error_that_names_the_stem(noise: Path, damage: Callable[[Path], None]) -> None:
    damage(noise)
    with pytest.raises(AudioError) as caught, open_stem(noise, sample_rate=RATE, frames=FRAMES) as file:
        file.read(0, FRAMES, 1)
    assert (caught.value.track, caught.value.stem) == ("Track00042", "S07")
    assert str(caught.value).startswith("Track00042/S07: ")
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    samples = (NOISE / 32768).astype(np.float32)
    samples[12_345] = value
    path = tmp_path / "S07.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    with open_stem(path) as file:
        assert np.isfinite(file.read(0, 12_345, 1)).all()
        with pytest.raises(AudioError, match=r"NaN or Inf near 1\.50 s"):
            file.read(12_000, 1000, 1)


def test_links_are_followed(noise: Path, tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    link = tmp_path / "train" / noise.name
    link.symlink_to(noise)
    with open_stem(link) as file:
        np.testing.assert_array_equal(file.read(0, 100, 1)[0], NOISE[:100])


@pytest.fixture(scope="module")
def intact_flac(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("flac") / "S07.flac"
    soundfile.write(path, NOISE, RATE, subtype="PCM_16")
    return path.read_bytes()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_damaged_frames_are_an_error_or_the_right_samples(
    intact_flac: bytes, tmp_path: Path, data: st.DataObject
) -> None:
    """Past the header of 42 bytes, FLAC's frames carry checksums: cuts, flips and zeros must be noticed."""
    kind = data.draw(st.sampled_from(["cut", "flip", "zero", "random"]))
    at = data.draw(st.integers(500, len(intact_flac) - 1))
    damaged = bytearray(intact_flac)
    if kind == "cut":
        del damaged[at:]
    elif kind == "flip":
        damaged[at] ^= 1 << data.draw(st.integers(0, 7))
    else:
        piece = damaged[at : at + 4096]
        damaged[at : at + 4096] = bytes(len(piece)) if kind == "zero" else os.urandom(len(piece))
    path = tmp_path / "S07.flac"
    path.write_bytes(damaged)
    try:
        with open_stem(path, sample_rate=RATE, frames=FRAMES) as file:
            got = file.read(0, FRAMES, 1)[0]
    except AudioError:
        return
    np.testing.assert_array_equal(got, NOISE)


def test_what_lies_before_and_after_a_damaged_place_can_still_be_read(
    intact_flac: bytes, tmp_path: Path
) -> None:
    damaged = bytearray(intact_flac)
    damaged[len(damaged) // 2] ^= 0x10
    path = tmp_path / "S07.flac"
    path.write_bytes(damaged)
    with open_stem(path) as file:
        with pytest.raises(AudioError, match="decoding fails"):
            file.read(5000, 12_000, 1)
        # The frame with the fault has 4096 samples; well away from it all is as it was, in any order.
        for start in (17_000, 500, 16_500, 0):
            np.testing.assert_array_equal(file.read(start, 2500, 1)[0], NOISE[start : start + 2500])


ABSURD = """
import resource, struct, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from slakh_hier.audio import StemFile
from slakh_hier.errors import AudioError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    with StemFile(Path(sys.argv[1]), track="T", stem="S") as file:
        file.read(0, 10_000, 1)
        file.read(10**9, 1000, 1)
except AudioError as error:
    print("refused", error.reason)
print("MB", (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.parametrize("suffix", ["flac", "wav"])
def test_a_header_that_promises_hours_costs_no_memory(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"S07.{suffix}"
    soundfile.write(path, NOISE, RATE, subtype="PCM_16")
    data = bytearray(path.read_bytes())
    if suffix == "flac":
        data[21] |= 0x0F  # the low half of byte 21 and the four bytes after it hold the number of samples
        data[22:26] = b"\xff" * 4
    else:
        at = data.index(b"data")
        data[at + 4 : at + 8] = (0x7FFFFFF0).to_bytes(4, "little")
    path.write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", ABSURD, path], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    refused, memory = "refused" in done.stdout, int(done.stdout.split()[-1])
    assert memory < 100
    if suffix == "flac":  # libsndfile itself cuts a WAV file's promise down to what is there
        assert refused


def test_errors_pass_between_processes() -> None:
    error = pickle.loads(pickle.dumps(AudioError("Track00001", "S00", "is broken")))
    assert (error.track, error.stem, error.reason) == ("Track00001", "S00", "is broken")
    assert str(error) == "Track00001/S00: is broken"


def test_a_stem_opens_as_its_catalog_row_says(noise: Path) -> None:
    right = StemRef("Track00042", "S07", noise.name, RATE, FRAMES, 1)
    with right.open(noise.parent) as file:
        assert (file.sample_rate, file.frames, file.channels, file.integer) == (RATE, FRAMES, 1, True)
    with pytest.raises(AudioError, match="8000 Hz, but 44100 Hz was expected"):
        right._replace(sample_rate=44100).open(noise.parent)
    with pytest.raises(AudioError, match="20000 frames, but the catalog says 19999"):
        right._replace(frames=19_999).open(noise.parent)
    with pytest.raises(AudioError, match="is mono, but the catalog says stereo"):
        right._replace(channels=2).open(noise.parent)
