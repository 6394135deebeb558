"""Untrusted folders, into which one renders: nothing outside them is read, written or removed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import slakh_hier as sh
from slakh_hier.errors import FaultError, InputError
from slakh_hier.shards.mask_files import add_mask
from slakh_hier.shards.verify import verify

OPTIONS: dict[str, Any] = {"sample_rate": 8000, "shard_mb": 0.8, "masks": ["leaf:50"], "jobs": 1}
"""How the fixture ``small_set`` is rendered."""

Make = Callable[[Path, Path], Any]
OTHER_THINGS: dict[str, tuple[Make, str]] = {
    "link": (lambda path, victim: path.symlink_to(victim), "is a symbolic link"),
    "pipe": (lambda path, victim: os.mkfifo(path), "is not a regular file"),
    "folder": (lambda path, victim: path.mkdir(), "not a regular file|Is a directory"),
}


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_text("mine\n")
    return path


@pytest.mark.parametrize("what", OTHER_THINGS)
def test_something_else_in_the_place_of_the_lock(
    what: str, small_plan: sh.Plan, small_set: Path, victim: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(small_set, out)
    (out / ".lock").unlink()
    make, found = OTHER_THINGS[what]
    make(out / ".lock", victim)
    with pytest.raises(InputError, match=rf"\.lock: .*({found}).*Remove it"):
        sh.render(small_plan, out, **OPTIONS)
    assert victim.read_text() == "mine\n"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("what", OTHER_THINGS)
@pytest.mark.parametrize("name", ["failures.jsonl", "render.json", ".made", ".made/test-00000.h5.json"])
def test_something_else_in_the_place_of_a_file_of_ours(
    name: str, what: str, small_plan: sh.Plan, small_set: Path, victim: Path, tmp_path: Path
) -> None:
    """It is refused or replaced; nothing is written through it, and nobody waits for it."""
    out = tmp_path / "out"
    shutil.copytree(small_set, out)
    place = out / name
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
    make, _ = OTHER_THINGS[what]
    make(place, victim)
    refused = ""
    try:
        sh.render(small_plan, out, **OPTIONS)
    except (InputError, FaultError) as error:
        refused = str(error)
    assert str(place) in refused or verify(out, full=True) == []
    assert victim.read_text() == "mine\n"


def test_starting_from_scratch_removes_links_and_nothing_behind_them(
    small_plan: sh.Plan, small_set: Path, victim: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(small_set, out)
    add_mask(out, sh.shards.mask.Mask.parse("all:90"))
    (out / "masks").rename(tmp_path / "elsewhere")
    (out / "masks").symlink_to(tmp_path / "elsewhere")
    for name in ("failures.jsonl", "train-00099.h5"):
        (out / name).symlink_to(victim)
    sh.render(small_plan, out, overwrite=True, **OPTIONS)
    assert verify(out, full=True) == []
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["all-90.h5"]
    assert victim.read_text() == "mine\n"
    assert not [path for path in out.iterdir() if path.is_symlink()]


def test_folders_that_render_did_not_make_stay(small_plan: sh.Plan, small_set: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(small_set, out)
    (out / "train-00099.h5").mkdir()
    sh.render(small_plan, out, overwrite=True, **OPTIONS)
    assert (out / "train-00099.h5").is_dir()


def test_a_shard_that_is_a_link_is_rendered_again(
    small_plan: sh.Plan, small_set: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(small_set, out)
    shard = min(out.glob("train-*.h5"))
    shard.rename(tmp_path / "elsewhere.h5")
    shard.symlink_to(tmp_path / "elsewhere.h5")
    assert sh.render(small_plan, out, **OPTIONS).made == 1
    assert verify(out) == []
