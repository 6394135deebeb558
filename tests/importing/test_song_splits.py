"""Splits: drawn by song, by folders, or from a file whose every problem is reported."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from slakh_hier.errors import ConfigError, InputError
from slakh_hier.importing.song_splits import SplitOptions, split_songs
from slakh_hier.importing.songs import SongFolder
from slakh_hier.importing.sources import Song


def song(name: str, **about: str) -> Song:
    folder = SongFolder(name, Path(name), ("v.wav",))
    return Song(name, folder.uuid, (), split=folder.split, **about)


def split(
    songs: list[Song], splits: str | Path | None = None, seed: int = 0, **options: Any
) -> dict[str, str]:
    return split_songs(songs, SplitOptions(None if splits is None else str(splits), seed, **options))[0]


def notes(songs: list[Song], splits: str | None = None, **options: Any) -> list[str]:
    return split_songs(songs, SplitOptions(splits, 0, **options))[1]


SONGS = [song(f"Song {i:02d}") for i in range(20)]
SHARES = "80,10,10"


def test_shares_are_exact_and_drawn_by_the_seed() -> None:
    drawn = split(SONGS, SHARES, 1)
    assert Counter(drawn.values()) == {"train": 16, "validation": 2, "test": 2}
    assert split(SONGS[::-1], SHARES, 1) == drawn
    assert split(SONGS, SHARES, 2) != drawn


def test_a_song_in_two_folders_stays_in_one_split() -> None:
    songs = [song(f"{folder}Song {i}") for i in range(10) for folder in ("", "train/", "test/")]
    drawn = split(songs, "50,0,50", 3)
    assert all(drawn[f"train/Song {i}"] == drawn[f"test/Song {i}"] == drawn[f"Song {i}"] for i in range(10))


def test_folders() -> None:
    songs = [song("train/A"), song("val/B"), song("Test/C")]
    assert split(songs, "folders", 0) == {"train/A": "train", "val/B": "validation", "Test/C": "test"}
    with pytest.raises(InputError, match=r"Song 00, .* and 15 more lie in no folder called train"):
        split(SONGS, "folders", 0)


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
        split(SONGS, text, 0)
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
    assert split(TWO, tmp_path / name, 0) == {"x/One": "train", "1999": "test"}


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
        split(TWO, tmp_path / name, 0)
    assert [str(problem).removeprefix(f"{tmp_path}/") for problem in caught.value.problems] == messages


def test_every_song_needs_a_split(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("One: train\n")
    with pytest.raises(InputError, match="1 song has no split: 1999"):
        split(TWO, tmp_path / "s.yaml", 0)


def test_a_name_that_two_songs_have(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("One: train\n")
    with pytest.raises(ConfigError, match="'One' may be a/One or b/One: write the whole of it"):
        split([song("a/One"), song("b/One")], tmp_path / "s.yaml", 0)


def test_one_song_in_two_splits_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"train/A \(train\) and test/a \(test\) are the same song by their names"
    ):
        split([song("train/A"), song("test/a")], "folders", 0)


ARTISTS = [
    song(f"{artist}{number}", artist=artist, title=f"Title {number}", id=f"id-{artist}{number}")
    for artist, count in (("A", 8), ("B", 5), ("C", 4), ("D", 3), ("E", 2), ("F", 1), ("G", 1))
    for number in range(count)
]


@pytest.mark.parametrize("seed", range(5))
def test_a_drawing_keeps_artists_together(seed: int) -> None:
    drawn = split(ARTISTS, SHARES, seed)
    for artist in "ABCDEFG":
        assert len({where for name, where in drawn.items() if name[0] == artist}) == 1
    counts = Counter(drawn.values())
    assert set(counts) == {"train", "validation", "test"}
    assert counts["validation"] <= 3
    assert counts["test"] <= 2
    assert split(ARTISTS[::-1], SHARES, seed) == drawn


def test_a_drawing_by_song_does_not() -> None:
    drawn = split(ARTISTS, SHARES, 0, by="song")
    assert Counter(drawn.values()) == {"train": 19, "validation": 3, "test": 2}
    assert len({where for name, where in drawn.items() if name[0] == "A"}) > 1
    assert "1 artist is in more than one split: A" in notes(ARTISTS[:8] + SONGS, SHARES, by="song")


def test_the_same_artist_however_written() -> None:
    songs = [song("1", artist="The Who"), song("2", artist="the  who!"), *SONGS]
    for seed in range(8):
        drawn = split(songs, "34,33,33", seed)
        assert drawn["1"] == drawn["2"]


def test_a_table_for_a_part_of_the_songs(tmp_path: Path) -> None:
    """query-bandit's table of MoisesDB: numbers of folds by song id, here with songs that are not there."""
    table = tmp_path / "splits.csv"
    table.write_text("song_id,split\nid-A0,1\nid-A1,4\nelsewhere,2\nid-B0,5\nid-B1,3\n")
    folds = "1-3=train,4=validation,5=test"
    found = split(ARTISTS, table=table, names=folds)
    named = {"A0": "train", "A1": "validation", "B0": "test", "B1": "train"}
    assert found == {s.name: named.get(s.name, "omitted") for s in ARTISTS}
    reported = notes(ARTISTS, table=table, names=folds)
    assert f"{table} names 1 song not here" in reported
    assert f"20 songs not in {table} and so omitted: A2, A3, A4, and 17 more. --splits says" in reported[1]
    assert "2 artists are in more than one split: A, B" in reported
    drawn = split(ARTISTS, SHARES, 1, table=table, names=folds)
    assert {name: drawn[name] for name in named} == named
    assert set(drawn.values()) == {"train", "validation", "test"}


@pytest.mark.parametrize(
    ("text", "folds", "message"),
    [
        ("song_id,split\nid-A0,6\n", "1-3=train", "no split is called '6': there are 1, 2, 3; --split-map says"),
        ("song_id,split\nid-A0,1\n", "1-3=tain", "no split is called 'tain': did you mean train?"),
        ("song_id,split\nid-A0,1\n", "1-3", "a split map is written 1-3=train,4=validation,5=test; '1-3' is not"),
        ("song_id,split\nid-A0,1\n", "1-3=train,2=test", "split map: 2 is both train and test"),
        ("song_id,split\nx,1\ny,2\n", "1-3=train", "names none of these songs: it has x, y, and they are called A0, A1, A2"),
        ("id,split\nx,1\n", "1-3=train", "needs the columns song and split, found id, split"),
    ],
)  # fmt: skip
def test_tables_that_cannot_be_used(tmp_path: Path, text: str, folds: str, message: str) -> None:
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises((InputError, ConfigError)) as caught:
        split(ARTISTS, table=tmp_path / "s.csv", names=folds)
    assert message in str(caught.value)


def test_words_of_a_whole_table_may_be_mapped(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("One: a\n1999: b\n")
    assert split(TWO, tmp_path / "s.yaml", names="a=test,b=train") == {"x/One": "test", "1999": "train"}


def test_songs_are_called_by_name_id_or_artist_and_title(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("song,split\nA0,train\nid-A1,test\nb - title 0,test\n")
    assert {
        name: where for name, where in split(ARTISTS, table=tmp_path / "s.csv").items() if where != "omitted"
    } == {"A0": "train", "A1": "test", "B0": "test"}


def test_drawing_in_spite_of_the_data_sets_own_splits_is_noted() -> None:
    songs = [song(f"{folder}/{folder} {number}") for folder in ("train", "test") for number in range(4)]
    assert notes(songs, SHARES) == [
        "splits were drawn, but the data set has its own; --splits folders keeps them"
    ]
    assert notes(songs, "folders") == []
