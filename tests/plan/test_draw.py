"""Which clips are drawn, against a second implementation of the rules that reads the audio itself."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from slakh_hier import load_hierarchy, plan_clips
from slakh_hier.hierarchy import Companion, Hierarchy, parse_hierarchy
from slakh_hier.plan import Plan
from slakh_hier.plan.candidates import Salience
from slakh_hier.slakh import Catalog

SECONDS, STEP, SALIENCE = 2.0, 0.5, -30.0
ALL = 100_000
Window = tuple[str, float, str]


def possible_windows(
    catalog: Catalog,
    tree: Hierarchy,
    *,
    seconds: float = SECONDS,
    step: float = STEP,
    db: float = SALIENCE,
    below_mix: float | None = None,
    companion: str = "family",
    channels: int | None = None,
    levels: Sequence[int] = (1,),
) -> tuple[set[Window], set[Window]]:
    """(track, start, node) of all salient windows of some levels, and of those with a salient companion, from the files.

    Facts section 3: candidate starts on a grid, RMS of the node's submix over the clip above the threshold, another
    node of its level under the same coarsest one salient too (for a coarsest one: any other), the clip inside the track.
    With ``below_mix`` the threshold lies so many dB below the mixture. One channel is the mean of left and right.
    """
    channels = channels or catalog.channels
    salient: set[Window] = set()
    for track, stems in catalog.usable.groupby("track"):
        rate = int(stems["sample_rate"].iloc[0])
        length = int(stems["frames"].max())
        nodes: dict[str, np.ndarray] = defaultdict(lambda n=length: np.zeros((n, channels)))
        mix = np.zeros((length, channels))
        for row in stems.itertuples():
            samples = soundfile.read(catalog.root / row.path, always_2d=True)[0]
            if channels == 1:
                samples = samples.mean(axis=1, keepdims=True)
            mix[: len(samples)] += samples
            for level in levels:
                if (node := getattr(row, f"level_{level}")) is not None:
                    nodes[node][: len(samples)] += samples
        start = 0.0
        while int((start + seconds) * rate) <= length:
            for node, samples in nodes.items():
                here = slice(int(start * rate), int((start + seconds) * rate))
                least = db if below_mix is None else 10 * np.log10(np.mean(mix[here] ** 2)) - below_mix
                if samples[here].any() and 10 * np.log10(np.mean(samples[here] ** 2)) > least:
                    salient.add((str(track), start, node))
            start += step
    family: dict[str, Any] = {}
    for node, about in tree.nodes.items():
        whole = companion == "any" or about.level == tree.levels
        family[node] = about.level, "" if whole else tree.path(node)[-1]
    accompanied = {
        (track, start, node)
        for track, start, node in salient
        if companion == "none"
        or any(
            (t, s) == (track, start) and other != node and family[other] == family[node]
            for t, s, other in salient
        )
    }
    return salient, accompanied


@pytest.fixture(scope="module")
def possible(small_catalog: Catalog) -> tuple[set[Window], set[Window]]:
    return possible_windows(small_catalog, small_catalog.hierarchy)


def draw(catalog: Catalog, activity: Path, **options: Any) -> Plan:
    defaults: dict[str, Any] = {
        "clips": {"train": ALL, "validation": ALL, "test": ALL},
        "clip_seconds": SECONDS,
        "step": STEP,
        "jobs": 1,
    }
    tree = options.pop("hierarchy", catalog.hierarchy)
    return plan_clips(catalog, tree, activity=activity, **(defaults | options))


def windows_of(plan: Plan) -> list[Window]:
    return list(zip(plan.clips["track"], plan.clips["start"], plan.clips["target"], strict=True))


@pytest.mark.parametrize(("db", "channels"), [(-30.0, 2), (-26.5, 1), (-26.5, 2), (-24.0, None)])
def test_all_that_may_be_drawn_is_drawn_once(
    small_catalog: Catalog, small_activity: Path, db: float, channels: int | None
) -> None:
    plan = draw(small_catalog, small_activity, queries=False, salience_db=db, channels=channels)
    salient, accompanied = possible_windows(small_catalog, small_catalog.hierarchy, db=db, channels=channels)
    windows = windows_of(plan)
    assert len(windows) == len(set(windows))
    assert set(windows) == accompanied
    assert plan.clips["query_track"].eq("").all()
    assert plan.clips["query_start"].isna().all()
    songs = small_catalog.frame.drop_duplicates("track").set_index("track")
    for report in plan.reports:
        own = {w for w in salient if w[2] == report.node and songs.loc[w[0], "split"] == report.split}
        assert report.windows == len(own)
        assert report.candidates == report.drawn == len(own & accompanied)
        assert report.songs == len({w[0] for w in own})
    assert len(plan.reports) == 3 * len(small_catalog.hierarchy.level_nodes(1))
    assert db == -30 or len(windows) < len(possible_windows(small_catalog, small_catalog.hierarchy)[1])


def test_other_lengths_and_grids(small_catalog: Catalog, small_activity: Path) -> None:
    plan = draw(small_catalog, small_activity, queries=False, clip_seconds=3.5, step=1.5)
    expected = possible_windows(small_catalog, small_catalog.hierarchy, seconds=3.5, step=1.5)[1]
    assert set(windows_of(plan)) == expected
    assert {start % 1.5 for _, start, _ in expected} == {0.0}


@pytest.mark.parametrize("companion", ["any", "none"])
def test_other_companions(small_catalog: Catalog, small_activity: Path, companion: Companion) -> None:
    frame = small_catalog.frame.copy()
    frame.loc[~frame["level_1"].isin(["drums", "clean_guitars"]), "status"] = "excluded"
    frame.loc[(frame["track"] == "Track00001") & (frame["level_1"] == "drums"), "status"] = "excluded"
    catalog = Catalog(small_catalog.root, small_catalog.hierarchy, "folders", frame)
    plan = draw(catalog, small_activity, queries=False, companion=companion)
    salient, expected = possible_windows(catalog, catalog.hierarchy, companion=companion)
    assert set(windows_of(plan)) == expected
    assert possible_windows(catalog, catalog.hierarchy)[1] == set()
    assert ({track for track, _, _ in salient - expected} == {"Track00001"}) == (companion == "any")


@pytest.mark.parametrize("below_mix", [8.0, 9.0])
def test_salience_relative_to_the_mixture(
    small_catalog: Catalog, small_activity: Path, below_mix: float
) -> None:
    plan = draw(small_catalog, small_activity, queries=False, salience_below_mix=below_mix, companion="any")
    salient, expected = possible_windows(
        small_catalog, small_catalog.hierarchy, below_mix=below_mix, companion="any"
    )
    assert set(windows_of(plan)) == expected
    absolute = possible_windows(small_catalog, small_catalog.hierarchy, companion="any")[1]
    assert expected != absolute
    assert sum(report.windows for report in plan.reports) == len(salient)


def test_what_the_tree_says_of_clips_is_the_default(small_catalog: Catalog, small_activity: Path) -> None:
    papers, other = (
        f"clips: {{companion: {rule}}}"
        for rule in ("family, salience_db: -30", "none, salience_below_mix: 9")
    )
    assert papers in small_catalog.hierarchy.text
    tree = parse_hierarchy(small_catalog.hierarchy.text.replace(papers, other), "t.yaml")
    plan = draw(small_catalog, small_activity, hierarchy=tree, queries=False)
    made = plan.parameters
    assert (made.companion, made.salience_db, made.salience_below_mix) == ("none", None, 9.0)
    expected = possible_windows(small_catalog, tree, below_mix=9, companion="none")[1]
    assert set(windows_of(plan)) == expected
    given = draw(
        small_catalog, small_activity, hierarchy=tree, queries=False, companion="any", salience_db=-26
    )
    made = given.parameters
    assert (made.companion, made.salience_db, made.salience_below_mix) == ("any", -26.0, None)


def test_nothing_sounds_relative_to_a_mixture_that_has_faded_out() -> None:
    mix = np.array([-20.0, -75.0, -np.inf])
    rms = np.array([[-41.0], [-79.0], [-np.inf]])
    assert Salience(25, below_mix=True).found(rms, mix)[:, 0].tolist() == [True, True, False]
    assert Salience(5, below_mix=True).found(rms, mix)[:, 0].tolist() == [False, True, False]
    assert not Salience(25, below_mix=True).found(rms - 2, mix)[1]  # below -80 dBFS


def test_in_a_one_level_tree_any_other_node_is_company(small_catalog: Catalog, small_activity: Path) -> None:
    tree = load_hierarchy("band")
    plan = draw(small_catalog, small_activity, hierarchy=tree, queries=False)
    expected = possible_windows(plan.catalog, tree)[1]
    assert set(windows_of(plan)) == expected
    # Guitar, bass and drums are a family of their own nowhere else.
    assert {"guitar", "bass", "drums"} <= {target for _, _, target in expected}


@pytest.mark.parametrize(
    ("levels", "companion"), [((2,), "family"), ((3,), "family"), ((1, 3), "any"), ((1, 2, 3), "none")]
)
def test_targets_of_any_level(
    small_catalog: Catalog, small_activity: Path, levels: tuple[int, ...], companion: Companion
) -> None:
    tree = small_catalog.hierarchy
    options: dict[str, Any] = {"companion": companion, "salience_db": -26.5}
    plan = draw(small_catalog, small_activity, queries=False, query_levels=levels, **options)
    salient, expected = possible_windows(small_catalog, tree, db=-26.5, companion=companion, levels=levels)
    assert set(windows_of(plan)) == expected
    assert sum(report.windows for report in plan.reports) == len(salient)
    found = {(report.node, report.level) for report in plan.reports}
    assert found == {(name, level) for level in levels for name in tree.level_nodes(level)}
    assert {tree.nodes[target].level for _, _, target in expected} == set(levels)
    own = plan.clips["target"].map(lambda target: tree.nodes[target].level)
    for level in range(1, 4):
        assert (plan.clips[f"mix_si_sdr_{level}"].isna() == (own > level)).all()


def test_a_target_of_a_middle_level(small_catalog: Catalog, small_activity: Path) -> None:
    plan = draw(small_catalog, small_activity, target="guitars", queries=True)
    salient, accompanied = possible_windows(small_catalog, small_catalog.hierarchy, levels=[2])
    assert set(windows_of(plan)) == {window for window in accompanied if window[2] == "guitars"}
    assert len(plan.clips) > 20
    for clip in plan.clips.itertuples():
        assert (clip.query_track, clip.query_start, "guitars") in salient
        assert clip.query_song != clip.song
    # Its leaf's clips are others: the leaf must be salient, not only the sum.
    leaf = draw(small_catalog, small_activity, target="clean_guitars")
    assert {w[:2] for w in windows_of(leaf)} <= {w[:2] for w in salient if w[2] == "guitars"}


def test_the_mixture_is_measured_against_the_path(small_catalog: Catalog, small_activity: Path) -> None:
    """At the levels that both have, clips of a node and of its leaf in the same window have the same values."""
    plans = [
        draw(small_catalog, small_activity, target=name, companion="none")
        for name in ("clean_guitars", "guitars")
    ]
    leaf, node = (plan.clips.set_index(["track", "start"]) for plan in plans)
    both = leaf.index.intersection(node.index)
    assert len(both) > 20
    for level in (2, 3):
        column = f"mix_si_sdr_{level}"
        pd.testing.assert_series_equal(leaf.loc[both, column], node.loc[both, column])
    assert node["mix_si_sdr_1"].isna().all()


def test_a_clip_ends_before_its_longest_stem_does(
    small_catalog: Catalog, possible: tuple[set[Window], set[Window]]
) -> None:
    """Of 8.3 s, the last of 2 s begins at 6.0: the hop that is cut off by the end is no part of a clip."""
    assert max(start for _, start, _ in possible[1]) == 6.0


def test_queries_are_salient_windows_of_the_node_in_another_song_of_the_split(
    small_catalog: Catalog, small_activity: Path, possible: tuple[set[Window], set[Window]]
) -> None:
    salient, accompanied = possible
    plan = draw(small_catalog, small_activity)
    about = small_catalog.frame.drop_duplicates("track").set_index("track")
    songs = defaultdict(set)
    for track, _, node in salient:
        songs[about.loc[track, "split"], node].add(about.loc[track, "song"])
    with_query = {w for w in accompanied if len(songs[about.loc[w[0], "split"], w[2]]) > 1}
    assert set(windows_of(plan)) == with_query
    assert len(with_query) > 50
    for clip in plan.clips.itertuples():
        assert (clip.query_track, clip.query_start, clip.target) in salient
        assert about.loc[clip.query_track, "split"] == clip.split == about.loc[clip.track, "split"]
        assert about.loc[clip.query_track, "song"] == clip.query_song != clip.song


def test_where_no_other_song_has_the_node_there_is_no_clip_and_a_reason(
    small_catalog: Catalog, small_activity: Path
) -> None:
    frame = small_catalog.frame.copy()
    lost = (frame["track"] == "Track00002") & (frame["level_1"] == "clean_guitars")
    assert lost.sum() == 1
    frame.loc[lost, "status"] = "excluded"
    plan = draw(Catalog(small_catalog.root, small_catalog.hierarchy, "folders", frame), small_activity)
    (report,) = [r for r in plan.reports if (r.split, r.node) == ("train", "clean_guitars")]
    assert (report.drawn, report.candidates, report.songs) == (0, 0, 1)
    assert report.windows > 0
    assert report.reason == "1 song only, so that no query can be drawn"
    assert not ((plan.clips["split"] == "train") & (plan.clips["target"] == "clean_guitars")).any()
    assert ((plan.clips["split"] == "test") & (plan.clips["target"] == "clean_guitars")).any()


def test_reports_say_what_held_the_drawing_back(small_catalog: Catalog, small_activity: Path) -> None:
    plan = draw(small_catalog, small_activity, clips={"train": ALL, "test": 5})
    reasons = {(report.split, report.node): report.reason for report in plan.reports}
    assert reasons["train", "flutes"] == "no window in which it is loud enough"
    assert reasons["train", "acoustic_pianos"] == "all its clips are drawn"
    assert all(
        reason == "" for (split, _), reason in reasons.items() if split == "test" and "loud" not in reason
    )
    assert plan.short == {"train": ((plan.clips["split"] == "train").sum(), ALL)}
    only = draw(small_catalog, small_activity, target="clean_guitars", clips={"train": 4}, queries=True)
    assert [report.node for report in only.reports] == ["clean_guitars"]


def test_a_node_without_company_says_so(small_catalog: Catalog, small_activity: Path) -> None:
    frame = small_catalog.frame.copy()
    frame.loc[~frame["level_1"].isin(["drums", "clean_guitars", "acoustic_pianos"]), "status"] = "excluded"
    plan = draw(Catalog(small_catalog.root, small_catalog.hierarchy, "folders", frame), small_activity)
    reasons = {(report.split, report.node): report.reason for report in plan.reports}
    assert reasons["train", "drums"] == "no other node of its family sounds with it"
    assert all(report.alone == report.windows > 0 for report in plan.reports if "family" in report.reason)
    assert set(plan.clips["target"]) == {"clean_guitars", "acoustic_pianos"}
    (alone,) = [report.alone for report in plan.reports if report.split == "train" and report.alone]
    assert plan.kept_out("train")[-1] == (
        f"the companion rule (family) kept {alone} windows of 1 node out; --companion any or none takes such clips"
    )


def test_with_a_target_every_clip_shows_it_and_has_no_query(
    small_catalog: Catalog, small_activity: Path, possible: tuple[set[Window], set[Window]]
) -> None:
    plan = draw(small_catalog, small_activity, target="clean_guitars")
    assert set(windows_of(plan)) == {w for w in possible[1] if w[2] == "clean_guitars"}
    assert plan.clips["query_track"].eq("").all()
    asked = draw(small_catalog, small_activity, target="clean_guitars", queries=True)
    assert asked.clips["query_track"].ne("").all()


def test_a_smaller_plan_is_the_beginning_of_a_larger_one(
    small_catalog: Catalog, small_activity: Path
) -> None:
    large = draw(small_catalog, small_activity, clips={"train": 60, "test": 20})
    small = draw(small_catalog, small_activity, clips={"train": 15})
    first = large.clips[(large.clips["split"] == "train") & (large.clips["draw"] < 15)]
    pd.testing.assert_frame_equal(small.clips, first.reset_index(drop=True))
    other = draw(small_catalog, small_activity, clips={"train": 15}, seed=1)
    assert set(windows_of(other)) != set(windows_of(small))
