"""Weights of levels and nodes, and balanced drawing, against sums by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from slakh_hier.errors import ConfigError, InputError
from slakh_hier.models.batches import Batches
from slakh_hier.models.config import Config
from slakh_hier.models.config_file import load_config
from slakh_hier.models.selection import select_clips
from slakh_hier.models.training import train
from slakh_hier.models.weighting import term_weights
from slakh_hier.shards.read import open_shards

Make = Callable[..., Config]


def test_a_term_counts_by_level_and_node(any_shards: Path) -> None:
    shards = open_shards(any_shards, "train")
    selection = select_clips(shards, "qbe")
    loss = load_config(
        "qbe", settings=["loss.level_weights={1: 2, 3: 0.5}", "loss.node_weights={clean: 3, drums_2: 0}"]
    ).loss
    weights = term_weights(shards, selection, loss)
    assert weights is not None
    by_leaf = {"clean": [6, 1, 0.5], "dirty": [2, 1, 0.5], "drums_1": [2, 0, 0.5]}
    for place, column in enumerate(selection.columns[:, 0]):
        assert weights[place].tolist() == by_leaf[shards.nodes[column].name]
    assert term_weights(shards, selection, load_config("qbe").loss) is None


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("loss.node_weights={clen: 2}", "has no clen; did you mean clean"),
        ("loss.level_weights={4: 2}", "has no 4; there are 1, 2, 3"),
    ],
)
def test_weights_of_what_is_not_there(
    setting: str, message: str, guitar_shards: Path, tiny_config: Make, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        train(tiny_config("sss", setting), guitar_shards, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_weighted_training_reports_plain_losses_of_levels(
    guitar_shards: Path, tiny_config: Make, tmp_path: Path
) -> None:
    config = tiny_config("sss", "loss.level_weights={1: 2, 2: 0}")
    train(config, guitar_shards, tmp_path / "run")
    steps = pd.read_csv(tmp_path / "run" / "steps.csv")
    np.testing.assert_allclose(
        steps["loss"], (2 * steps["loss_level_1"] + steps["loss_level_3"]) / 3, rtol=1e-5
    )


def test_balanced_batches_hold_as_many_of_each_group() -> None:
    groups = np.array([0] * 30 + [7] * 5 + [9] * 2)
    batches = Batches(37, 6, seed=1, steps=20, groups=groups)
    batches.epoch = 4
    keys = [key for batch in batches for key in batch]
    assert Counter(groups[key.place] for key in keys) == {0: 40, 7: 40, 9: 40}
    # Each clip of a group as often as the others, give or take one, and never twice under one key.
    for group in (0, 7, 9):
        counts = Counter(key.place for key in keys if groups[key.place] == group)
        assert max(counts.values()) - min(counts.values()) <= 1
        assert len(counts) == (groups == group).sum()
    assert len(set(keys)) == len(keys)
    batches.epoch = 4
    assert [key for batch in batches for key in batch] == keys
    batches.epoch = 5
    assert not {key for batch in batches for key in batch} & set(keys)


def test_balance_trains_qbe_only(any_shards: Path, tiny_config: Make, tmp_path: Path) -> None:
    assert train(tiny_config("qbe", "data.balance=node"), any_shards, tmp_path / "run").steps == 6
    with pytest.raises(ConfigError, match=r"data\.balance is for qbe"):
        load_config("sss", settings=["data.balance=node"])
