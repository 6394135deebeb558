"""The figures of the activity file against the audio itself, for any submix and window."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import slakh_hier as sh
from slakh_hier.plan.activity_file import ActivityFile
from slakh_hier.plan.energy import Moments, hop_edge, mixture_si_sdr, rms_dbfs, submix_energy, total_gram
from slakh_hier.plan.measure import measure_track
from slakh_hier.testing import make_slakh

HOPS, STEP = 8, 3  # windows of 4 s every 1.5 s


def si_sdr(mixture: np.ndarray[Any, Any], target: np.ndarray[Any, Any]) -> float:
    """SI-SDR as it is defined, of (channels, samples) of zero mean each: project the mixture on the target."""
    mixture, target = ((x - x.mean(axis=1, keepdims=True)).ravel() for x in (mixture, target))
    projected = (mixture @ target) / (target @ target) * target
    return float(10 * np.log10((projected @ projected) / np.sum((mixture - projected) ** 2)))


def check_track(catalog: sh.Catalog, path: Path, track: str, seed: int) -> int:
    """Compare random submixes of one track, window by window; returns how many were compared."""
    with ActivityFile(path) as file:
        activity = file.read(track)
    rows = catalog.frame[catalog.frame["track"] == track].set_index("stem").loc[list(activity.stems)]
    native = activity.sample_rate
    channels = activity.channels
    assert channels == rows["channels"].max()
    stems = [read_stem(catalog.root / path, channels) for path in rows["path"]]
    longest = max(stem.shape[1] for stem in stems)
    audio = np.stack([np.pad(stem, ((0, 0), (0, longest - stem.shape[1]))) for stem in stems])
    first = np.arange(0, longest * 2 // native - HOPS + 1, STEP)
    parts = [part.windows(first, HOPS) for part in activity.moments]
    members = np.random.default_rng(seed).random((6, len(stems))) < 0.5
    members[:, 0] |= ~members.any(axis=1)
    compared = 0
    for window, hop in enumerate(first.tolist()):
        part = audio[:, :, hop_edge(hop, native) : hop_edge(hop + HOPS, native)]
        here = [Moments(moments.sums[[window]], moments.gram[[window]]) for moments in parts]
        products = sum(part[:, channel] @ part[:, channel].T for channel in range(channels))
        assert (products == channels * total_gram(here)[0]).all(), "sums of integers are exact"
        assert (part.sum(axis=2).mean(axis=1) == here[0].sums[0]).all()
        samples = part.shape[2]
        levels = rms_dbfs(submix_energy(total_gram(here), members), samples)[0]
        ratios = mixture_si_sdr(here, samples, members)[0]
        mixture = part.sum(axis=0) / 32768
        for member, level, ratio in zip(members, levels, ratios, strict=True):
            submix = part[member].sum(axis=0) / 32768
            if not submix.any():
                assert level == -np.inf
                assert np.isnan(ratio)
                continue
            assert level == pytest.approx(10 * np.log10(np.mean(submix**2)), abs=1e-3)
            if np.allclose(mixture, submix):
                assert ratio == np.inf or ratio > 100
            else:
                assert ratio == pytest.approx(si_sdr(mixture, submix), abs=1e-3)
                compared += 1
    return compared


def read_stem(path: Path, channels: int) -> np.ndarray[Any, Any]:
    """int64 (channels, samples); a mono stem sounds in both channels."""
    samples = soundfile.read(path, dtype="int16", always_2d=True)[0].T.astype(np.int64)
    return np.broadcast_to(samples, (channels, samples.shape[1]))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("sample_rate", [16_000, 11_025])
def test_generated_audio(sample_rate: int, channels: int, tmp_path: Path) -> None:
    root = make_slakh(
        tmp_path / "slakh",
        tracks=3,
        seconds=11.3,
        sample_rate=sample_rate,
        channels=channels,
        defects=["shorter_stem"],
    )
    catalog = sh.scan(root, sh.load_hierarchy("slakh34"), split_scheme="folders")
    path = sh.measure_activity(catalog, tmp_path / "activity.h5", jobs=1)
    assert sum(check_track(catalog, path, track, 1) for track in sorted(set(catalog.frame["track"]))) > 30


def test_music(music_catalog: sh.Catalog, music_activity: Path) -> None:
    first, *_, last = sorted(set(music_catalog.usable["track"]))
    checked = [
        check_track(music_catalog, music_activity, track, step) for track, step in ((first, 1), (last, 2))
    ]
    assert sum(checked) > 30


def test_energies_agree_with_torchmetrics(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    functional = pytest.importorskip("torchmetrics.functional.audio")
    generator = np.random.default_rng(5)
    audio = generator.integers(-3000, 3000, (4, 16_000)).astype(np.float64)
    moments = Moments(audio.sum(axis=1)[None], (audio @ audio.T)[None])
    members = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 1]], bool)
    found = mixture_si_sdr([moments], 16_000, members)[0]
    mixture = torch.from_numpy(audio.sum(axis=0))
    for member, value in zip(members, found, strict=True):
        target = torch.from_numpy(audio[member].sum(axis=0))
        expected = functional.scale_invariant_signal_distortion_ratio(mixture, target, zero_mean=True)
        assert value == pytest.approx(float(expected), abs=1e-3)


def test_any_number_of_jobs_gives_the_same_file_and_a_second_pass_reads_no_audio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_slakh(tmp_path / "slakh", tracks=5, seconds=6.0, sample_rate=8_000)
    catalog = sh.scan(root, sh.load_hierarchy("band"), split_scheme="folders")
    one = sh.measure_activity(catalog, tmp_path / "one.h5", jobs=1)
    two = sh.measure_activity(catalog, tmp_path / "two.h5", jobs=2)
    assert one.read_bytes() == two.read_bytes()
    assert not list(tmp_path.glob("*.parts"))

    def no_audio(*arguments: object) -> None:
        raise AssertionError("audio was decoded again")

    monkeypatch.setattr("slakh_hier.plan.activity.measure_track", no_audio)
    sh.measure_activity(catalog.with_hierarchy(sh.load_hierarchy("slakh34")), one, jobs=1)


def test_only_a_changed_track_is_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_slakh(tmp_path / "slakh", tracks=4, seconds=6.0, sample_rate=8_000, audio_format="wav")
    tree = sh.load_hierarchy("band")
    path = sh.measure_activity(sh.scan(root, tree, split_scheme="folders"), tmp_path / "a.h5", jobs=1)
    before = path.read_bytes()
    stem = min(root.glob("train/Track00002/stems/*.wav"))
    audio, native = soundfile.read(stem, dtype="int16")
    soundfile.write(stem, audio[: len(audio) // 2], native, subtype="PCM_16")
    measured = []

    def remember(rows: Any, root: Path) -> Any:
        measured.append(rows[0].track)
        return measure_track(rows, root)

    monkeypatch.setattr("slakh_hier.plan.activity.measure_track", remember)
    sh.measure_activity(sh.scan(root, tree, split_scheme="folders"), path, jobs=1)
    assert measured == ["Track00002"]
    assert path.read_bytes() != before
