"""Audio files are whole, or there is an error; sums fit, whatever rounding does."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import soundfile

from slakh_hier.errors import FaultError, InputError
from slakh_hier.output.audio import (
    LARGEST,
    AudioWriter,
    Encoding,
    audio_files,
    check_audio,
    gain_to_fit,
    write_fitting,
    write_sums,
)

FORMATS = [Encoding("flac"), Encoding("flac", "PCM_24"), Encoding("wav"), Encoding("wav", "FLOAT")]
MISSING = (1, 40, 600, 3000, 8000)


def samples(encoding: Encoding, channels: int = 2, frames: int = 30_000) -> np.ndarray:
    values = np.random.default_rng(5).uniform(-0.9, 0.9, (channels, frames)) * encoding.full_scale
    return values.astype(np.float32) if encoding.subtype == "FLOAT" else np.rint(values)


def write(path: Path, values: np.ndarray, encoding: Encoding) -> None:
    with AudioWriter(path, 8000, len(values), values.shape[1], encoding) as writer:
        for block in np.array_split(values, 7, axis=1):
            writer.write(block)


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """A limit on the size of files, which is refused as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("encoding", FORMATS, ids=str)
@pytest.mark.parametrize("channels", [1, 2])
def test_samples_come_back(tmp_path: Path, encoding: Encoding, channels: int) -> None:
    values = samples(encoding, channels)
    write(tmp_path / "x", values, encoding)
    found, rate = soundfile.read(tmp_path / "x", dtype="float64", always_2d=True)
    assert (rate, soundfile.info(tmp_path / "x").subtype) == (8000, encoding.subtype)
    assert np.array_equal(found.T * encoding.full_scale, values)


@pytest.mark.parametrize("encoding", FORMATS, ids=str)
@pytest.mark.parametrize("missing", MISSING)
def test_a_file_that_does_not_fit_is_an_error(tmp_path: Path, encoding: Encoding, missing: int) -> None:
    """libsndfile closes a FLAC file without a word when only its last frame could not be written."""
    values = samples(encoding)
    write(tmp_path / "whole", values, encoding)
    with (
        files_of_at_most((tmp_path / "whole").stat().st_size - missing),
        pytest.raises(OSError, match=r"^cut: "),
    ):
        write(tmp_path / "cut", values, encoding)


@pytest.mark.parametrize("encoding", FORMATS, ids=str)
def test_files_get_their_names_together(tmp_path: Path, encoding: Encoding) -> None:
    values, paths = samples(encoding, 1), [tmp_path / "a", tmp_path / "b"]

    def make(second: np.ndarray) -> None:
        with audio_files(paths, 8000, 1, values.shape[1], encoding) as writers:
            for writer, signal_ in zip(writers, (values, second), strict=True):
                writer.write(signal_)

    make(values)
    before = [path.read_bytes() for path in paths]
    with (
        files_of_at_most(len(before[1]) - 1),
        pytest.raises(FaultError, match=r"cannot write .*/a \(.* MB free"),
    ):
        make(values[:, ::-1])
    assert [path.read_bytes() for path in paths] == before
    assert sorted(tmp_path.iterdir()) == paths


def test_a_file_that_is_given_up_is_removed(tmp_path: Path) -> None:
    with AudioWriter(tmp_path / "x", 8000, 1, 100, Encoding("flac")) as writer:
        writer.write(np.zeros((1, 50)))
        writer.discard()
    assert not list(tmp_path.iterdir())


def test_a_file_that_lacks_samples_is_a_mistake(tmp_path: Path) -> None:
    with (
        pytest.raises(AssertionError, match="50 of 100"),
        AudioWriter(tmp_path / "x", 8000, 1, 100, Encoding("wav")) as writer,
    ):
        writer.write(np.zeros((1, 50)))


def test_long_wav_files_have_sizes_of_64_bits(tmp_path: Path) -> None:
    for frames, kind in ((2 * 10**9, "WAV"), (2 * 10**9 + 1, "RF64")):
        writer = AudioWriter(tmp_path / "x.wav", 8000, 1, frames, Encoding("wav"))
        writer._file.close()
        assert soundfile.info(tmp_path / "x.wav").format == kind
        writer.discard()


