"""Separation: windows without seams, nothing lost, any rate and channels, clear errors."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
import torch
from torch import Tensor, nn

from slakh_hier.errors import InputError
from slakh_hier.models.config import Config
from slakh_hier.models.separation import RESIDUAL, Block, Model, separate
from slakh_hier.models.separation_files import separate_files
from slakh_hier.models.separator import Separator, build_separator
from slakh_hier.models.stft import Stft
from slakh_hier.models.weights import About, Trained, load_weights, save_weights

RATE = 4000


class LowPass(nn.Module):
    """Keeps the lower bins, and at the second level all but the highest: knows nothing of time."""

    def forward(self, mixture: Tensor, anchor: Tensor | None = None) -> Tensor:
        masks = torch.zeros(mixture.shape[0], 2, *mixture.shape[1:], device=mixture.device)
        masks[:, 0, :10], masks[:, 1, :40] = 1, 0.75
        return masks


def trained(separator: Separator, config: Config, names: tuple[str, ...] = ("leaf", "top")) -> Trained:
    about = About(
        tool_version="0",
        levels=tuple(range(1, len(names) + 1)),
        names=names,
        node=None,
        sample_rate=RATE,
        channels=separator.channels or 1,
        clip_seconds=0.5,
        hierarchy_digest="",
        plan_digest="",
        parameters=0,
        epoch=0,
        step=0,
        loss=0,
        config=config,
    )
    return Trained(separator.eval(), about, Path("run"))


@pytest.fixture
def low_pass(tiny_config: Callable[..., Config]) -> Trained:
    return trained(Separator(LowPass(), Stft(128, 64), 2, constraint=False), tiny_config("sss"))


def noise(*shape: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    return (0.1 * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)


@pytest.mark.parametrize("samples", [1, 63, 4000, 6000, 6001, 30_001, 61_234])
@pytest.mark.parametrize(("window", "overlap"), [(1.5, 0.5), (0.5, 0.25), (4.0, 0.3)])
def test_windows_leave_no_seams(low_pass: Trained, samples: int, window: float, overlap: float) -> None:
    """A network without memory must give the same in windows as in one pass, in every sample."""
    audio = noise(samples)
    one = separate(low_pass, audio, RATE, window_seconds=None)
    many = separate(low_pass, audio, RATE, window_seconds=window, overlap_seconds=overlap)
    for name in one:
        assert many[name].shape == audio.shape
        np.testing.assert_allclose(many[name], one[name], atol=2e-6)


@pytest.mark.parametrize("at_once", [2, 8])
def test_several_windows_at_once_change_nothing(low_pass: Trained, at_once: int) -> None:
    """As on a GPU; 30,001 samples are ten windows, of which the last is shorter."""
    audio = noise(2, 30_001)

    def blocks(many: int) -> list[Block]:
        model = Model(low_pass)
        model.at_once = many
        read = lambda start, count: audio[:, start : start + count]
        return list(model.blocks(read, 30_001, RATE, window_seconds=1.0, overlap_seconds=0.3))

    for one, other in zip(blocks(1), blocks(at_once), strict=True):
        np.testing.assert_array_equal(one.mixture, other.mixture)
        np.testing.assert_allclose(one.estimates, other.estimates, atol=1e-6)


def test_windows_of_a_recurrent_network_agree_with_one_pass(tiny_config: Callable[..., Config]) -> None:
    separator = build_separator(tiny_config("sss", "network.units=24", "network.layers=2"), 2)
    model = trained(separator, tiny_config("sss"))
    audio = noise(40_000)
    one = separate(model, audio, RATE, window_seconds=None)
    many = separate(model, audio, RATE, window_seconds=2.5, overlap_seconds=0.6)
    for name in one:
        error = np.square(one[name] - many[name])
        assert error.sum() < 1e-4 * np.square(one[name]).sum()  # 40 dB
        assert error.max() < 1e-2 * np.abs(one[name]).max()


@pytest.mark.parametrize("shape", [(5000,), (1, 5000), (2, 5000)])
@pytest.mark.parametrize("rate", [RATE, 44_100, 3000])
def test_residual_and_top_level_are_the_input(low_pass: Trained, shape: tuple[int, ...], rate: int) -> None:
    audio = noise(*shape)
    found = separate(low_pass, audio, rate, window_seconds=0.5, overlap_seconds=0.1)
    assert list(found) == ["leaf", "top", RESIDUAL]
    assert all(signal.shape == audio.shape and signal.dtype == np.float32 for signal in found.values())
    np.testing.assert_allclose(found["top"] + found[RESIDUAL], audio, atol=1e-7)


def test_channels_are_separated_each_for_itself(low_pass: Trained) -> None:
    stereo = noise(2, 5000)
    found = separate(low_pass, stereo, RATE)
    for channel in range(2):
        np.testing.assert_allclose(
            found["leaf"][channel], separate(low_pass, stereo[channel], RATE)["leaf"], atol=1e-6
        )


def test_other_rates_give_what_the_own_rate_gives(low_pass: Trained) -> None:
    """A tone that the separator keeps comes back at the rate it came in, in place and with its level."""
    t = np.arange(30_000) / 24_000
    tone = (0.3 * np.sin(2 * np.pi * 100 * t)).astype(np.float32)
    leaf = separate(low_pass, tone, 24_000, window_seconds=0.5, overlap_seconds=0.1)["leaf"]
    np.testing.assert_allclose(leaf[2000:-2000], tone[2000:-2000], atol=2e-3)
    high = (0.3 * np.sin(2 * np.pi * 5000 * t)).astype(np.float32)  # above half of the separator's rate
    found = separate(low_pass, high, 24_000)
    assert np.abs(found["top"][2000:-2000]).max() < 1e-3
    np.testing.assert_allclose(found[RESIDUAL][2000:-2000], high[2000:-2000], atol=1e-3)


def test_the_query_decides_and_may_have_its_own_rate(tiny_config: Callable[..., Config]) -> None:
    config = tiny_config("qbe")
    model = trained(build_separator(config, 2), config)
    audio = noise(5000)
    query = np.sin(np.arange(8000) * 0.2).astype(np.float32)
    one = separate(model, audio, RATE, query=query)
    other = separate(model, audio, RATE, query=noise(8000))
    assert not np.allclose(one["leaf"], other["leaf"], atol=1e-4)
    upsampled = soxr.resample(query, RATE, 16_000).astype(np.float32)
    same = separate(model, audio, RATE, query=np.stack([upsampled, upsampled]), query_rate=16_000)
    assert np.abs(same["leaf"] - one["leaf"]).max() < 0.05 * np.abs(one["leaf"] - other["leaf"]).max()
    with torch.inference_mode():
        direct = model.separator(torch.from_numpy(audio)[None, None], torch.from_numpy(query)[None, None])[
            0, :, 0
        ]
    np.testing.assert_allclose(one["leaf"], direct[0], atol=1e-6)


@pytest.mark.parametrize(
    ("task", "more", "message"),
    [
        ("qbe", {}, "needs a query"),
        ("qbe", {"query": np.zeros(100, np.float32)}, "query is silent"),
        ("sss", {"query": noise(100)}, "takes no query"),
        ("sss", {"audio": np.full(100, np.nan, np.float32)}, "audio holds NaN"),
        ("sss", {"audio": np.zeros(0, np.float32)}, "audio must have shape"),
        ("sss", {"window_seconds": 1.0, "overlap_seconds": 0.6}, "cannot overlap"),
    ],
)
def test_wrong_use_is_named(
    task: str, more: dict[str, Any], message: str, tiny_config: Callable[..., Config]
) -> None:
    config = tiny_config(task)
    model = trained(build_separator(config, 2), config)
    with pytest.raises(InputError, match=message):
        separate(model, **{"audio": noise(100), "sample_rate": RATE, **more})


@pytest.fixture
def run(tiny_config: Callable[..., Config], tmp_path: Path) -> Path:
    config = tiny_config("sss")
    model = trained(build_separator(config, 2), config)
    folder = tmp_path / "run"
    folder.mkdir()
    save_weights(folder, model.separator.state_dict(), model.about)
    return folder


@pytest.mark.parametrize(("audio_format", "subtype"), [("wav", "FLOAT"), ("flac", "PCM_24")])
def test_files(run: Path, tmp_path: Path, audio_format: Any, subtype: str) -> None:
    mono, stereo = noise(20_000), noise(2, 9000)
    soundfile.write(tmp_path / "mono.wav", mono, 8000, subtype="PCM_16")
    soundfile.write(tmp_path / "stereo.flac", stereo.T, 22_050, subtype="PCM_24")
    inputs = [tmp_path / "mono.wav", tmp_path / "stereo.flac"]
    done = separate_files(
        run, inputs, tmp_path / "out", audio_format=audio_format, window_seconds=1.0, overlap_seconds=0.3
    )
    for one, source in zip(done, inputs, strict=True):
        assert [p.name for p in one.files] == [
            f"{name}.{audio_format}" for name in ("leaf", "top", "residual")
        ]
        assert (one.error, one.clipped) == ("", 0)
        audio, rate = soundfile.read(source, dtype="float64")
        parts = {p.stem: soundfile.read(p, dtype="float64") for p in one.files}
        for signal, found_rate in parts.values():
            assert found_rate == rate
            assert signal.shape == audio.shape
        error = np.abs(parts["top"][0] + parts["residual"][0] - audio).max()
        assert error == 0 if audio_format == "flac" else error < 1e-7
        assert soundfile.info(one.files[0]).subtype == subtype
    assert not [p for p in (tmp_path / "out").rglob("*") if p.name.startswith(".tmp")]
    # The files hold what the function gives.
    audio, rate = soundfile.read(inputs[0], dtype="float32")
    expected = separate(run, audio, rate, window_seconds=1.0, overlap_seconds=0.3)["leaf"]
    np.testing.assert_allclose(soundfile.read(done[0].files[0], dtype="float32")[0], expected, atol=2e-7)


def test_files_that_are_no_audio(run: Path, tmp_path: Path) -> None:
    good, text, empty = tmp_path / "good.wav", tmp_path / "text.wav", tmp_path / "empty.wav"
    soundfile.write(good, noise(8000), 8000)
    soundfile.write(empty, noise(0), 8000)
    text.write_text("no audio")
    (tmp_path / "no songs").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    bad = {
        text: r"text\.wav: is not an audio file",
        empty: "holds no audio",
        tmp_path / "none.wav": "no such file",
        tmp_path / "pipe.wav": "not a regular file",
    }
    with pytest.raises(InputError) as error:
        separate_files(run, list(bad), tmp_path / "out")
    for line, message in zip(str(error.value).splitlines(), bad.values(), strict=True):
        assert re.search(message, line)
    with pytest.raises(InputError, match="no songs: holds no audio file"):
        separate_files(run, [good, tmp_path / "no songs"], tmp_path / "out")
    with pytest.raises(InputError, match="cannot overlap"):
        separate_files(run, [good], tmp_path / "out", window_seconds=1.0, overlap_seconds=0.6)
    with pytest.raises(InputError, match="two of the files would be called"):
        separate_files(run, [good, good], tmp_path / "out")
    with pytest.raises(InputError, match="takes no query"):
        separate_files(run, [good], tmp_path / "out", query=good)
    soundfile.write(tmp_path / "silence.wav", np.zeros(8000), 8000)
    with pytest.raises(InputError, match=r"silence\.wav: the query is silent; give a recording"):
        separate_files(run, [good], tmp_path / "out", query=tmp_path / "silence.wav")
    assert not (tmp_path / "out").exists()
    # In good company each of them costs itself alone.
    done = separate_files(run, [*bad, good], tmp_path / "out")
    for one, message in zip(done, bad.values(), strict=False):
        assert one.files == ()
        assert re.search(message, one.error)
    assert done[-1].error == ""
    assert all(path.stat().st_size > 8000 for path in done[-1].files)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["good"]


def test_a_folder_stands_for_the_audio_files_in_it(run: Path, tmp_path: Path) -> None:
    songs = tmp_path / "songs"
    (songs / "below").mkdir(parents=True)
    for name in ("b.wav", "a.FLAC", "below/c.wav", ".hidden.wav"):
        soundfile.write(songs / name, noise(4000), RATE, format=name[-4:].strip(".").upper())
    (songs / "cover.jpg").write_bytes(b"a picture")
    (songs / "broken.wav").write_bytes(b"RIFF")
    done = separate_files(run, [songs], tmp_path / "out")
    assert [one.source.name for one in done] == ["a.FLAC", "b.wav", "broken.wav"]
    assert [bool(one.error) for one in done] == [False, False, True]


def test_names_that_are_not_utf8(run: Path, tmp_path: Path) -> None:
    song = tmp_path / os.fsdecode(b"caf\xe9.wav")
    soundfile.write(tmp_path / "song.wav", noise(4000), RATE)
    os.rename(tmp_path / "song.wav", song)
    (done,) = separate_files(run, [song], tmp_path / "out")
    assert [os.fsencode(path.parent.name) for path in done.files] == [b"caf\xe9"] * 3
    assert all(path.stat().st_size > 4000 for path in done.files)


def test_files_that_are_called_alike_are_distinguished_by_their_folders(run: Path, tmp_path: Path) -> None:
    songs = [tmp_path / name / "mix.wav" for name in ("Track00001", "Track00002")]
    for song in songs:
        song.parent.mkdir()
        soundfile.write(song, noise(4000), RATE)
    soundfile.write(tmp_path / "other.wav", noise(4000), RATE)
    separate_files(run, [*songs, tmp_path / "other.wav"], tmp_path / "out")
    found = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert found == ["Track00001-mix", "Track00002-mix", "other"]
    soundfile.write(songs[0].with_name("Mix.flac"), noise(4000), RATE)
    done = separate_files(run, [*songs, songs[0].with_name("Mix.flac")], tmp_path / "again")
    assert [path.parent.name for path in (one.files[0] for one in done)] == [
        "Track00001-mix.wav",
        "Track00002-mix",
        "Track00001-Mix.flac",
    ]


def test_nothing_is_written_through_a_link_in_the_place_of_a_file(run: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song.wav", noise(4000), RATE)
    (tmp_path / "mine").write_text("mine\n")
    (tmp_path / "out" / "song").mkdir(parents=True)
    (tmp_path / "out" / "song" / "residual.wav").symlink_to(tmp_path / "mine")
    (done,) = separate_files(run, [tmp_path / "song.wav"], tmp_path / "out")
    assert not done.error
    assert (tmp_path / "mine").read_text() == "mine\n"
    assert not any(path.is_symlink() for path in (tmp_path / "out" / "song").iterdir())


def test_a_damaged_file_does_not_stop_the_others(run: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "good.wav", noise(8000), 8000)
    soundfile.write(tmp_path / "bad.flac", noise(80_000), 8000)
    data = (tmp_path / "bad.flac").read_bytes()
    (tmp_path / "bad.flac").write_bytes(data[: len(data) // 2])
    done = separate_files(run, [tmp_path / "bad.flac", tmp_path / "good.wav"], tmp_path / "out")
    assert "bad.flac" in done[0].error
    assert done[0].files == ()
    assert all(p.exists() for p in done[1].files)
    assert list((tmp_path / "out" / "bad").iterdir()) == []


def test_estimates_that_are_no_numbers_are_refused(run: Path, tmp_path: Path) -> None:
    """Weights may be finite, and too large for any sum of them to be."""
    made = load_weights(run)
    for tensor in made.separator.state_dict().values():
        if tensor.is_floating_point():
            tensor.fill_(3e38)
    save_weights(run, made.separator.state_dict(), made.about)
    soundfile.write(tmp_path / "song.wav", noise(8000), RATE)
    (done,) = separate_files(run, [tmp_path / "song.wav"], tmp_path / "out")
    assert "its weights give estimates that are NaN or infinite" in done.error
    assert not list((tmp_path / "out").rglob("*.wav"))
