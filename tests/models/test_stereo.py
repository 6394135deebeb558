"""Stereo from the shards to the separated song; that mono is one channel of the same is what all other tests say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from slakh_hier.errors import InputError
from slakh_hier.models.config import Config
from slakh_hier.models.data import ClipDataset, Key
from slakh_hier.models.evaluation import evaluate
from slakh_hier.models.selection import select_clips
from slakh_hier.models.separation import separate
from slakh_hier.models.separation_files import separate_files
from slakh_hier.models.stored import signals_of
from slakh_hier.models.training import train
from slakh_hier.models.weights import load_weights
from slakh_hier.shards.read import open_shards

BANDSPLIT = ("network.kind=bandsplit", "network.features=4", "loss.kind=complex")
Make = Callable[..., Config]


@pytest.fixture(scope="module")
def stereo(tmp_path_factory: pytest.TempPathFactory, shard_writer: Callable[..., Path]) -> Path:
    turn = [(leaf, {}) for leaf in ("clean", "dirty", "drums_1")] * 2
    parts = {"train": turn, "validation": turn[:3], "test": turn[:3]}
    return shard_writer(tmp_path_factory.mktemp("stereo") / "shards", parts, channels=2, songs=2)


def si_sdr(estimate: np.ndarray, target: np.ndarray) -> float:
    """One scale for both channels, a mean for each."""
    e, s = (x.astype(float) - x.mean(axis=1, keepdims=True, dtype=float) for x in (estimate, target))
    scaled = (e * s).sum() / (s * s).sum() * s
    return float(10 * np.log10((scaled**2).sum() / ((e - scaled) ** 2).sum()))


@pytest.mark.parametrize("options", [{}, {"remix": 1.0}, {"gain_db": 6.0}, {"crop_seconds": 0.25}])
def test_examples_keep_their_channels_apart(stereo: Path, options: dict[str, float]) -> None:
    """Each channel of an example is what a set of that channel alone would give: whatever is drawn, is for both."""
    shards = open_shards(stereo, "train")
    data = ClipDataset(shards, select_clips(shards, "sss", node="clean"), seed=3, **options)  # type: ignore[arg-type]
    keys = [Key(1, place) for place in range(len(data))]
    stored = data.stored(keys)
    whole = signals_of(stored)["signals"]
    assert whole.shape[2] == 2
    assert not torch.equal(whole[:, :, 0], whole[:, :, 1])
    for channel in range(2):
        alone = signals_of({**stored, "rows": stored["rows"][:, [channel]]})["signals"]
        assert torch.equal(alone, whole[:, :, [channel]])


@pytest.mark.parametrize("task", ["sss", "qbe"])
@pytest.mark.parametrize("network", [(), BANDSPLIT], ids=["each channel", "all channels"])
def test_from_shards_to_a_separated_song(
    task: str, network: tuple[str, ...], stereo: Path, tiny_config: Make, tmp_path: Path
) -> None:
    node = ("node=clean",) if task == "sss" else ()
    train(tiny_config(task, *network, *node), stereo, tmp_path / "run")
    trained = load_weights(tmp_path / "run")
    assert (trained.about.channels, trained.separator.channels) == (2, 2 if network else None)

    scores = evaluate(tmp_path / "run", stereo, jobs=1).scores
    shards = open_shards(stereo, "test")
    clip = shards[0]
    query = clip.query if task == "qbe" else None
    found = separate(trained, clip.mix, shards.sample_rate, query=query, window_seconds=None)
    row = scores[(scores["clip"] == 0) & (scores["level"] == 1)].iloc[0]
    assert row["si_sdr_estimate"] == pytest.approx(
        si_sdr(found[trained.about.names[0]], clip["clean"]), abs=1e-3
    )
    assert row["si_sdr_mixture"] == pytest.approx(si_sdr(clip.mix, clip["clean"]), abs=1e-3)

    song, about = tmp_path / "song.wav", {}
    soundfile.write(song, np.tile(clip.mix, 3).T, shards.sample_rate, subtype="FLOAT")
    if query is not None:
        soundfile.write(tmp_path / "query.wav", query.T, shards.sample_rate, subtype="FLOAT")
        about["query"] = tmp_path / "query.wav"
    (done,) = separate_files(tmp_path / "run", [song], tmp_path / "out", window_seconds=1.0, overlap_seconds=0.3, **about)  # fmt: skip
    assert done.error == ""
    parts = {path.stem: soundfile.read(path, always_2d=True)[0].T for path in done.files}
    top = trained.about.names[-1]
    np.testing.assert_allclose(parts[top] + parts["residual"], np.tile(clip.mix, 3), atol=1e-6)
    assert parts[top].shape == (2, 6000)


def test_a_stereo_separator_takes_other_songs_channel_by_channel(
    stereo: Path, tiny_config: Make, tmp_path: Path
) -> None:
    train(tiny_config("sss", *BANDSPLIT, "node=clean"), stereo, tmp_path / "run")
    trained = load_weights(tmp_path / "run")
    clip = open_shards(stereo, "test")[0]
    three = np.stack([clip.mix[0], clip.mix[1], clip.mix[0]])
    found = separate(trained, three, 4000, window_seconds=None)["clean"]
    with torch.inference_mode():
        for channel in range(3):
            both = torch.from_numpy(np.stack([three[channel]] * 2))[None]
            expected = trained.separator(both)[0, 0].mean(0)
            np.testing.assert_allclose(found[channel], expected, atol=1e-6)
            alone = separate(trained, three[channel], 4000, window_seconds=None)["clean"]
            np.testing.assert_allclose(alone, expected, atol=1e-6)
        straight = trained.separator(torch.from_numpy(clip.mix)[None])[0, 0]
    np.testing.assert_allclose(
        separate(trained, clip.mix, 4000, window_seconds=None)["clean"], straight, atol=1e-6
    )


def test_which_sets_a_separator_can_be_evaluated_on(
    stereo: Path, guitar_shards: Path, tiny_config: Make, tmp_path: Path
) -> None:
    settings = ("node=clean", "training.epochs=1", "training.steps_per_epoch=1")
    train(tiny_config("sss", *settings), stereo, tmp_path / "each")
    train(tiny_config("sss", *BANDSPLIT, *settings), stereo, tmp_path / "all")
    assert len(evaluate(tmp_path / "each", guitar_shards, jobs=1).scores)
    with pytest.raises(
        InputError, match=r"its audio is mono, but .* was trained on stereo and sees all .* with --channels 2"
    ):
        evaluate(tmp_path / "all", guitar_shards, jobs=1)
