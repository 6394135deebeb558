"""Samples of converted songs, against whole-file computations and closed forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from slakh_hier.errors import AudioError
from slakh_hier.importing import signals
from slakh_hier.importing.convert import convert
from slakh_hier.importing.signals import length_at, read_together


def write(path: Path, values: np.ndarray, rate: int = 8000, subtype: str = "PCM_16") -> tuple[str, Path]:
    soundfile.write(path, values / 32768, rate, subtype=subtype)
    return path.name, path


def noise(seed: int, *shape: int, level: float = 2000.0) -> np.ndarray:
    return np.rint(np.random.default_rng(seed).standard_normal(shape) * level).clip(-32768, 32767)


def together(files: list[tuple[str, Path]], rate: int, frames: int) -> np.ndarray:
    blocks = list(read_together("song", files, rate, frames))
    return np.array([np.concatenate(signal) for signal in zip(*blocks, strict=True)])


@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(1, 700), min_size=1, max_size=3), extra=st.integers(0, 300))
def test_blocks_hold_the_samples_and_then_zeros(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], extra: int
) -> None:
    folder = tmp_path_factory.mktemp("audio")
    values = [noise(i, length) for i, length in enumerate(lengths)]
    files = [write(folder / f"{i}.wav", samples) for i, samples in enumerate(values)]
    frames = max(lengths) + extra
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signals, "BLOCK", 128)
        found = together(files, 8000, frames)
    assert np.array_equal(found, [np.pad(samples, (0, frames - len(samples))) for samples in values])


@pytest.mark.parametrize(("rate", "new"), [(8000, 11025), (48000, 44100), (44100, 16000)])
def test_resampling_in_blocks_is_that_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: int, new: int
) -> None:
    monkeypatch.setattr(signals, "BLOCK", 1000)
    stereo = noise(1, 12_345, 2)
    file = write(tmp_path / "x.wav", stereo, rate)
    frames = length_at(12_345, rate, new)
    whole = soxr.resample(stereo.mean(axis=1), rate, new, quality="HQ")
    assert abs(len(whole) - frames) <= 1
    # soxr computes in float32 here and in float64 there.
    assert np.abs(together([file], new, frames)[0][: len(whole)] - whole[:frames]).max() < 0.02


def test_frames_that_are_not_finite_are_named(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "v.wav", np.array([0.0, np.nan, 0.0]), 8000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"song/v.wav: holds NaN or Inf"):
        list(read_together("song", [("v.wav", tmp_path / "v.wav")], 8000, 3))


class Song:
    """A converted song: the integers of its files."""

    def __init__(
        self,
        folder: Path,
        sources: list[tuple[str, Path]],
        mix: tuple[str, Path] | None = None,
        rate: int = 8000,
    ):
        (folder / "out").mkdir()
        targets = [folder / "out" / f"{i}.flac" for i in range(len(sources))]
        infos = [soundfile.info(path) for _, path in sources]
        self.made = convert(
            "song",
            [(name, path, target) for (name, path), target in zip(sources, targets, strict=True)],
            folder / "out" / "mix.flac",
            given_mix=mix,
            audio_format="flac",
            rate=rate,
            frames=max(length_at(info.frames, info.samplerate, rate) for info in infos),
        )
        self.stems = np.array([soundfile.read(path, dtype="int16")[0] for path in targets]).astype(int)
        self.mix = soundfile.read(folder / "out" / "mix.flac", dtype="int16")[0].astype(int)


def test_16_bit_mono_stays_as_it_is(tmp_path: Path) -> None:
    values = [noise(i, 5000) for i in range(3)]
    song = Song(tmp_path, [write(tmp_path / f"{i}.wav", v) for i, v in enumerate(values)])
    assert np.array_equal(song.stems, values)
    assert np.array_equal(song.mix, sum(values))
    assert song.made.gain == 1.0


@pytest.mark.parametrize("subtype", ["PCM_24", "FLOAT", "PCM_32"])
def test_other_samples_are_rounded(tmp_path: Path, subtype: str) -> None:
    values = [np.random.default_rng(i).standard_normal(5000) * 1000 for i in range(3)]
    song = Song(tmp_path, [write(tmp_path / f"{i}.wav", v, subtype=subtype) for i, v in enumerate(values)])
    assert np.abs(song.stems - values).max() <= 0.5 + 1 / 256
    assert np.array_equal(song.mix, song.stems.sum(axis=0))


@pytest.mark.parametrize("level", [12_000, 40_000])
def test_one_gain_keeps_stems_and_mix_below_full_scale(tmp_path: Path, level: float) -> None:
    """At the lower level only the mix would clip, at the higher one each stem does."""
    n = np.arange(4000)
    values = [level * np.sin(0.05 * n) for _ in range(3)]
    song = Song(tmp_path, [write(tmp_path / f"{i}.wav", v, subtype="FLOAT") for i, v in enumerate(values)])
    gain = song.made.gain
    assert gain == pytest.approx(32767 / (3 * level), rel=1e-3)
    assert np.abs(song.stems - gain * np.array(values)).max() <= 0.51
    assert np.array_equal(song.mix, song.stems.sum(axis=0))
    assert 32700 < np.abs(song.mix).max() <= 32767


def test_stems_that_cancel_may_not_clip_either(tmp_path: Path) -> None:
    loud = 50_000 * np.sin(0.05 * np.arange(4000))
    song = Song(tmp_path, [write(tmp_path / f"{s}.wav", s * loud, subtype="FLOAT") for s in (1, -1)])
    assert not song.mix.any()
    assert song.made.gain == pytest.approx(32766.5 / 50_000, rel=1e-4)
    assert np.abs(song.stems[0] - song.made.gain * loud).max() <= 0.51


def test_the_lowest_integer_is_no_clipping(tmp_path: Path) -> None:
    values = np.array([-32768.0, 32767.0, 0.0] * 10)
    song = Song(tmp_path, [write(tmp_path / "x.wav", values)])
    assert (song.made.gain, song.stems[0].min()) == (1.0, -32768)


def test_a_mixture_is_compared_with_the_sum(tmp_path: Path) -> None:
    values = [noise(i, 8000) for i in range(2)]
    files = [write(tmp_path / f"{i}.wav", v) for i, v in enumerate(values)]
    for name, factor in (("same", 1.0), ("half", 0.5)):
        folder = tmp_path / name
        folder.mkdir()
        mixture = write(folder / "mix.wav", factor * sum(values), subtype="FLOAT")
        difference = Song(folder, files, mixture).made.mix_difference
        expected = -np.inf if factor == 1 else 20 * np.log10((1 - factor) / factor)
        assert difference == pytest.approx(expected, abs=1e-6)


def test_silence_is_named(tmp_path: Path) -> None:
    song = Song(tmp_path, [write(tmp_path / "a.wav", noise(0, 100)), write(tmp_path / "b.wav", np.zeros(50))])
    assert (song.made.silent, song.made.gain) == (("b.wav",), 1.0)
