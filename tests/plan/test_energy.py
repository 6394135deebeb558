"""Energies and mixture SI-SDR from Gram matrices, against the same figures from samples."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slakh_hier.audio import StemRef
from slakh_hier.plan.activity_file import ActivityFile, TrackActivity
from slakh_hier.plan.energy import (
    Moments,
    hop_edge,
    mixture_si_sdr,
    rms_dbfs,
    submix_energy,
    total_gram,
    window_sums,
)
from slakh_hier.plan.measure import measure_track
from slakh_hier.slakh import Catalog

RATES = [8000, 11025, 22050]


def refs(folder: Path, audio: dict[str, np.ndarray], rate: int, subtype: str = "PCM_16") -> list[StemRef]:
    """Write stems as WAV files."""
    for stem, samples in audio.items():
        soundfile.write(folder / f"{stem}.wav", samples, rate, subtype=subtype)
    return [
        StemRef("T", stem, f"{stem}.wav", rate, len(samples), 1 if samples.ndim == 1 else samples.shape[1])
        for stem, samples in audio.items()
    ]


def padded(samples: np.ndarray, length: int) -> np.ndarray:
    return np.concatenate([samples, np.zeros(length - len(samples), samples.dtype)])


def si_sdr(mixture: np.ndarray, target: np.ndarray) -> float:
    """Le Roux et al. 2019, eq. 5, of (channels, samples): channels of zero mean, one after the other."""
    mixture, target = ((x - x.mean(axis=1, keepdims=True)).ravel() for x in (mixture, target))
    scaled = target * (mixture @ target) / (target @ target)
    with np.errstate(divide="ignore"):
        return float(10 * np.log10((scaled @ scaled) / ((mixture - scaled) @ (mixture - scaled))))


def rms_db(samples: np.ndarray) -> float:
    with np.errstate(divide="ignore"):
        return float(20 * np.log10(np.sqrt(np.mean((samples / 32768) ** 2))))


@pytest.mark.parametrize("rate", RATES)
def test_sums_and_products_of_16_bits_are_exact(tmp_path: Path, rate: int) -> None:
    """Bit for bit those of Python's integers: full scale, stems of different lengths, an incomplete last hop."""
    random = np.random.default_rng(rate)
    lengths = [rate * 3 + 1234, rate * 2, rate * 3 + 77]
    audio = {
        f"S{i:02d}": random.choice([-32768, 32767, -1, 0, 12345], n).astype(np.int16)
        for i, n in enumerate(lengths)
    }
    activity = measure_track(refs(tmp_path, audio, rate), tmp_path)
    assert activity.frames == max(lengths)
    hops = -(-max(lengths) * 2 // rate)
    (mid,) = activity.moments
    assert mid.gram.shape == (hops, 3, 3)
    assert mid.sums.shape == (hops, 3)
    whole = [padded(samples, max(lengths)).tolist() for samples in audio.values()]
    for hop in range(hops):
        piece = [samples[hop * rate // 2 : (hop + 1) * rate // 2] for samples in whole]
        assert mid.sums[hop].tolist() == [float(sum(x)) for x in piece]
        gram = [[float(sum(a * b for a, b in zip(x, y, strict=True))) for y in piece] for x in piece]
        assert mid.gram[hop].tolist() == gram


def test_blocks_of_any_size_give_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    audio = {f"S{i:02d}": random.integers(-9000, 9000, 40_000, dtype=np.int16) for i in range(3)}
    stems = refs(tmp_path, audio, 11025)
    whole = measure_track(stems, tmp_path)
    monkeypatch.setattr("slakh_hier.plan.measure.BLOCK_HOPS", 1)
    small = measure_track(stems, tmp_path)
    np.testing.assert_array_equal(small.moments[0].gram, whole.moments[0].gram)
    np.testing.assert_array_equal(small.moments[0].sums, whole.moments[0].sums)


@settings(max_examples=60, deadline=None)
@given(
    hops=st.integers(1, 40),
    length=st.integers(1, 12),
    step=st.integers(1, 5),
    seed=st.integers(0, 2**32 - 1),
)
def test_window_sums_are_plain_sums(hops: int, length: int, step: int, seed: int) -> None:
    values = np.random.default_rng(seed).integers(-(2**45), 2**45, (hops, 2, 2)).astype(float)
    first = np.arange(0, hops - length + 1, step)
    got = window_sums(values, first, length)
    assert got.shape == (len(first), 2, 2)
    for row, start in zip(got, first, strict=True):
        np.testing.assert_array_equal(row, values[start : start + length].sum(axis=0))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_submix_in_any_window_has_the_level_of_its_audio(
    small_catalog: Catalog, small_activity: Path, data: st.DataObject
) -> None:
    check_random_window(small_catalog, small_activity, data)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_so_it_is_with_music(music_catalog: Catalog, music_activity: Path, data: st.DataObject) -> None:
    check_random_window(music_catalog, music_activity, data)


def check_random_window(catalog: Catalog, path: Path, data: st.DataObject) -> None:
    """RMS of a random submix and SI-SDR of the mixture against it, from the index and from the audio, to 1e-3 dB."""
    stems = catalog.usable
    track = data.draw(st.sampled_from(sorted(stems["track"].unique())))
    stems = stems[stems["track"] == track]
    with ActivityFile(path) as file:
        activity = file.read(track)
    places = [activity.stems.index(stem) for stem in stems["stem"]]
    member = np.array(data.draw(st.lists(st.booleans(), min_size=len(stems), max_size=len(stems))))
    whole = activity.frames * 2 // activity.sample_rate
    hops = data.draw(st.integers(1, whole))
    first = data.draw(st.integers(0, whole - hops))
    channels = data.draw(st.sampled_from([1, 2]))
    parts = [part.of_stems(places).windows(np.array([first]), hops) for part in activity.parts(channels)]
    samples = hop_edge(hops, activity.sample_rate)
    level = rms_dbfs(submix_energy(total_gram(parts), member[None]), samples)[0, 0]
    ratio = mixture_si_sdr(parts, samples, member[None])[0, 0]

    audio = read_window(catalog, stems, first * 0.5, hops * 0.5, channels)
    mixture, target = audio.sum(axis=0), audio[member].sum(axis=0)
    if not target.any():
        assert level == -np.inf
        assert np.isnan(ratio)
        return
    assert level == pytest.approx(rms_db(target), abs=1e-3)
    expected = si_sdr(mixture, target)
    if not audio[~member].any():
        assert ratio == np.inf
        assert expected > 200
    else:
        assert ratio == pytest.approx(expected, abs=1e-3)


def read_window(
    catalog: Catalog, stems: pd.DataFrame, start: float, seconds: float, channels: int
) -> np.ndarray:
    """(stems, channels, samples) in units of 16 bits, straight from the files."""
    audio = []
    for row in stems.itertuples():
        first, last = int(start * row.sample_rate), int((start + seconds) * row.sample_rate)
        samples = read_stem(catalog.root / row.path)
        if channels == 1 or samples.shape[1] > 2:
            samples = samples.mean(axis=1, keepdims=True)
        left, right = samples[:, 0], samples[:, -1]
        whole = [padded(x, max(last, len(x)))[first:last] for x in (left, right)[:channels]]
        audio.append(whole)
    return np.array(audio)


@lru_cache(maxsize=60)
def read_stem(path: Path) -> np.ndarray:
    return soundfile.read(path, always_2d=True)[0] * 32768


def test_si_sdr_agrees_with_torchmetrics(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.audio")
    random = np.random.default_rng(5)
    audio = {f"S{i:02d}": random.integers(-9000, 9000, 16_000, dtype=np.int16) + 500 for i in range(3)}
    audio = {stem: samples.astype(np.int16) for stem, samples in audio.items()}
    activity = measure_track(refs(tmp_path, audio, 8000), tmp_path)
    member = np.array([[True, False, False], [True, True, False]])
    got = mixture_si_sdr([activity.moments[0].windows(np.array([0]), 4)], 16_000, member)[0]
    mixture = torch.tensor(sum(x.astype(float) for x in audio.values()))
    for row, value in zip(member, got, strict=True):
        target = torch.tensor(
            sum(x.astype(float) for x, there in zip(audio.values(), row, strict=True) if there)
        )
        expected = functional.scale_invariant_signal_distortion_ratio(mixture, target, zero_mean=True)
        assert value == pytest.approx(float(expected), abs=1e-3)


def test_full_scale_is_0_dbfs() -> None:
    assert rms_dbfs(np.array([32768.0**2 * 100]), 100) == pytest.approx(0)
    assert rms_dbfs(np.array([0.0]), 100)[0] == -np.inf


def test_a_mixture_of_the_target_alone_is_infinitely_good() -> None:
    """Other stems that rest do not count; a stem that cancels out does."""
    activity = TrackActivity(
        ("a", "b"), {}, ("", ""), 8000, 4000, (Moments(np.zeros((1, 2)), np.diag([4.0, 0.0])[None]),)
    )
    member = np.array([[True, False], [False, True], [True, True]])
    got = mixture_si_sdr(activity.moments, 4000, member)[0]
    assert got[0] == np.inf
    assert np.isnan(got[1])
    assert got[2] == np.inf
