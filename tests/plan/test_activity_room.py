"""The room that the activity will take is estimated, and asked for before any measuring."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import h5py
import pytest

from slakh_hier.errors import FaultError
from slakh_hier.plan import activity as module
from slakh_hier.plan import measure_activity
from slakh_hier.plan.activity_file import ActivityFile
from slakh_hier.slakh import Catalog


@pytest.mark.parametrize("part", [None, (1, 2)])
def test_no_room_is_said_before_any_measuring(
    small_catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: Any
) -> None:
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    monkeypatch.setattr(module, "measure_track", lambda *arguments: pytest.fail("a track was measured"))
    with pytest.raises(FaultError, match=r"measuring the activity needs .* MB, but only"):
        measure_activity(
            small_catalog, tmp_path / "new" / "activity.h5", jobs=1, part=part, backend="threading"
        )
    assert list(tmp_path.iterdir()) == []


def test_the_size_of_formula_data_is_estimated_within_a_factor_of_two(
    small_catalog: Catalog, small_activity: Path
) -> None:
    check_estimate(small_catalog, small_activity)


def test_the_size_of_music_is_estimated_within_a_factor_of_two(
    music_catalog: Catalog, music_activity: Path
) -> None:
    check_estimate(music_catalog, music_activity)


def check_estimate(catalog: Catalog, path: Path) -> None:
    with ActivityFile(path) as file:
        estimated = module.estimated_bytes(catalog, list(file))
    # Tracks of seconds: two thirds of the file are HDF5's own, a few kB a track.
    with h5py.File(path) as content:
        stored = sum(
            dataset.id.get_storage_size()
            for group in content.values()
            for dataset in (group["sums_mid"], group["gram_mid"])
        )
    assert stored / 2 < estimated < 2 * stored