@pytest.mark.parametrize(
    ("format", "rate", "message"),
    [
        ("mp3", None, "must be flac or wav, not 'mp3'"),
        ("flac", 10, "between 1000 and 384000 Hz, not 10"),
        ("flac", 70_001, "FLAC has no sample rate of 70001 Hz"),
    ],
)
def test_what_cannot_be_written_is_refused(format: str, rate: int | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_audio(format, rate)
    check_audio("wav", 70_001)
    check_audio("flac", None)


def test_sums_add_up_bit_by_bit(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    atoms = [random.uniform(-9000, 9000, (1, 5000)) for _ in range(3)]
    blocks = list(zip(*(np.array_split(atom, 4, axis=1) for atom in atoms), strict=True))
    paths = [tmp_path / name for name in ("a.flac", "b.flac", "all.flac")]
    for gain in (1.0, 0.3):
        levels = write_sums(blocks, [(0,), (1, 2), (0, 1, 2)], paths, 8000, 5000, Encoding("flac"), gain)
        a, b, every = (soundfile.read(path, dtype="int16")[0].astype(int) for path in paths)
        assert np.array_equal(a, np.rint(gain * atoms[0])[0])
        assert np.array_equal(a + b, every)
        assert levels.fits
        assert levels.peaks == tuple(float(np.abs(signal_).max()) for signal_ in (a, b, every))


def test_one_gain_makes_all_sums_fit(tmp_path: Path) -> None:
    atoms = [np.full((1, 300), 20_000.0), np.full((1, 300), 20_000.4), np.full((1, 300), -30_000.0)]
    sums = [(0, 1), (2,), (0, 1, 2)]
    paths = [tmp_path / f"{place}.wav" for place in range(3)]
    calls: list[float] = []

    def one_pass(gain: float) -> object:
        calls.append(gain)
        found = write_sums([atoms], sums, paths, 8000, 300, Encoding("wav"), gain)
        assert all(path.exists() for path in paths) == found.fits
        return found

    levels, gain = write_fitting(one_pass, 3)  # type: ignore[arg-type]
    assert (len(calls), levels.peaks) == (2, (40_000.0, 30_000.0, 10_000.0))
    first = soundfile.read(paths[0], dtype="int16")[0]
    assert (first == 2 * np.rint(20_000 * gain)).all()
    assert LARGEST - 4 <= first[0] <= LARGEST


def test_gain_leaves_room_for_rounding() -> None:
    random = np.random.default_rng(4)
    for _ in range(2000):
        atoms = int(random.integers(1, 40))
        values = random.uniform(-40_000, 40_000, atoms) + random.choice([0.0, 0.5])
        peak = abs(np.rint(values).sum())
        if peak > LARGEST:
            gain = gain_to_fit(peak, atoms)
            assert abs(np.rint(values * gain).sum()) <= LARGEST
            assert gain * peak > LARGEST - 3 * atoms


@pytest.mark.parametrize("channels", [1, 2])
def test_files_of_floats_name_no_time(tmp_path: Path, channels: int) -> None:
    samples = np.linspace(-0.5, 0.25, 900, dtype=np.float32).reshape(channels, -1)
    for name in ("one.wav", "other.wav"):
        with AudioWriter(tmp_path / name, 8000, channels, samples.shape[1], Encoding("wav", "FLOAT")) as file:
            file.write(samples)
        head = (tmp_path / name).read_bytes()[:256]
        place = head.index(b"PEAK")
        assert head[place + 12 : place + 16] == bytes(4)
        assert int.from_bytes(head[place + 4 : place + 8], "little") == 8 + 8 * channels
        read, _ = soundfile.read(tmp_path / name, dtype="float32", always_2d=True)
        np.testing.assert_array_equal(read.T, samples)
    assert (tmp_path / "one.wav").read_bytes() == (tmp_path / "other.wav").read_bytes()
