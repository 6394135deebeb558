"""Plans: the same on every machine, and never made of wrong parameters."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from numpy.testing import assert_allclose

from slakh_hier import Plan, load_hierarchy, plan_clips, scan
from slakh_hier.errors import InputError, PlanError
from slakh_hier.plan import parse_clips
from slakh_hier.plan.membership import column_membership, distinct_signals
from slakh_hier.plan.summary import node_rows, split_rows
from slakh_hier.shards.layout import shard_layout
from slakh_hier.slakh import Catalog
from slakh_hier.testing import make_slakh

OPTIONS: dict[str, Any] = {
    "clips": {"train": 10, "validation": 6, "test": 4},
    "clip_seconds": 2,
    "step": 0.5,
    "jobs": 1,
}
GOLDEN = """\
split,track,start,target,query_track,query_start,draw
train,Track00001,0.0,acoustic_pianos,Track00002,2.0,5
train,Track00001,1.0,idiophones,Track00002,3.0,1
train,Track00002,0.5,idiophones,Track00001,2.5,3
train,Track00002,2.5,idiophones,Track00001,2.0,2
train,Track00002,3.5,acoustic_pianos,Track00001,1.5,0
train,Track00002,3.5,drums,Track00001,0.5,4
validation,Track00003,0.0,acoustic_pianos,Track00004,3.0,0
validation,Track00003,1.5,clean_guitars,Track00004,0.5,2
validation,Track00003,1.5,drums,Track00004,1.5,1
test,Track00005,3.5,acoustic_pianos,Track00006,4.0,0
test,Track00006,0.5,clean_guitars,Track00005,1.5,2
test,Track00006,3.5,idiophones,Track00005,1.5,1
"""


def test_the_plan_of_a_generated_data_set_is_known_once_and_for_all(tmp_path: Path) -> None:
    """Every machine, every version of the libraries: else nobody can say which clips a result was got on."""
    root = make_slakh(
        tmp_path / "slakh", tracks=6, seconds=6, sample_rate=8000, stems=5, every_category=False, seed=1
    )
    catalog = scan(root, load_hierarchy("slakh34"), jobs=1)
    plan = plan_clips(
        catalog,
        catalog.hierarchy,
        clips={"train": 6, "validation": 3, "test": 3},
        clip_seconds=2,
        step=0.5,
        activity=tmp_path / "activity.h5",
        jobs=1,
    )
    columns = ["split", "track", "start", "target", "query_track", "query_start", "draw"]
    assert plan.clips[columns].to_csv(index=False, lineterminator="\n") == GOLDEN


def test_the_digest_knows_neither_place_nor_jobs_nor_time(
    small_plan: Plan, small_slakh: Path, tmp_path: Path
) -> None:
    moved = shutil.copytree(small_slakh, tmp_path / "elsewhere", copy_function=shutil.copyfile)
    catalog = scan(moved, load_hierarchy("slakh34"), jobs=2)
    plan = plan_clips(
        catalog, catalog.hierarchy, activity=tmp_path / "activity.h5", **(OPTIONS | {"jobs": 2})
    )
    assert catalog.frame["mtime_ns"].tolist() != small_plan.catalog.frame["mtime_ns"].tolist()
    assert plan.digest == small_plan.digest
    pd.testing.assert_frame_equal(plan.clips, small_plan.clips)


def test_the_digest_changes_with_all_that_decides_the_audio(
    small_plan: Plan, small_catalog: Catalog, small_activity: Path
) -> None:
    def digest(**options: Any) -> str:
        tree = options.pop("hierarchy", small_catalog.hierarchy)
        return plan_clips(small_catalog, tree, activity=small_activity, **(OPTIONS | options)).digest

    others = [
        digest(seed=1),
        digest(step=1.0),
        digest(clip_seconds=2.5),
        digest(salience_db=-29.0),
        digest(queries=False),
        digest(target="clean_guitars"),
        digest(clips={"train": 9, "validation": 6, "test": 4}),
        digest(hierarchy=load_hierarchy("band")),
    ]
    assert digest() == small_plan.digest
    assert len({small_plan.digest, *others}) == 9


def test_clips_are_sorted_and_numbered_by_their_drawing(small_plan: Plan) -> None:
    clips = small_plan.clips
    order = {"train": 0, "validation": 1, "test": 2}
    keys = [(order[c.split], c.track, c.start, c.target) for c in clips.itertuples()]
    assert keys == sorted(keys)
    for split, count in OPTIONS["clips"].items():
        assert sorted(clips.loc[clips["split"] == split, "draw"]) == list(range(count))
    assert small_plan.short == {}


def test_a_plan_without_queries_and_with_an_empty_split_loads_too(
    small_catalog: Catalog, small_slakh: Path, small_activity: Path, tmp_path: Path
) -> None:
    frame = small_catalog.frame.copy()
    frame.loc[frame["split"] == "validation", "split"] = "none"
    catalog = Catalog(small_catalog.root, small_catalog.hierarchy, "folders", frame)
    plan = plan_clips(catalog, catalog.hierarchy, target="clean_guitars", activity=small_activity, **OPTIONS)
    assert plan.short == {"validation": (0, 6)}
    assert plan.clips.dtypes.astype(str)[["start", "query_start", "draw"]].tolist() == [
        "float64", "float64", "int64",
    ]  # fmt: skip
    plan.save(tmp_path)
    loaded = Plan.load(tmp_path, small_slakh)
    assert loaded.digest == plan.digest
    pd.testing.assert_frame_equal(loaded.clips, plan.clips)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "clean_guitar"}, "did you mean clean_guitars"),
        ({"target": "guitars", "query_levels": (2,)}, "one target, or of nodes of the query levels"),
        ({"query_levels": (1, 4)}, r"slakh34 has no query level 4: it has 1 \(finest\) to 3 \(coarsest\)"),
        ({"query_levels": (0,)}, "no query level 0"),
        ({"query_levels": ()}, "no query level was chosen"),
        ({"target": "acoustic_guitar"}, "is a category .* clean_guitars"),
        ({"clip_seconds": 2.3}, "clip length must be a multiple of 0.5 s"),
        ({"clip_seconds": 0}, "not 0 s"),
        ({"clip_seconds": float("inf")}, "not inf s"),
        ({"clip_seconds": 1e300}, r"not 1e\+300 s"),
        ({"step": -0.5}, "step must be a multiple of 0.5 s"),
        ({"step": float("nan")}, "not nan s"),
        ({"salience_db": 3}, "between -200 and 0 dBFS, not 3"),
        ({"salience_db": float("nan")}, "not nan"),
        ({"clips": {"valid": 3}}, "did you mean validation"),
        ({"clips": {"train": -1}}, "0 or more, not -1"),
        ({"clips": {"train": 0}}, "no clips were asked for"),
    ],
)
def test_parameters_that_cannot_be_used_are_refused_before_any_work(
    small_catalog: Catalog, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], message: str
) -> None:
    monkeypatch.setattr("slakh_hier.plan.planning.from_activity", None)
    with pytest.raises(InputError, match=message):
        plan_clips(small_catalog, small_catalog.hierarchy, **(OPTIONS | options))


def test_a_track_of_which_a_stem_was_put_into_a_split_of_its_own(
    small_catalog: Catalog, small_activity: Path
) -> None:
    """By hand, in a saved catalog."""
    frame = small_catalog.frame.copy()
    track = frame.loc[frame["split"] == "train", "track"].iloc[0]
    frame.loc[frame.index[frame["track"] == track][0], "split"] = "-train"
    edited = replace(small_catalog, frame=frame)
    plan = plan_clips(edited, edited.hierarchy, activity=small_activity, **OPTIONS)
    assert track not in set(plan.clips["track"])
    assert set(plan.clips["split"]) <= {"train", "validation", "test"}


def test_numbers_of_clips_are_read_from_text() -> None:
    assert parse_clips("train=8, validation=0,test=12") == {"train": 8, "validation": 0, "test": 12}
    for text in ("", "train", "train=", "train=a", "train=-1", "train=1.5", "train=1,,test=2", "train=²"):
        with pytest.raises(InputError, match="clips are written train=10000"):
            parse_clips(text)
    with pytest.raises(InputError, match="train twice"):
        parse_clips("train=1,train=2")


def test_when_no_clip_can_be_drawn_the_reasons_are_reported(
    small_catalog: Catalog, small_activity: Path
) -> None:
    tree = small_catalog.hierarchy
    with pytest.raises(
        PlanError,
        match=r"train: clean_guitars: no window in which it is loud enough\n"
        r"  train: a node counts as sounding above -3 dBFS; --salience-db or --salience-below-mix changes that",
    ):
        plan_clips(
            small_catalog,
            tree,
            activity=small_activity,
            target="clean_guitars",
            **(OPTIONS | {"salience_db": -3}),
        )
    with pytest.raises(PlanError, match=r"no track of 20 s: the longest lasts 8\.3 s"):
        plan_clips(small_catalog, tree, activity=small_activity, **(OPTIONS | {"clip_seconds": 20}))
    frame = small_catalog.frame.assign(split="none")
    lost = Catalog(small_catalog.root, tree, "folders", frame)
    with pytest.raises(PlanError, match=r"no track of this split \(it has: none\)"):
        plan_clips(lost, tree, activity=small_activity, **OPTIONS)


def test_the_expected_si_sdr_is_that_of_the_audio(small_plan: Plan) -> None:
    tree, stems = small_plan.hierarchy, small_plan.catalog.usable
    for clip in small_plan.clips.itertuples():
        own = stems[stems["track"] == clip.track]
        rate = own["sample_rate"].iloc[0]
        place = slice(int(clip.start * rate), int((clip.start + 2) * rate))
        mixture = np.zeros((2 * rate, 2))
        targets = {level: np.zeros((2 * rate, 2)) for level in (1, 2, 3)}
        for row in own.itertuples():
            samples = soundfile.read(small_plan.catalog.root / row.path, always_2d=True)[0]
            samples = np.pad(samples, ((0, 20 * rate), (0, 0)))[place]
            mixture += samples
            for level, target in targets.items():
                if getattr(row, f"level_{level}") == tree.path(clip.target)[level - 1]:
                    target += samples
        mixture -= mixture.mean(axis=0)
        for level, target in targets.items():
            target -= target.mean(axis=0)
            scaled = target * (mixture * target).sum() / (target * target).sum()
            expected = 10 * np.log10((scaled**2).sum() / ((mixture - scaled) ** 2).sum())
            assert getattr(clip, f"mix_si_sdr_{level}") == pytest.approx(expected, abs=0.006)


def test_the_summary_counts_what_is_there(small_plan: Plan) -> None:
    rows = {row["split"]: row for row in split_rows(small_plan)}
    for split, part in small_plan.clips.groupby("split"):
        row = rows[split]
        assert (row["clips"], row["asked"]) == (len(part), OPTIONS["clips"][split])
        assert row["tracks"] == part["track"].nunique()
        for level in (1, 2, 3):
            values = part[f"mix_si_sdr_{level}"]
            assert row[f"SI-SDR {level}"] == pytest.approx(values[np.isfinite(values)].mean(), abs=0.006)
        # The coarser the target, the more of the mixture it is.
        assert row["SI-SDR 3"] >= row["SI-SDR 2"] >= row["SI-SDR 1"]
    assert rows["train"]["SI-SDR 3"] > rows["train"]["SI-SDR 1"]
    nodes = node_rows(small_plan)
    assert sum(row["clips"] for row in nodes) == 20
    assert {row["node"] for row in nodes} == set(small_plan.hierarchy.level_nodes(1))
    json.dumps([*rows.values(), *nodes])


def test_columns_hold_the_stems_of_their_node(small_plan: Plan) -> None:
    tree = small_plan.hierarchy
    stems = small_plan.catalog.usable
    stems = stems[stems["track"] == "Track00003"]
    columns = tree.columns([0, 1, 2, 3])
    table = column_membership(stems, columns)
    assert table[0].all()
    for column, row in zip(columns[1:], table[1:], strict=True):
        expected = [
            stem.category is None
            if column.name == "unassigned"
            else stem.category is not None and column.name in tree.path(stem.category)
            for stem in stems.itertuples()
        ]
        assert row.tolist() == expected
    assert any(row.any() for column, row in zip(columns, table, strict=True) if column.name == "unassigned")
    assert distinct_signals(stems, columns) == len({tuple(row) for row in table if row.any()})


@pytest.mark.parametrize("megabytes", [0.0001, 0.3, 0.8, 1.7, 1000])
def test_shards_cut_the_clips_in_order_and_keep_to_their_size(small_plan: Plan, megabytes: float) -> None:
    columns = small_plan.hierarchy.columns()
    shards = shard_layout(small_plan.clips, small_plan.catalog.usable_by_track, columns, 32_000, megabytes)
    numbers = {split: [s for s in shards if s.split == split] for split in OPTIONS["clips"]}
    for split, count in OPTIONS["clips"].items():
        own = numbers[split]
        assert [shard.number for shard in own] == list(range(len(own)))
        assert [shard.first for shard in own] == np.cumsum([0, *(s.count for s in own)])[:-1].tolist()
        assert sum(shard.count for shard in own) == count
        for shard in own:
            assert shard.bytes <= megabytes * 1e6 or shard.count == 1
        for shard, following in itertools.pairwise(own):
            assert shard.bytes + following.bytes > megabytes * 1e6
    assert [s.split for s in shards] == sorted(
        (s.split for s in shards), key=["train", "validation", "test"].index
    )
    assert_allclose(sum(shard.bytes for shard in shards), sum(s.bytes for s in shard_layout(
        small_plan.clips, small_plan.catalog.usable_by_track, columns, 32_000, 1000
    )))  # fmt: skip


def test_planning_imports_no_heavy_library_of_the_models() -> None:
    code = "import sys, slakh_hier; slakh_hier.Plan; print([m for m in ('torch', 'click', 'rich') if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
