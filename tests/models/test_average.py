"""The moving average of weights, alone and through a training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from slakh_hier.models.average import Average
from slakh_hier.models.checkpoints import SafeCheckpointIO
from slakh_hier.models.config import Config
from slakh_hier.models.training import train
from slakh_hier.models.weights import load_weights, state_of

Make = Callable[..., Config]


def test_the_average_by_hand() -> None:
    module = torch.nn.BatchNorm1d(1)
    average = Average(module, 0.5)
    with torch.no_grad():
        for value in (2.0, 4.0):
            module.weight.fill_(value)
            module.num_batches_tracked += 1
            average.update()
    first = 2 / 11 * 1 + 9 / 11 * 2
    assert average.state["weight"].item() == pytest.approx(3 / 12 * first + 9 / 12 * 4)
    assert average.state["num_batches_tracked"].item() == 2
    with average.in_place():
        assert module.weight.item() == average.state["weight"].item()
    assert module.weight.item() == 4


def test_a_training_publishes_the_average(guitar_shards: Path, tiny_config: Make, tmp_path: Path) -> None:
    config = tiny_config("sss", "training.ema=0.9", "training.keep=last")
    train(config, guitar_shards, tmp_path / "run")
    checkpoint = SafeCheckpointIO().load_checkpoint(tmp_path / "run" / "checkpoints" / "last.ckpt")
    published = load_weights(tmp_path / "run").separator.state_dict()
    raw = {k.removeprefix("separator."): v for k, v in checkpoint["state_dict"].items()}
    name = "network.head.weight"
    torch.testing.assert_close(published[name], state_of(checkpoint)[name])
    assert not torch.equal(published[name], raw[name])
    assert checkpoint["slakh_hier"]["average"]["steps"] == 6
