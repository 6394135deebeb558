"""Decoding, adding up and resampling, against whole-file computations; and the lengths of all of it."""

from __future__ import annotations

from contextlib import ExitStack
from fractions import Fraction
from math import floor
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from slakh_hier import signals
from slakh_hier.audio import StemFile, StemRef
from slakh_hier.errors import AudioError
from slakh_hier.signals import ABSENT, SILENT, Atoms, TrackReader, length_at, read_atoms, sample_at

RATES = st.integers(1000, 200_000)


def noise(seed: int, *shape: int, level: float = 2000.0) -> np.ndarray:
    return np.rint(np.random.default_rng(seed).standard_normal(shape) * level).clip(-32768, 32767)


def write(path: Path, values: np.ndarray, rate: int = 8000, subtype: str = "PCM_16") -> Path:
    soundfile.write(path, values / 32768, rate, subtype=subtype)
    return path


def together(
    paths: list[Path], groups: list[tuple[int, ...]], rate: int, frames: int
) -> list[list[np.ndarray]]:
    with ExitStack() as stack:
        files = [stack.enter_context(StemFile(path, track="song", stem=path.name)) for path in paths]
        return list(read_atoms(files, groups, rate, frames, 1))


@given(st.integers(0, 10**6), RATES)
def test_a_hop_begins_where_exact_arithmetic_says(hop: int, rate: int) -> None:
    assert sample_at(hop / 2, rate) == hop * rate // 2


@given(st.integers(0, 10**7), st.integers(1, 1000), RATES)
def test_decimal_times_are_as_exact_as_they_are_written(number: int, per_second: int, rate: int) -> None:
    exact = Fraction(number, per_second) * rate
    if min(exact % 1, 1 - exact % 1) > Fraction(1, 10**5) or exact.denominator == 1:
        assert sample_at(number / per_second, rate) == floor(exact)


@given(st.integers(1, 10**9), RATES, RATES)
def test_lengths_are_positions(frames: int, rate: int, new_rate: int) -> None:
    assert length_at(frames, rate, rate) == frames
    assert length_at(frames, rate, new_rate) == max(1, floor(Fraction(frames * new_rate, rate)))


@pytest.mark.parametrize(
    ("frames", "native", "rate"), [(7, 48000, 44100), (441017, 44100, 16000), (9, 8000, 44100)]
)
def test_resampled_signals_are_cut_by_one_sample_at_most(frames: int, native: int, rate: int) -> None:
    found = len(soxr.resample(np.zeros(frames), native, rate, quality="HQ"))
    assert 0 <= found - length_at(frames, native, rate) <= 1


@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(1, 700), min_size=1, max_size=3), frames=st.integers(1, 1000))
def test_blocks_hold_the_samples_and_then_zeros(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], frames: int
) -> None:
    folder = tmp_path_factory.mktemp("audio")
    values = [noise(i, length) for i, length in enumerate(lengths)]
    paths = [write(folder / f"{i}.wav", samples) for i, samples in enumerate(values)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(signals, "BLOCK", 128)
        blocks = together(paths, [(i,) for i in range(len(paths))], 8000, frames)
    assert all(block.dtype == np.int32 for atoms in blocks for block in atoms)
    assert [atoms[0].shape[1] for atoms in blocks[:-1]] == [128] * (len(blocks) - 1)
    for i, samples in enumerate(values):
        found = np.concatenate([atoms[i] for atoms in blocks], axis=1)
        assert np.array_equal(found, [np.pad(samples, (0, frames))[:frames]])


@pytest.mark.parametrize(("rate", "new"), [(8000, 11025), (48000, 44100), (44100, 16000)])
def test_resampling_in_blocks_is_that_of_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: int, new: int
) -> None:
    monkeypatch.setattr(signals, "BLOCK", 1000)
    stereo, mono = noise(1, 12_345, 2), noise(2, 12_000)
    paths = [write(tmp_path / "x.wav", stereo, rate), write(tmp_path / "y.wav", mono, rate)]
    frames = length_at(12_345, rate, new)
    total = stereo.mean(axis=1)
    total[:12_000] += mono
    whole = soxr.resample(total, rate, new, quality="HQ")
    (found,) = zip(*together(paths, [(0, 1)], new, frames), strict=True)
    # soxr computes in float32 here and in float64 there.
    assert np.abs(np.concatenate(found, axis=1)[0] - whole[:frames]).max() < 0.02


def test_samples_that_are_not_finite_are_named(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "v.wav", np.array([0.0, np.nan, 0.0]), 8000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"song/v.wav: holds NaN or Inf"):
        together([tmp_path / "v.wav"], [(0,)], 8000, 3)


@given(
    st.integers(1, 6).flatmap(
        lambda stems: st.lists(st.lists(st.booleans(), min_size=stems, max_size=stems), max_size=6)
    )
)
def test_every_output_is_the_sum_of_its_atoms(rows: list[list[bool]]) -> None:
    stems = len(rows[0]) if rows else 1
    members = np.array([[True] * stems, *rows])  # the mix first
    atoms = Atoms(members)
    assert sorted(stem for group in atoms.groups for stem in group) == list(range(stems))
    sums, place = atoms.sums()
    assert len(set(sums)) == len(sums)
    for output, row in enumerate(members):
        if row.any():
            inside = {stem for atom in sums[place[output]] for stem in atoms.groups[atom]}
            assert inside == set(np.flatnonzero(row))
        else:
            assert place[output] == ABSENT


def test_outputs_share_what_sounds_the_same() -> None:
    members = np.array([[1, 1, 1], [1, 1, 0], [0, 0, 1], [0, 0, 0]], bool)
    atoms = Atoms(members)
    assert sorted(map(len, atoms.groups)) == [1, 2]
    pair = next(place for place, group in enumerate(atoms.groups) if len(group) == 2)
    sums, place = atoms.sums({pair})
    assert (sums, place) == ([(pair,)], [0, 0, SILENT, ABSENT])


def test_a_clip_is_the_same_whatever_was_read_before(tmp_path: Path) -> None:
    values = noise(3, 3, 20_000)
    values[2, 5000:] = 0
    for i, samples in enumerate(values):
        write(tmp_path / f"{i}.wav", samples)
    stems = [StemRef("t", f"S{i}", f"{i}.wav", 8000, 20_000, 1) for i in range(3)]
    members = np.array([[1, 1, 1], [1, 1, 0], [0, 0, 1]], bool)
    with TrackReader(stems, members, tmp_path, 1) as reader:
        for start in (0, 3000, 3000, 6000, 18_000):
            clip = reader.clip(start, 4000, 8000, 4000)
            expected = np.pad(values, ((0, 0), (0, 4000)))[:, start : start + 4000] / 32768
            assert np.array_equal(clip.signals[clip.place[0]], [expected.sum(axis=0)])
            if start >= 5000:
                assert clip.place[1:] == [clip.place[0], SILENT]
            else:
                assert np.array_equal(clip.signals[clip.place[2]], expected[2:])
            alone = reader.alone([0, 2], start, 4000, 8000, 4000)
            assert np.array_equal(alone, [expected[0] + expected[2]])
        assert reader.alone([2], 6000, 4000, 8000, 4000) is None
