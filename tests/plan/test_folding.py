"""What averaging left and right costs, against the formulas of stems that are made for it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from slakh_hier import load_hierarchy, plan_clips, scan
from slakh_hier.cli.main import main
from slakh_hier.plan import Plan
from slakh_hier.plan.folding import FoldingLoss
from slakh_hier.testing import make_slakh

OPTIONS = {
    "clips": {"train": 4},
    "clip_seconds": 2,
    "step": 0.5,
    "queries": False,
    "companion": "none",
    "jobs": 1,
}


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tracks of one cast. Of the first, S00 is a clean guitar with a fifth of it opposed on the right, S01 opposed to itself."""
    root = make_slakh(
        tmp_path_factory.mktemp("wide") / "slakh", tracks=3, seconds=6, sample_rate=8000, stems=4,
        every_category=False,
    )  # fmt: skip
    for stem, right in (("S00", -0.8), ("S01", -1.0), ("S02", 0.0)):
        path = root / "train" / "Track00001" / "stems" / f"{stem}.flac"
        left, rate = soundfile.read(path)
        soundfile.write(path, np.stack([left, right * left], 1), rate, subtype="PCM_24")
    return root


def drawn(root: Path, channels: int | None = None) -> Plan:
    tree = load_hierarchy("slakh34")
    catalog = scan(root, tree, split_scheme="folders")
    return plan_clips(catalog, tree, channels=channels, activity=root.parent / "activity.h5", **OPTIONS)  # type: ignore[arg-type]


@pytest.mark.parametrize("channels", [None, 1, 2])
def test_nodes_that_lose_much_are_named_with_their_worst_track(wide: Path, channels: int | None) -> None:
    plan = drawn(wide, channels)
    stems = plan.catalog.frame.set_index(["track", "stem"])["level_1"]
    losses = {loss.node: loss for loss in plan.folding}
    # L = x, R = -0.8 x: (1 + 0.64) / 2 of the energy becomes (0.2 / 2) ** 2.
    assert losses[stems["Track00001", "S00"]] == FoldingLoss(
        stems["Track00001", "S00"], 1, 1, round(10 * np.log10(0.82 / 0.01), 1), "Track00001"
    )
    assert losses[stems["Track00001", "S01"]] == FoldingLoss(
        stems["Track00001", "S01"], 1, 1, None, "Track00001"
    )
    assert stems["Track00001", "S02"] not in losses  # on one side alone: 3 dB
    assert Plan.load(saved(plan, wide), wide).folding == plan.folding


def saved(plan: Plan, root: Path) -> Path:
    plan.save(root.parent / f"plan-{plan.parameters.channels}")
    return root.parent / f"plan-{plan.parameters.channels}"


def test_what_folds_to_zeros_is_never_drawn(wide: Path) -> None:
    both, mono = drawn(wide), drawn(wide, 1)
    assert (both.parameters.channels, mono.parameters.channels) == (2, 1)
    gone = both.catalog.frame.set_index(["track", "stem"])["level_1"]["Track00001", "S01"]

    def found(plan: Plan) -> int:
        return next(
            report.windows for report in plan.reports if (report.split, report.node) == ("train", gone)
        )

    assert found(both) > found(mono) == 0
    assert both.digest != mono.digest


def test_the_command_says_it(wide: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [
        "plan",
        wide,
        "-o",
        wide.parent / "by_command",
        "--split-scheme",
        "folders",
        "--clips",
        "train=4",
    ]
    words += [
        "--any",
        "--no-queries",
        "--companion",
        "none",
        "--clip-seconds",
        "2",
        "--step",
        "0.5",
        "-j",
        "1",
    ]
    words += ["--activity", wide.parent / "activity.h5", "--format", "json"]

    def said(*more: str) -> tuple[dict[str, Any], str]:
        with pytest.raises(SystemExit):
            main([str(word) for word in (*words, *more)])
        out, err = capsys.readouterr()
        return json.loads(out), err

    printed, notes = said()
    assert printed["channels"] == 2
    assert {loss["worst_db"] for loss in printed["folding"]} >= {None, 19.1}
    assert (
        "note: one channel would cost clean_guitars more than 6 dB in 1 of 1 track "
        "(the most in Track00001: 19.1 dB)" in notes
    )
    printed, notes = said("--channels", "1")
    assert printed["channels"] == 1
    assert "note: one channel costs clean_guitars more than 6 dB" in notes
    assert "all of it" in notes
