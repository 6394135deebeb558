from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from slakh_hier.errors import InputError
from slakh_hier.slakh.layout import find_tracks, resolve_root


def place(root: Path, *paths: str) -> Path:
    for path in paths:
        (root / path).mkdir(parents=True)
        (root / path / "metadata.yaml").write_text("stems: {}\n")
    return root


def test_split_folders_val_and_flat_tracks(tmp_path):
    place(
        tmp_path, "train/Track00002", "val/Track00001", "test/own.song-1", "omitted/Track00009", "Track00005"
    )
    (tmp_path / "__MACOSX").mkdir()
    tracks, problems = find_tracks(tmp_path)
    assert [(t.track, t.split, t.path) for t in tracks] == [
        ("Track00001", "validation", "val/Track00001"),
        ("Track00002", "train", "train/Track00002"),
        ("Track00005", "none", "Track00005"),
        ("Track00009", "omitted", "omitted/Track00009"),
        ("own.song-1", "test", "test/own.song-1"),
    ]
    assert problems == []


def test_names_of_splits_that_data_sets_use(tmp_path):
    names = ["Train", "training", "VALID", "val", "dev", "Validation", "Test", "eval", "Omitted"]
    place(tmp_path, *(f"{name}/Track{number:05d}" for number, name in enumerate(names)))
    tracks, problems = find_tracks(tmp_path)
    assert [t.split for t in tracks] == ["train"] * 2 + ["validation"] * 4 + ["test"] * 2 + ["omitted"]
    assert problems == []


def test_other_folders_with_tracks_are_reported(tmp_path):
    place(
        tmp_path, "train/Track00001", "extra\x1b/Track00002", "extra\x1b/Track00003", "more/a", "Track00004"
    )
    (tmp_path / "extra\x1b" / "notes").mkdir()
    (tmp_path / "docs" / "pictures").mkdir(parents=True)
    tracks, problems = find_tracks(tmp_path)
    assert [t.track for t in tracks] == ["Track00001", "Track00004"]
    names = (
        "train, training, validation, valid, val, dev, development, test, testing, eval, evaluation, omitted"
    )
    assert problems == [
        f"extra\x1b: is not the name of a split; 2 tracks are skipped. Rename it: {names}",
        f"more: is not the name of a split; 1 track is skipped. Rename it: {names}",
    ]


def test_what_cannot_be_a_track_is_named(tmp_path):
    root = place(tmp_path / "slakh", "train/Track00001", "test/Track00001", "train/Tr äck", "train/a\nb")
    (root / "train" / "Track00007").mkdir()
    (root / "train" / ".Track00008").mkdir()
    tracks, problems = find_tracks(root)
    assert [t.path for t in tracks] == ["train/Track00001"]
    text = "\n".join(problems)
    assert len(problems) == 4
    assert "test/Track00001: a track Track00001 is in train/Track00001 too" in text
    assert "train/Track00007: has no metadata.yaml" in text
    assert "'train/Tr äck': not a usable track name" in text
    assert "'train/a\\nb': not a usable track name" in text


@pytest.mark.parametrize("name", ["S" * 65, "Track00001\u0661", "-rf", "a b"])
def test_unsafe_names(tmp_path, name):
    tracks, problems = find_tracks(place(tmp_path, "Track00001", name))
    assert [t.track for t in tracks] == ["Track00001"]
    assert "not a usable track name" in problems[0]


def test_links_are_followed_inside_only(tmp_path):
    outside = place(tmp_path / "outside", "train/Track00001", "Track00002")
    root = place(tmp_path / "slakh_evil_twin", "test/Track00003", "store/Track00004")
    (root / "train").symlink_to(outside / "train")
    (root / "test" / "Track00002").symlink_to(outside / "Track00002")
    (root / "test" / "Track00004").symlink_to(root / "store" / "Track00004")
    # a folder that starts with the same letters is not inside
    (tmp_path / "slakh").mkdir()
    tracks, problems = find_tracks(root)
    assert [t.path for t in tracks] == ["test/Track00003", "test/Track00004"]
    assert [problem.split(":")[0] for problem in problems] == ["train", "test/Track00002"]
    assert all("points outside the data set" in problem for problem in problems)
    twin = place(tmp_path / "slakh", "train/Track00001")
    (twin / "val").symlink_to(root / "test")
    assert len(find_tracks(twin)[1]) == 1


def test_a_linked_root_is_fine(tmp_path):
    place(tmp_path / "big_disk", "train/Track00001")
    (tmp_path / "slakh").symlink_to(tmp_path / "big_disk")
    root = resolve_root(tmp_path / "slakh")
    assert root == (tmp_path / "big_disk").resolve()
    assert len(find_tracks(root)[0]) == 1


def refuse(path: Path, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        find_tracks(resolve_root(path))


def test_no_data_set(tmp_path):
    refuse(tmp_path / "nowhere", "does not exist")
    refuse(tmp_path, f"{tmp_path} is empty")
    archive = tmp_path / "slakh2100_flac_redux.tar.gz"
    archive.write_bytes(b"")
    refuse(archive, "is an archive. Extract it")
    refuse(tmp_path, "slakh2100_flac_redux.tar.gz is not extracted yet: tar -xf")
    archive.unlink()
    (tmp_path / "readme.txt").write_text("")
    refuse(tmp_path / "readme.txt", "is a file")
    refuse(tmp_path, "Looked for folders with a metadata.yaml")
    refuse(tmp_path, "It holds readme.txt")
    place(tmp_path / "slakh2100_flac_redux", "train/Track00001")
    refuse(tmp_path, f"The folder below it looks right: {tmp_path / 'slakh2100_flac_redux'}")
    track = tmp_path / "slakh2100_flac_redux" / "train" / "Track00001"
    refuse(track, f"is one track, not a data set; give the folder around it: {track.parent}")
    (tmp_path / "cut" / "stems").mkdir(parents=True)
    refuse(tmp_path / "cut", "one track without its metadata.yaml")
    (tmp_path / "lost" / "train" / "Track00001").mkdir(parents=True)
    refuse(tmp_path / "lost", "train/Track00001: has no metadata.yaml")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_without_permission(tmp_path):
    place(tmp_path / "slakh", "train/Track00001")
    (tmp_path / "slakh").chmod(0)
    try:
        refuse(tmp_path / "slakh", "cannot be read: Permission denied")
    finally:
        (tmp_path / "slakh").chmod(0o755)
