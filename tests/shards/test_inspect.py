"""The summary counts what the formulas say."""

from __future__ import annotations

import json

import numpy as np
import pytest

from slakh_hier.errors import InputError
from slakh_hier.shards.inspect import summary
from slakh_hier.shards.mask import Mask
from slakh_hier.shards.mask_files import add_mask, remove_mask


def test_nodes_are_counted(shared_set, formula):
    found = summary(shared_set.folder)
    assert [node["node"] for node in found["nodes"]] == [
        "mix", "strings", "high_strings", "low_strings", "winds", "flutes", "unassigned",
    ]  # fmt: skip
    for node in found["nodes"]:
        signals = [formula.node(number, node["node"]) for number in shared_set.clips]
        there = [signal for signal in signals if signal is not None]
        sounding = [signal for signal in there if signal.any()]
        assert node["absent"] == len(signals) - len(there)
        assert node["silent"] == len(there) - len(sounding)
        assert node["sounding"] == len(sounding)
        levels = [10 * np.log10(np.mean(signal.astype(float) ** 2)) for signal in sounding]
        assert node["mean_rms_dbfs"] == pytest.approx(np.mean(levels), abs=1e-4)
        assert node["target"] == (8 if node["node"] == "high_strings" else 0)


def test_one_split(shared_set, formula):
    found = {node["node"]: node for node in summary(shared_set.folder, split="validation")["nodes"]}
    present = [formula.node(number, "winds") is not None for number in (6, 7)]
    assert found["winds"]["absent"] == present.count(False)
    assert all(node["sounding"] + node["silent"] + node["absent"] == 2 for node in found.values())
    empty = summary(shared_set.folder, split="test")["nodes"]
    assert all(node["mean_rms_dbfs"] is None and node["sounding"] == 0 for node in empty)
    with pytest.raises(InputError, match="did you mean validation"):
        summary(shared_set.folder, split="validatin")


def test_splits_and_masks(make_set, formula):
    made = make_set()
    add_mask(made.folder, Mask("leaf", 90))
    remove_mask(made.folder, "all-50")
    found = summary(made.folder)
    assert [(s["split"], s["clips"], s["tracks"], s["shards"]) for s in found["splits"]] == [
        ("train", 6, 6, 2), ("validation", 2, 2, 1), ("test", 0, 0, 0),
    ]  # fmt: skip
    assert found["splits"][0]["queries"] == sum(formula.query(number) is not None for number in range(6))
    assert found["hours"] == pytest.approx(8 * formula.SECONDS / 3600)
    assert found["bytes"] == sum(path.stat().st_size for path in made.folder.glob("*.h5"))
    assert [(m["mask"], m["withheld"], m["where"]) for m in found["masks"]] == [
        ("leaf-50", 3, "shards"), ("leaf-90", 5, "masks/leaf-90.h5"),
    ]  # fmt: skip
    assert json.loads(json.dumps(found)) == found  # plain values only
