"""Sets that earlier versions wrote stay readable: ``data/format_N`` is never made again."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from slakh_hier.shards import open_shards
from slakh_hier.shards.mask import Mask, availability, withheld
from slakh_hier.shards.verify import verify

DATA = Path(__file__).parent / "data"


def test_format_1(formula, tmp_path):
    folder = shutil.copytree(DATA / "format_1", tmp_path / "set")
    shards = open_shards(folder)
    assert shards.index.format_version == 1
    assert [clip.track for clip in shards] == ["Track00001", "Track00002"]
    for clip, number in zip(shards, (1, 2), strict=True):
        for column in shards.nodes:
            expected = formula.node(number, column.name)
            assert (expected is None) == (clip.state(column.name) == "absent")
            if expected is not None:
                step = max(1.0, float(np.abs(expected).max())) / 32768
                assert np.abs(clip[column.name] - expected).max() <= 0.51 * step
    for mask in (Mask("leaf", 50), Mask("all", 50)):
        expected = availability(mask, withheld(mask, shards.clips), shards.nodes)
        assert np.array_equal(shards.mask(mask.name), expected)
    assert verify(folder, full=True, jobs=1) == []
