"""Drawn clips against the paper's rules, written down a second time and slowly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

import slakh_hier as sh
from slakh_hier.errors import InputError, PlanError
from slakh_hier.testing import make_slakh

SECONDS, STEP, SALIENCE = 3.0, 1.0, -30.0


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> sh.Catalog:
    root = make_slakh(tmp_path_factory.mktemp("rules") / "slakh", tracks=9, seconds=9.7, sample_rate=8_000)
    return sh.scan(root, sh.load_hierarchy("slakh34"), split_scheme="folders")


@pytest.fixture(scope="module")
def levels(catalog: sh.Catalog) -> dict[tuple[str, float, str], float]:
    """RMS in dBFS of every finest node in every window of the grid, from the audio."""
    found = {}
    for track, stems in catalog.usable.groupby("track"):
        audio = {s.stem: soundfile.read(catalog.root / s.path)[0] for s in stems.itertuples()}
        longest = max(map(len, audio.values()))
        native = int(stems["sample_rate"].iloc[0])
        start = 0.0
        while (start + SECONDS) * native <= longest:
            first, last = int(start * native), int((start + SECONDS) * native)
            for node, members in stems.groupby("level_1"):
                total = np.zeros(last - first)
                for stem in members["stem"]:
                    part = audio[stem][first:last]
                    total[: len(part)] += part
                found[str(track), start, str(node)] = 10 * np.log10(np.mean(total**2) + 1e-20)
            start += STEP
    return found


def allowed(
    catalog: sh.Catalog, levels: dict[tuple[str, float, str], float], split: str
) -> set[tuple[str, float, str]]:
    """(track, start, node) of every window that the rules let through, without looking at queries."""
    tree = catalog.hierarchy
    tracks = set(catalog.frame.loc[catalog.frame["split"] == split, "track"])
    salient = {key for key, level in levels.items() if level > SALIENCE and key[0] in tracks}
    return {
        (track, start, node)
        for track, start, node in salient
        if any(
            other != node and t == track and s == start and tree.top(other) == tree.top(node)
            for t, s, other in salient
        )
    }


@pytest.mark.parametrize("queries", [True, False])
@pytest.mark.parametrize("split", ["train", "test"])
def test_everything_that_is_allowed_can_be_drawn_and_nothing_else(
    queries: bool, split: str, catalog: sh.Catalog, levels: dict[tuple[str, float, str], float]
) -> None:
    tree = catalog.hierarchy
    plan = sh.plan_clips(
        catalog, tree, clips={split: 100_000}, clip_seconds=SECONDS, step=STEP, queries=queries, jobs=1
    )
    drawn = list(zip(plan.clips["track"], plan.clips["start"], plan.clips["target"], strict=True))
    assert len(set(drawn)) == len(drawn)
    expected = allowed(catalog, levels, split)
    song = dict(zip(catalog.frame["track"], catalog.frame["song"], strict=True))
    tracks = set(catalog.frame.loc[catalog.frame["split"] == split, "track"])
    salient = {key for key, level in levels.items() if level > SALIENCE and key[0] in tracks}
    if queries:
        expected = {
            (track, start, node)
            for track, start, node in expected
            if any(other == node and song[t] != song[track] for t, _, other in salient)
        }
        for clip in plan.clips.itertuples():
            assert (clip.query_track, clip.query_start, clip.target) in salient
            assert song[clip.query_track] == clip.query_song != clip.song
    else:
        assert plan.clips["query_track"].eq("").all()
    assert set(drawn) == expected
    assert len(expected) > 20
    assert plan.short == {split: (len(expected), 100_000)}


def test_nodes_are_drawn_evenly_while_they_last(catalog: sh.Catalog) -> None:
    plan = sh.plan_clips(
        catalog,
        catalog.hierarchy,
        clips={"train": 60},
        clip_seconds=SECONDS,
        step=STEP,
        queries=False,
        jobs=1,
    )
    possible = [report.node for report in plan.reports if report.candidates >= 20]
    counts = plan.clips["target"].value_counts()
    assert len(plan.clips) == 60
    fair = 60 / sum(report.candidates > 0 for report in plan.reports)
    assert all(counts.get(node, 0) < 4 * fair for node in counts.index)
    assert len(possible) < 2 or sum(counts.get(node, 0) for node in possible) > fair


def test_a_plan_is_a_function_of_its_inputs(catalog: sh.Catalog, tmp_path: Path) -> None:
    def draw(**changes: object) -> sh.Plan:
        options = {
            "clips": {"train": 10, "test": 5},
            "clip_seconds": SECONDS,
            "step": STEP,
            "seed": 1,
            **changes,
        }
        return sh.plan_clips(catalog, catalog.hierarchy, **options)  # type: ignore[arg-type]

    plan = draw()
    assert draw(jobs=2).digest == plan.digest
    assert draw(seed=2).digest != plan.digest
    fewer = draw(clips={"train": 4, "test": 5})
    kept = plan.clips[(plan.clips["split"] == "train") & (plan.clips["draw"] < 4)]
    assert fewer.clips[fewer.clips["split"] == "train"]["track"].tolist() == kept["track"].tolist()
    plan.save(tmp_path / "plan")
    again = sh.Plan.load(tmp_path / "plan", catalog.root)
    assert again.digest == plan.digest
    assert again.clips.equals(plan.clips)
    text = (tmp_path / "plan" / "clips.csv").read_text()
    (tmp_path / "plan" / "clips.csv").write_text(text.replace(",1.0,", ",2.0,", 1))
    with pytest.raises(PlanError, match="changed after the plan was made"):
        sh.Plan.load(tmp_path / "plan", catalog.root)


def test_one_target_only(catalog: sh.Catalog) -> None:
    plan = sh.plan_clips(
        catalog,
        catalog.hierarchy,
        target="clean_guitars",
        clips={"train": 9},
        clip_seconds=SECONDS,
        step=STEP,
    )
    assert set(plan.clips["target"]) == {"clean_guitars"}
    assert plan.clips["query_track"].eq("").all()


def test_in_a_tree_of_one_level_any_other_node_will_do(catalog: sh.Catalog) -> None:
    band = sh.load_hierarchy("band")
    plan = sh.plan_clips(catalog, band, clips={"train": 30}, clip_seconds=SECONDS, step=STEP, queries=False)
    assert set(plan.clips["target"]) >= {"drums", "guitar"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "clean_guitar"}, "did you mean clean_guitars"),
        ({"target": "guitars"}, "clean_guitars, effected_guitars"),
        ({"step": 0.3}, "multiple of 0.5 s"),
        ({"clip_seconds": 0}, "multiple of 0.5 s"),
        ({"clips": {"trian": 3}}, "did you mean train"),
        ({"clips": {"train": -1}}, "0 or more"),
        ({"clips": {"train": 0}}, "no clips were asked for"),
        ({"salience_db": 3}, "between -200 and 0"),
    ],
)
def test_wrong_parameters_are_refused_before_any_work(
    options: dict[str, object], message: str, catalog: sh.Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slakh_hier.plan.plan.measure_activity", None)
    with pytest.raises(InputError, match=message):
        sh.plan_clips(catalog, catalog.hierarchy, **options)  # type: ignore[arg-type]


def test_what_cannot_be_drawn_is_said_with_its_reason(catalog: sh.Catalog) -> None:
    with pytest.raises(PlanError, match=r"clean_guitars: no window in which it is loud enough"):
        sh.plan_clips(
            catalog,
            catalog.hierarchy,
            target="clean_guitars",
            clips={"train": 2},
            clip_seconds=3,
            salience_db=-0.1,
        )
    with pytest.raises(PlanError, match="no window"):
        sh.plan_clips(catalog, catalog.hierarchy, clips={"train": 2}, clip_seconds=50)
