"""A plan for one node measures the tracks in which it has stems, and is the plan that follows from all tracks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from slakh_hier import load_hierarchy, plan_clips, scan
from slakh_hier.errors import PlanError
from slakh_hier.files import file_sha256
from slakh_hier.plan import activity as module
from slakh_hier.plan import measure_activity
from slakh_hier.plan.activity_file import ActivityFile
from slakh_hier.slakh import Catalog

OPTIONS: dict[str, Any] = {
    "clips": {"train": 10, "validation": 6, "test": 4},
    "clip_seconds": 2,
    "step": 0.5,
    "companion": "none",
    "jobs": 1,
}


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tracks in the order in which they are measured."""
    tracks: list[str] = []
    real = module.measure_track

    def spy(rows: list[module.StemRef], root: Path) -> Any:
        tracks.append(rows[0].track)
        return real(rows, root)

    monkeypatch.setattr(module, "measure_track", spy)
    return tracks


def rare_node(catalog: Catalog) -> tuple[str, list[str]]:
    """The node with stems in the fewest tracks, and these."""
    tracks = catalog.usable.groupby("level_1")["track"].unique()
    name = str(tracks.map(len).idxmin())
    assert 0 < len(tracks[name]) < catalog.frame["track"].nunique()
    return name, sorted(tracks[name])


def test_only_tracks_with_the_target_are_measured_and_the_rest_when_it_is_needed(
    small_catalog: Catalog, small_activity: Path, tmp_path: Path, measured: list[str]
) -> None:
    target, tracks = rare_node(small_catalog)
    path = tmp_path / "activity.h5"
    wanted = plan_clips(
        small_catalog, small_catalog.hierarchy, target=target, activity=small_activity, **OPTIONS
    )
    assert measured == []
    plan = plan_clips(small_catalog, small_catalog.hierarchy, target=target, activity=path, **OPTIONS)
    assert measured == tracks
    with ActivityFile(path) as file:
        assert list(file) == tracks
    assert plan.digest == wanted.digest
    plan_clips(small_catalog, small_catalog.hierarchy, target=target, activity=path, **OPTIONS)
    assert measured == tracks
    plan_clips(small_catalog, small_catalog.hierarchy, activity=path, **OPTIONS)
    assert sorted(measured) == sorted(small_catalog.frame["track"].unique())
    assert file_sha256(path) == file_sha256(small_activity)


def test_splits_without_clips_are_not_measured(
    small_catalog: Catalog, tmp_path: Path, measured: list[str]
) -> None:
    options = {**OPTIONS, "clips": {"test": 4}}
    plan_clips(small_catalog, small_catalog.hierarchy, activity=tmp_path / "activity.h5", **options)
    frame = small_catalog.frame
    assert measured == sorted(frame["track"][frame["split"] == "test"].unique())


def test_a_plan_does_not_depend_on_faults_of_tracks_that_it_does_not_need(
    small_slakh: Path, tmp_path: Path
) -> None:
    root = shutil.copytree(small_slakh, tmp_path / "slakh")
    tree = load_hierarchy("slakh34")
    target, tracks = rare_node(scan(root, tree, jobs=1, cache=False))
    other = next(path for path in sorted(root.glob("*/Track*")) if path.name not in tracks)
    stem = min((other / "stems").iterdir())
    stem.write_bytes(stem.read_bytes()[:-200])
    catalog = scan(root, tree, jobs=1, cache=False)
    every = measure_activity(catalog, tmp_path / "every.h5", jobs=1)
    with ActivityFile(every) as file:
        assert [track for track, _ in file.all_broken()] == [other.name]
    plans = [
        plan_clips(catalog, tree, target=target, activity=activity, **OPTIONS)
        for activity in (every, tmp_path / "few.h5")
    ]
    assert plans[0].digest == plans[1].digest
    assert not (plans[1].catalog.frame["status"] == "broken").any()


def test_a_node_without_stems_measures_nothing(
    small_catalog: Catalog, tmp_path: Path, measured: list[str]
) -> None:
    there = set(small_catalog.usable["level_1"])
    target = next(name for name in small_catalog.hierarchy.level_nodes(1) if name not in there)
    with pytest.raises(PlanError, match=f"{target}: no window in which it is loud enough"):
        plan_clips(
            small_catalog, small_catalog.hierarchy, target=target, activity=tmp_path / "a.h5", **OPTIONS
        )
    assert measured == []
