"""Folders from strangers, into which one renders: nothing outside them is read, written or removed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import slakh_hier as sh
from slakh_hier.errors import InputError
from slakh_hier.shards.masks import add_mask
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


@pytest.mark.parametrize("name", [".lock", ".journal", ".journal-7", "failures.jsonl"])
@pytest.mark.parametrize("what", OTHER_THINGS)
def test_something_else_in_the_place_of_a_file_of_ours(
    name: str, what: str, small_plan: sh.Plan, small_set: Path, victim: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(small_set, out)
    (out / ".lock").unlink()
    make, found = OTHER_THINGS[what]
    make(out / name, victim)
    with pytest.raises(InputError, match=rf"{name}: .*({found}).*Remove it"):
        sh.render(small_plan, out, **OPTIONS)
    assert victim.read_text() == "mine\n"


def test_a_new_journal_is_not_written_through_a_link(
    small_plan: sh.Plan, victim: Path, tmp_path: Path
) -> None:
    """A link that leads nowhere yet would be a file that render makes there."""
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".journal-1").symlink_to(tmp_path / "new")
    with pytest.raises(InputError, match=r"\.journal-1: .*is a symbolic link"):
        sh.render(small_plan, tmp_path / "out", part=(1, 2), **OPTIONS)
    assert not (tmp_path / "new").exists()


def test_starting_again_removes_links_and_nothing_behind_them(
    small_plan: sh.Plan, small_set: Path, victim: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(small_set, out)
    add_mask(out, sh.plan.reductions.Reduction.parse("all:90"))
    (out / "masks").rename(tmp_path / "elsewhere")
    (out / "masks").symlink_to(tmp_path / "elsewhere")
    for name in (".journal", "failures.jsonl", "train-00099.h5"):
        (out / name).symlink_to(victim)
    sh.render(small_plan, out, overwrite=True, **OPTIONS)
    assert verify(out, full=True) == []
    assert [path.name for path in (tmp_path / "elsewhere").iterdir()] == ["all-90.h5"]
    assert victim.read_text() == "mine\n"
    assert not [path for path in out.iterdir() if path.is_symlink()]


def test_what_cannot_be_removed_is_named(small_plan: sh.Plan, small_set: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(small_set, out)
    (out / "train-00099.h5").mkdir()
    with pytest.raises(
        InputError, match=r"train-00099\.h5: cannot be removed to start again: Is a directory"
    ):
        sh.render(small_plan, out, overwrite=True, **OPTIONS)


def test_a_shard_that_is_a_link_is_rendered_again(
    small_plan: sh.Plan, small_set: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(small_set, out)
    shard = min(out.glob("train-*.h5"))
    shard.rename(tmp_path / "elsewhere.h5")
    shard.symlink_to(tmp_path / "elsewhere.h5")
    assert sh.render(small_plan, out, **OPTIONS).rendered == 1
    assert verify(out) == []
