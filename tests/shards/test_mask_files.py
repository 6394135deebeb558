"""Masks on finished sets: the shards stay as they are, the reader shows both kinds alike."""

from __future__ import annotations

import fcntl
import hashlib
import shutil

import numpy as np
import pytest

from slakh_hier import files
from slakh_hier.errors import FaultError, InputError, LockedError, ShardError
from slakh_hier.shards import mask_files, open_shards
from slakh_hier.shards.mask import Mask
from slakh_hier.shards.mask_files import add_mask, list_masks, remove_mask
from slakh_hier.shards.verify import verify


def shard_digests(made):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in made.folder.glob("*.h5")}


def names(made):
    return [(one.mask.name, one.where) for one in list_masks(made.folder)]


@pytest.mark.parametrize("text", ["leaf:50", "all:50", "leaf:90", "all:12.5"])
def test_an_added_mask_equals_a_rendered_one(make_set, text):
    mask = Mask.parse(text)
    rendered = make_set("rendered", masks=[text])
    plain = make_set("plain", masks=[])
    before = shard_digests(plain)
    add_mask(plain.folder, mask)
    assert shard_digests(plain) == before
    for split in (None, "train", "validation", "test"):
        one, two = open_shards(rendered.folder, split), open_shards(plain.folder, split)
        assert one.masks == two.masks == (mask.name,)
        assert np.array_equal(one.mask(mask.name), two.mask(mask.name))
    assert verify(plain.folder, full=True, jobs=1) == []


def test_no_room_for_a_mask_is_said_before_anything_is_changed(make_set, monkeypatch):
    made = make_set(masks=[])
    before = {path.name: path.read_bytes() for path in made.folder.glob("*.*") if path.name != ".lock"}
    full = shutil.disk_usage(made.folder)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: full)
    with pytest.raises(FaultError, match=r"mask leaf-30 needs .* MB, but only"):
        add_mask(made.folder, Mask.parse("leaf:30"))
    assert {
        path.name: path.read_bytes() for path in made.folder.glob("*.*") if path.name != ".lock"
    } == before
    assert not list(made.folder.rglob("leaf-30*"))


def test_count_is_of_training_clips(make_set):
    made = make_set(masks=[])
    assert add_mask(made.folder, Mask("leaf", 50)) == 3
    assert (~open_shards(made.folder).mask("leaf-50")).any(axis=1).sum() == 3


def test_removing_a_rendered_mask_hides_it(make_set):
    made = make_set()
    before = shard_digests(made)
    rendered = open_shards(made.folder).mask("leaf-50")
    remove_mask(made.folder, "leaf-50")
    assert names(made) == [("all-50", "shards")]
    with pytest.raises(InputError, match="no mask 'leaf-50'"):
        open_shards(made.folder).mask("leaf-50")
    add_mask(made.folder, Mask("leaf", 50))
    assert names(made) == [("leaf-50", "shards"), ("all-50", "shards")]
    assert not (made.folder / "masks").exists()
    assert np.array_equal(open_shards(made.folder).mask("leaf-50"), rendered)
    assert shard_digests(made) == before


def test_another_definition_beside_a_hidden_one(make_set):
    made = make_set()
    other = Mask("leaf", 50, seed=1)
    with pytest.raises(ShardError, match=r"of mode exact and seed 588.*--remove leaf-50"):
        add_mask(made.folder, other)
    remove_mask(made.folder, "leaf-50")
    add_mask(made.folder, other)
    assert names(made) == [("all-50", "shards"), ("leaf-50", "file")]
    assert verify(made.folder) == []
    remove_mask(made.folder, "leaf-50")
    assert not list((made.folder / "masks").iterdir())
    add_mask(made.folder, Mask("leaf", 50))
    assert names(made) == [("leaf-50", "shards"), ("all-50", "shards")]


def test_adding_and_removing_leaves_the_folder_as_it_was(make_set):
    made = make_set()
    before = (made.folder / "index.json").read_bytes()
    add_mask(made.folder, Mask("leaf", 90))
    assert names(made)[-1] == ("leaf-90", "file")
    remove_mask(made.folder, "leaf:90")  # as it was written when it was added
    assert (made.folder / "index.json").read_bytes() == before


