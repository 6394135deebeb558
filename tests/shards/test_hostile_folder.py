"""Untrusted folders of shards: an index that lies, and links, pipes and gigantic files in the place of ours."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from slakh_hier.errors import InputError, ShardError
from slakh_hier.shards import open_shards
from slakh_hier.shards.mask import Mask
from slakh_hier.shards.mask_files import add_mask, remove_mask
from slakh_hier.shards.verify import verify


def test_json_of_the_index_is_not_trusted_either(make_set):
    made = make_set(splits={"train": [[0, 1, 2, 3]]})
    text = (made.folder / "index.json").read_text()
    for file in ("../secret.h5", "/etc/passwd", "a/b.h5", "..", "x.h5\n", "a\u0000.h5", ".hidden.h5"):
        raw = json.loads(text)
        raw["shards"][0]["file"] = file
        (made.folder / "index.json").write_text(json.dumps(raw))
        with pytest.raises(ShardError, match=r"index\.json: shards\.0\.file"):
            open_shards(made.folder)


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda path, victim: path.symlink_to(victim), "is a symbolic link"),
        (lambda path, victim: os.mkfifo(path), "is not a regular file"),
        (lambda path, victim: path.mkdir(), "Is a directory"),
    ],
)
def test_something_else_in_the_place_of_the_lock(make_set, tmp_path, make, found):
    made = make_set(splits={"train": [[0, 1, 2, 3]]})
    victim = tmp_path / "victim"
    victim.write_text("mine")
    make(made.folder / ".lock", victim)
    before = (made.folder / "index.json").read_bytes()
    with pytest.raises(InputError, match=rf"\.lock: {found}.*Remove it"):
        add_mask(made.folder, Mask("leaf", 25))
    assert victim.read_text() == "mine"
    assert (made.folder / "index.json").read_bytes() == before


def test_no_mask_is_removed_behind_a_link(make_set, tmp_path):
    made = make_set(splits={"train": [[0, 1, 2, 3]]})
    add_mask(made.folder, Mask("leaf", 25))
    (made.folder / "masks").rename(tmp_path / "elsewhere")
    (made.folder / "masks").symlink_to(tmp_path / "elsewhere")
    before = (made.folder / "index.json").read_bytes()
    with pytest.raises(InputError, match="masks: is a symbolic link"):
        remove_mask(made.folder, "leaf-25")
    assert (tmp_path / "elsewhere" / "leaf-25.h5").exists()
    assert (made.folder / "index.json").read_bytes() == before


def test_an_index_cannot_give_a_mask_another_ones_file(make_set):
    made = make_set(splits={"train": [[0, 1, 2, 3]]})
    add_mask(made.folder, Mask("leaf", 25))
    made.rewrite_index(lambda raw: raw["masks"][-1].update(file="masks/mine.h5"))
    with pytest.raises(
        ShardError, match=r"the file of mask leaf-25 is masks/leaf-25\.h5, not masks/mine\.h5"
    ):
        remove_mask(made.folder, "leaf-25")


SIDE_FILES = ("plan.yaml", "hierarchy.yaml")
UNREADABLE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "pipe": (os.mkfifo, "is not a regular file"),
    "link": (lambda path: path.symlink_to("/dev/zero"), "is a symbolic link"),
    "gigantic": (lambda path: (path.touch(), os.truncate(path, 2**40)), "1099511627776 bytes; at most"),
}  # fmt: skip


@pytest.mark.timeout(20)
@pytest.mark.parametrize("name", SIDE_FILES)
@pytest.mark.parametrize("what", UNREADABLE)
def test_files_beside_the_shards_are_read_with_the_same_care(make_set, name, what):
    made = make_set(splits={"train": [[0, 1, 2, 3]]})
    (made.folder / name).unlink()
    make, reason = UNREADABLE[what]
    make(made.folder / name)
    assert [(f.file, reason in f.what) for f in verify(made.folder)] == [(name, True)]
