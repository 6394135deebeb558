"""Samples of converted songs, against whole-file computations and closed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from slakh_hier.importing.convert import convert
from slakh_hier.importing.sources import Settings, Song, SourceFile, SourceStem


def write(path: Path, values: np.ndarray, rate: int = 8000, subtype: str = "PCM_16") -> SourceFile:
    soundfile.write(path, values / 32768, rate, subtype=subtype)
    return SourceFile(path.name, str(path))


def noise(seed: int, *shape: int, level: float = 2000.0) -> np.ndarray:
    return np.rint(np.random.default_rng(seed).standard_normal(shape) * level).clip(-32768, 32767)


class Converted:
    """A converted song: the integers of its files. Each stem is made of one file, or of several."""

    def __init__(
        self,
        folder: Path,
        stems: list[SourceFile | tuple[SourceFile, ...]],
        mix: SourceFile | None = None,
        rate: int | None = None,
    ):
        (folder / "out" / "stems").mkdir(parents=True)
        files = [stem if isinstance(stem, tuple) else (stem,) for stem in stems]
        self.song = Song(
            "song",
            "",
            tuple(SourceStem(each[0].name, each, {}) for each in files),
            mix,
            Settings("convert", rate, "flac"),
        )
        headers = {file.name: file.header("song") for file in self.song.files}
        self.gain, self.record = convert(self.song, headers, folder / "out", [])
        paths = sorted((folder / "out" / "stems").iterdir())
        self.stems = np.array([soundfile.read(path, dtype="int16")[0] for path in paths]).astype(int)
        self.mix = soundfile.read(folder / "out" / "mix.flac", dtype="int16")[0].astype(int)


def test_16_bit_mono_stays_as_it_is(tmp_path: Path) -> None:
    values = [noise(i, 5000) for i in range(3)]
    song = Converted(tmp_path, [write(tmp_path / f"{i}.wav", v) for i, v in enumerate(values)])
    assert np.array_equal(song.stems, values)
    assert np.array_equal(song.mix, sum(values))
    assert song.gain == 1.0


def test_the_files_of_a_stem_are_added_up(tmp_path: Path) -> None:
    values = [noise(i, 5000) for i in range(3)]
    files = [write(tmp_path / f"{i}.wav", v) for i, v in enumerate(values)]
    song = Converted(tmp_path, [files[0], (files[1], files[2])])
    assert np.array_equal(song.stems, [values[0], values[1] + values[2]])
    assert np.array_equal(song.mix, sum(values))
    assert song.record.stems == 2


def test_files_of_several_rates_become_one(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{rate}.wav", noise(rate, rate), rate) for rate in (8000, 11025, 8000 * 2)]
    song = Converted(tmp_path, list(files), rate=16_000)
    assert song.stems.shape == (3, 16_000)
    assert np.array_equal(song.stems[2], noise(16_000, 16_000))
    assert np.array_equal(song.mix, song.stems.sum(axis=0))


@pytest.mark.parametrize("subtype", ["PCM_24", "FLOAT", "PCM_32"])
def test_other_samples_are_rounded(tmp_path: Path, subtype: str) -> None:
    values = [np.random.default_rng(i).standard_normal(5000) * 1000 for i in range(3)]
    files = [write(tmp_path / f"{i}.wav", v, subtype=subtype) for i, v in enumerate(values)]
    song = Converted(tmp_path, list(files))
    assert np.abs(song.stems - values).max() <= 0.5 + 1 / 256
    assert np.array_equal(song.mix, song.stems.sum(axis=0))


@pytest.mark.parametrize("level", [12_000, 40_000])
def test_one_gain_keeps_stems_and_mix_below_full_scale(tmp_path: Path, level: float) -> None:
    """At the lower level only the mix would clip, at the higher one each stem does."""
    n = np.arange(4000)
    values = [level * np.sin(0.05 * n) for _ in range(3)]
    files = [write(tmp_path / f"{i}.wav", v, subtype="FLOAT") for i, v in enumerate(values)]
    song = Converted(tmp_path, list(files))
    assert song.gain == pytest.approx(32767 / (3 * level), rel=1e-3)
    assert np.abs(song.stems - song.gain * np.array(values)).max() <= 0.51
    assert np.array_equal(song.mix, song.stems.sum(axis=0))
    assert 32700 < np.abs(song.mix).max() <= 32767


def test_stems_that_cancel_may_not_clip_either(tmp_path: Path) -> None:
    loud = 50_000 * np.sin(0.05 * np.arange(4000))
    files = [write(tmp_path / f"{s}.wav", s * loud, subtype="FLOAT") for s in (1, -1)]
    song = Converted(tmp_path, list(files))
    assert not song.mix.any()
    assert song.gain == pytest.approx(32766 / 50_000, rel=1e-4)
    assert np.abs(song.stems[0] - song.gain * loud).max() <= 0.51


def test_the_lowest_integer_is_no_clipping(tmp_path: Path) -> None:
    values = np.array([-32768.0, 32767.0, 0.0] * 10)
    song = Converted(tmp_path, [write(tmp_path / "x.wav", values)])
    assert (song.gain, song.stems[0].min()) == (1.0, -32768)


@pytest.mark.parametrize(("factor", "decibels"), [(1.0, None), (0.5, 0.0), (0.9, -19.1)])
def test_a_mixture_is_compared_with_the_sum(tmp_path: Path, factor: float, decibels: float | None) -> None:
    """The difference is (1 - factor) of the sum, relative to a mixture that is factor of it."""
    values = [noise(i, 8000) for i in range(2)]
    files = [write(tmp_path / f"{i}.wav", v) for i, v in enumerate(values)]
    mixture = write(tmp_path / "mix.wav", factor * sum(values), subtype="FLOAT")
    remarks = Converted(tmp_path, list(files), mixture).record.remarks
    if decibels is None:
        assert remarks == ()
    else:
        assert f"(the difference is {decibels:.1f} dB relative to it)" in remarks[0]


def test_silence_is_named(tmp_path: Path) -> None:
    song = Converted(
        tmp_path, [write(tmp_path / "a.wav", noise(0, 100)), write(tmp_path / "b.wav", np.zeros(50))]
    )
    assert (song.record.remarks, song.record.silent, song.gain) == (("silent: b.wav",), 1, 1.0)