def test_adding_twice_does_nothing(make_set):
    made = make_set()
    for mask in (Mask("leaf", 50), Mask("leaf", 90)):
        add_mask(made.folder, mask)
        before = (made.folder / "index.json").read_bytes()
        add_mask(made.folder, mask)
        assert (made.folder / "index.json").read_bytes() == before


def test_same_bytes_each_time(make_set):
    made = make_set()
    add_mask(made.folder, Mask("leaf", 90))
    one = (made.folder / "masks" / "leaf-90.h5").read_bytes()
    remove_mask(made.folder, "leaf-90")
    add_mask(made.folder, Mask("leaf", 90))
    assert (made.folder / "masks" / "leaf-90.h5").read_bytes() == one


def test_unknown_mask(make_set):
    with pytest.raises(InputError, match=r"no mask 'leaf-5': did you mean leaf-50\?"):
        remove_mask(make_set().folder, "leaf-5")


def test_only_one_writer(make_set):
    made = make_set()
    with open(made.folder / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for call in (
            lambda: add_mask(made.folder, Mask("leaf", 9)),
            lambda: remove_mask(made.folder, "leaf-50"),
        ):
            with pytest.raises(LockedError, match="is writing here"):
                call()


@pytest.mark.parametrize("folder", ["nothing", "unfinished"])
def test_nothing_is_made_where_there_is_no_set(tmp_path, make_set, folder):
    if folder == "unfinished":
        path = make_set().folder
        (path / "index.json").unlink()
    else:
        path = tmp_path / "empty"
        path.mkdir()
    before = sorted(path.iterdir())
    with pytest.raises((InputError, ShardError)):
        add_mask(path, Mask("leaf", 5))
    assert sorted(path.iterdir()) == before


def test_a_damaged_shard_is_refused(make_set):
    made = make_set()
    made.file(1).write_bytes(b"")
    with pytest.raises(ShardError, match=r"train-00001\.h5"):
        add_mask(made.folder, Mask("leaf", 5))
    assert names(made) == [("leaf-50", "shards"), ("all-50", "shards")]


@pytest.mark.parametrize("step", ["mask file", "index"])
def test_disk_full(make_set, monkeypatch, step):
    """Whatever write fails, the set is as before, and doing it again works."""
    made = make_set()
    before = (made.folder / "index.json").read_bytes()
    original, calls = files.os.replace, []

    def fails(source, target):
        calls.append(target)
        if len(calls) == (1 if step == "mask file" else 2):
            raise OSError(28, "No space left on device")
        original(source, target)

    monkeypatch.setattr(files.os, "replace", fails)
    with pytest.raises(files.FaultError, match="No space left"):
        add_mask(made.folder, Mask("leaf", 90))
    monkeypatch.undo()
    assert (made.folder / "index.json").read_bytes() == before
    assert len(open_shards(made.folder)) == 8
    assert not list(made.folder.rglob(".tmp-*"))
    add_mask(made.folder, Mask("leaf", 90))
    assert verify(made.folder) == []


def test_masks_folder_is_a_link(make_set, tmp_path):
    made = make_set()
    (tmp_path / "outside").mkdir()
    (made.folder / "masks").symlink_to(tmp_path / "outside")
    with pytest.raises(InputError, match="is a symbolic link"):
        add_mask(made.folder, Mask("leaf", 5))
    assert not list((tmp_path / "outside").iterdir())


def test_empty_sets_can_have_masks(make_set):
    made = make_set(splits={"train": [], "test": [[0]]}, masks=[])
    assert add_mask(made.folder, Mask("all", 50)) == 0
    assert open_shards(made.folder).mask("all-50").all()
    assert mask_files.list_masks(made.folder)[0].as_row() == {
        "mask": "all-50", "kind": "all", "percent": 50.0, "mode": "exact", "seed": 588, "where": "file",
    }  # fmt: skip


def test_a_folder_that_cannot_be_written(make_set):
    made = make_set()
    (made.folder / ".lock").mkdir()
    with pytest.raises(InputError, match=r"\.lock: Is a directory\. Remove it"):
        add_mask(made.folder, Mask("leaf", 5))
