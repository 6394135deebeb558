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
    """A converted song: its files in units of 16 bits, exactly. Each stem is made of one file, or of several."""

    def __init__(
        self,
        folder: Path,
        stems: list[SourceFile | tuple[SourceFile, ...]],
        mix: SourceFile | None = None,
        rate: int | None = None,
        channels: int | None = None,
        gains: tuple[float, ...] = (),
    ):
        (folder / "out" / "stems").mkdir(parents=True)
        files = [stem if isinstance(stem, tuple) else (stem,) for stem in stems]
        factors = gains or (1.0,) * len(files)
        stems_made = (
            SourceStem(each[0].name, each, {}, gain=gain) for each, gain in zip(files, factors, strict=True)
        )
        self.song = Song("song", "", tuple(stems_made), mix)
        headers = {file.name: file.header("song") for file in self.song.files}
        settings = Settings("convert", rate, "flac", channels)
        self.gain, self.record = convert(self.song, settings, headers, folder / "out", [])
        paths = sorted((folder / "out" / "stems").iterdir())
        self.stems = np.array([soundfile.read(path, dtype="int32")[0] for path in paths]) / 65536
        self.mix = soundfile.read(folder / "out" / "mix.flac", dtype="int32")[0] / 65536
        (self.subtype,) = {soundfile.info(path).subtype for path in (*paths, folder / "out" / "mix.flac")}


def test_16_bit_mono_stays_as_it_is(tmp_path: Path) -> None:
    values = [noise(i, 5000) for i in range(3)]
    song = Converted(tmp_path, [write(tmp_path / f"{i}.wav", v) for i, v in enumerate(values)])
    assert np.array_equal(song.stems, values)
    assert np.array_equal(song.mix, sum(values))
    assert (song.gain, song.subtype) == (1.0, "PCM_16")


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
def test_more_than_16_bits_become_24(tmp_path: Path, subtype: str) -> None:
    values = [np.random.default_rng(i).standard_normal(5000) * 1000 for i in range(3)]
    files = [write(tmp_path / f"{i}.wav", v, subtype=subtype) for i, v in enumerate(values)]
    song = Converted(tmp_path, list(files))
    assert song.subtype == "PCM_24"
    assert (
        np.abs(song.stems - values).max() <= (1.01 if subtype == "PCM_24" else 0.55) / 256
    )  # float32 has 24 bits too
    assert (song.stems % 1 != 0).any()
    assert np.array_equal(song.mix, song.stems.sum(axis=0))
    if subtype == "PCM_24":
        stored = [soundfile.read(file.path, dtype="int32")[0] / 65536 for file in files]
        assert np.array_equal(song.stems, stored), "every bit is there"


def test_one_deep_file_decides_for_its_song(tmp_path: Path) -> None:
    values = [noise(0, 5000), np.random.default_rng(1).standard_normal(5000) * 1000]
    files = [write(tmp_path / "a.wav", values[0]), write(tmp_path / "b.wav", values[1], subtype="FLOAT")]
    song = Converted(tmp_path, list(files))
    assert song.subtype == "PCM_24"
    assert np.array_equal(song.stems[0], values[0])
    assert np.array_equal(song.mix, song.stems.sum(axis=0))


def test_lossy_files_become_16_bits(tmp_path: Path) -> None:
    file = write(tmp_path / "a.ogg", noise(0, 5000), subtype="VORBIS")
    assert Converted(tmp_path, [file]).subtype == "PCM_16"


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


def test_channels_stay_as_they_are_and_mono_sounds_in_both(tmp_path: Path) -> None:
    stereo, mono = noise(0, 5000, 2), noise(1, 5000)
    files = [write(tmp_path / "s.wav", stereo), write(tmp_path / "m.wav", mono)]
    song = Converted(tmp_path, list(files))
    assert np.array_equal(song.stems, [stereo, np.stack([mono, mono], axis=1)])
    assert np.array_equal(song.mix, song.stems.sum(axis=0))
    assert song.record.folded == 0


def test_folding_is_asked_for_but_for_more_than_two_channels(tmp_path: Path) -> None:
    values = {"two": noise(0, 500, 2), "four": noise(1, 500, 4)}
    files = {name: write(tmp_path / f"{name}.wav", value) for name, value in values.items()}
    asked = Converted(tmp_path / "asked", [files["two"]], channels=1)
    assert np.array_equal(asked.stems[0], np.rint(values["two"].mean(axis=1)))
    wide = Converted(tmp_path / "wide", [files["four"]])
    assert np.array_equal(wide.stems[0], np.rint(values["four"].mean(axis=1)))
    both = Converted(tmp_path / "both", [files["two"], files["four"]])
    assert np.array_equal(both.stems[1][:, 0], wide.stems[0])
    assert [song.record.folded for song in (asked, wide, both)] == [1, 1, 1]


def test_stereo_is_resampled_channel_by_channel(tmp_path: Path) -> None:
    left, right = noise(0, 16_000), noise(1, 16_000)
    stereo = Converted(
        tmp_path / "s", [write(tmp_path / "s.wav", np.stack([left, right], 1), 16_000)], rate=8000
    )
    monos = [
        Converted(tmp_path / str(i), [write(tmp_path / f"{i}.wav", value, 16_000)], rate=8000).stems[0]
        for i, value in enumerate((left, right))
    ]
    assert np.array_equal(stereo.stems[0].T, monos)


def test_gains_of_stems_come_before_the_sum(tmp_path: Path) -> None:
    values = [noise(i, 4000) for i in range(2)]
    files = [write(tmp_path / f"{i}.wav", v) for i, v in enumerate(values)]
    mixture = write(tmp_path / "mix.wav", 0.75 * values[0] + 1.6 * values[1], subtype="FLOAT")
    song = Converted(tmp_path, list(files), mixture, gains=(0.75, 1.6))
    assert np.abs(song.stems - np.array([[0.75], [1.6]]) * values).max() <= 0.5
    assert np.array_equal(song.mix, song.stems.sum(axis=0))
    assert song.record.remarks == ()
    plain = Converted(tmp_path / "plain", list(files), mixture)
    assert "is not the sum of its stems" in plain.record.remarks[0]


def test_other_rates_are_reported(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{i}.wav", noise(i, 800), rate) for i, rate in enumerate((8000, 8000, 11_025))]
    assert Converted(tmp_path, list(files)).record.remarks == (
        "converted to 8000 Hz, its track's rate: 2.wav (11025 Hz)",
    )
    # Of a rate that was asked for, only what differs from the other files is news.
    assert Converted(tmp_path / "asked", list(files), rate=4000).record.remarks == (
        "converted to 4000 Hz, its track's rate: 2.wav (11025 Hz)",
    )
    assert Converted(tmp_path / "alike", list(files[:2]), rate=4000).record.remarks == ()
