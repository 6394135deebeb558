"""What is in a source beyond 16 bits stays until a row is stored, and with float32 rows in the row too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

import slakh_hier as sh
from slakh_hier.testing import make_slakh

SUBTYPES = {"PCM_24": 2.0**-23, "FLOAT": 2.0**-24}


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("subtype", SUBTYPES)
def test_sources_of_more_than_16_bits(subtype: str, channels: int, tmp_path: Path) -> None:
    root = make_slakh(
        tmp_path / "slakh", tracks=2, seconds=3, stems=3, sample_rate=8000, audio_format="wav",
        every_category=False,
    )  # fmt: skip
    random = np.random.default_rng(3)
    sums: dict[str, np.ndarray] = {}
    for path in sorted(root.glob("*/*/stems/*.wav")):
        # Half of what they hold lies below a step of 16 bits.
        whole, rate = soundfile.read(path)
        samples = whole[:, None] + random.uniform(-1, 1, (len(whole), channels)) / 65536
        soundfile.write(path, samples, rate, subtype=subtype)
        stored = soundfile.read(path, dtype="float64", always_2d=True)[0].T
        sums[path.parents[1].name] = sums.get(path.parents[1].name, 0) + stored
    tree = sh.load_hierarchy("slakh34")
    catalog = sh.scan(root, tree, split_scheme="folders")
    plan = sh.plan_clips(
        catalog, tree, clips={"train": 3, "validation": 3}, clip_seconds=1, step=0.5, queries=False,
        companion="none", activity=tmp_path / "activity.h5", jobs=1,
    )  # fmt: skip
    assert plan.parameters.channels == channels
    for dtype, error in (("float32", 4 * SUBTYPES[subtype]), ("int16", 0.502 / 32768)):
        sh.render(plan, tmp_path / dtype, sample_rate=8000, dtype=dtype, jobs=1)  # type: ignore[arg-type]
        for clip in sh.open_shards(tmp_path / dtype):
            first = int(clip.start * 8000)
            expected = sums[clip.track][:, first : first + 8000]
            assert np.abs(clip.mix - expected).max() <= error
            assert np.abs(expected * 32768 - np.rint(expected * 32768)).max() > 0.4
            if dtype == "int16":
                assert np.array_equal(clip.mix * 32768, np.rint(clip.mix * 32768))
