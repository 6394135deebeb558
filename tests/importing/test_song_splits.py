"""Splits: drawn by song, by folders, or from a file whose every problem is told."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from slakh_hier.errors import ConfigError, InputError
from slakh_hier.importing.song_splits import split_songs
from slakh_hier.importing.songs import SongFolder


def song(name: str) -> SongFolder:
    return SongFolder(name, Path(name), ("v.wav",))


SONGS = [song(f"Song {i:02d}") for i in range(20)]
SHARES = "80,10,10"


def test_shares_are_exact_and_drawn_by_the_seed() -> None:
    drawn = split_songs(SONGS, SHARES, 1)
    assert Counter(drawn.values()) == {"train": 16, "validation": 2, "test": 2}
    assert split_songs(SONGS[::-1], SHARES, 1) == drawn
    assert split_songs(SONGS, SHARES, 2) != drawn


def test_a_song_in_two_folders_stays_in_one_split() -> None:
    songs = [song(f"{folder}Song {i}") for i in range(10) for folder in ("", "train/", "test/")]
    drawn = split_songs(songs, "50,0,50", 3)
    assert all(drawn[f"train/Song {i}"] == drawn[f"test/Song {i}"] == drawn[f"Song {i}"] for i in range(10))


def test_folders() -> None:
    songs = [song("train/A"), song("val/B"), song("Test/C")]
    assert split_songs(songs, "folders", 0) == {"train/A": "train", "val/B": "validation", "Test/C": "test"}
    with pytest.raises(InputError, match=r"Song 00, .* and 15 more lie in no folder called train"):
        split_songs(SONGS, "folders", 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("80,10", "three percentages for train, validation, test, as 75,15,10; not 80,10"),
        ("80,10,20", "not three percentages that add up to 100"),
        ("all,0,0", "as 75,15,10; not 'all,0,0'"),
        ("splits.csv", "splits.csv: No such file or directory. Give a CSV or YAML file, percentages"),
    ],
)
def test_no_split(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        split_songs(SONGS, text, 0)
    assert message in str(caught.value)


TWO = [song("x/One"), song("1999")]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("s.csv", "song,split\nx/One,train\n1999,test\n"),
        ("s.csv", "\ufeffsplit,song,more\ntrain,ONE,\ntest,1999,\n"),
        ("s.yaml", "x/One: train\n1999: test\n"),
    ],
)
def test_files(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert split_songs(TWO, tmp_path / name, 0) == {"x/One": "train", "1999": "test"}


@pytest.mark.parametrize(
    ("name", "text", "messages"),
    [
        (
            "s.csv",
            "song,split\nOen,train\nOne,tain\n1999,test\n1999,train\n",
            [
                "s.csv:2:1: there is no song 'Oen': did you mean x/One?",
                "s.csv:3:1: no split is called 'tain': did you mean train?",
                "s.csv:5:1: '1999' is there twice (also line 4)",
            ],
        ),
        ("s.csv", "name,split\n", ["s.csv:1:1: needs the columns song and split, found name, split"]),
        ("s.yaml", "One: train\n  \n1999: yes\n", ["s.yaml:3:1: no split is called 'yes': there are train, validation, test, omitted"]),
        ("s.yaml", "- One\n", ["s.yaml:1:1: expected lines such as 'Artist - Title: train'"]),
        ("s.yaml", "One: train\nOne: test\n", ["s.yaml:2:1: the key 'One' appears twice (first in line 1)"]),
    ],
)  # fmt: skip
def test_problems_of_a_file(tmp_path: Path, name: str, text: str, messages: list[str]) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError) as caught:
        split_songs(TWO, tmp_path / name, 0)
    assert [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems] == messages


def test_every_song_needs_a_split(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("One: train\n")
    with pytest.raises(InputError, match="1 songs have no split: 1999"):
        split_songs(TWO, tmp_path / "s.yaml", 0)


def test_a_name_that_two_songs_have(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("One: train\n")
    with pytest.raises(ConfigError, match="'One' may be a/One or b/One: write the whole of it"):
        split_songs([song("a/One"), song("b/One")], tmp_path / "s.yaml", 0)


def test_one_song_in_two_splits_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"train/A \(train\) and test/a \(test\) are the same song by their names"
    ):
        split_songs([song("train/A"), song("test/a")], "folders", 0)
