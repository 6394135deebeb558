from __future__ import annotations

import csv
from collections import Counter, defaultdict
from importlib import resources

import pytest

from slakh_hier.errors import InputError
from slakh_hier.slakh.splits import (
    check_scheme,
    describe_leaks,
    errata_of,
    find_leaks,
    identify,
    some,
    split_of,
)

PUBLISHED = {
    "orig": {"train": 1500, "validation": 375, "test": 225},
    "split2": {"train": 1500, "validation": 375, "test": 225},
    "redux": {"train": 1289, "validation": 270, "test": 151, "omitted": 390},
}


def lists(name: str) -> list[dict[str, str]]:
    text = resources.files("slakh_hier.slakh").joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


TABLE = lists("splits.csv")
TRACKS_OF: dict[str, list[dict[str, str]]] = defaultdict(list)
for line in TABLE:
    TRACKS_OF[line["midi_md5"]].append(line)


@pytest.mark.parametrize("scheme", PUBLISHED)
def test_all_of_slakh_gets_the_published_splits(scheme):
    got = {row["track"]: split_of(identify(row["track"], row["midi_md5"]), scheme) for row in TABLE}
    assert Counter(split for split, _ in got.values()) == PUBLISHED[scheme]
    assert got == {row["track"]: (row[scheme], False) for row in TABLE}


@pytest.mark.parametrize("scheme", PUBLISHED)
def test_a_renamed_track_is_found_by_its_song(scheme):
    unsure = 0
    for song, rows in TRACKS_OF.items():
        split, choice = split_of(identify("renamed", song), scheme)
        assert split == rows[0][scheme]
        assert choice == (len({row[scheme] for row in rows}) > 1)
        unsure += choice
    assert unsure == {"orig": 146, "split2": 0, "redux": 308}[scheme]


def test_a_name_decides_only_where_the_song_is_not_known():
    assert split_of(identify("Track00003", None), "split2") == ("test", False)
    assert not identify("Track00357", "0" * 32).known
    assert split_of(identify("Track00357", "0" * 32), "split2") == ("none", False)
    assert not identify("my song", None).known


def test_a_name_decides_among_the_tracks_of_a_song():
    song = "0306611837b68382f634b12a4da422ac"  # Track01384 is train, Track01740 validation in orig
    assert split_of(identify("Track01384", song), "orig") == ("train", False)
    assert split_of(identify("Track01740", song), "orig") == ("validation", False)
    assert split_of(identify("Track00001", song), "orig") == ("train", True)


def test_errata_go_with_the_song():
    song = {row["track"]: row["midi_md5"] for row in TABLE}
    rows = [row for row in lists("errata.csv") if row["stem"]]
    assert len(rows) == 27
    for row in rows:
        for name in (row["track"], "renamed"):
            faults = errata_of(identify(name, song[row["track"]]))[row["stem"]]
            assert [(f.defect, f.exclude) for f in faults] == [
                (row["defect"], row["default_action"] == "exclude")
            ]
        assert row["stem"] not in errata_of(identify(row["track"], "0" * 32))
    excluded = {row["defect"] for row in rows if row["default_action"] == "exclude"}
    assert excluded == {"white_noise", "single_sustained_tone"}


def test_another_track_of_the_same_song_has_no_errata():
    song = "".join(row["midi_md5"] for row in TABLE if row["track"] == "Track00385")
    assert {row["track"] for row in TRACKS_OF[song]} == {"Track00385", "Track01818"}
    assert errata_of(identify("Track01818", song)) == {}
    assert list(errata_of(identify("Track00385", song))) == ["S00"]


@pytest.mark.parametrize(("scheme", "count"), [("orig", 146), ("split2", 0), ("redux", 0)])
def test_leaks_of_the_published_schemes(scheme, count):
    leaks = find_leaks((row["track"], row["midi_md5"], row[scheme]) for row in TABLE)
    assert len(leaks) == count
    for song, by_split in leaks:
        assert by_split == {
            split: [row["track"] for row in TRACKS_OF[song] if row[scheme] == split] for split in by_split
        }
        assert len(by_split) > 1


def test_words_for_leaks():
    leaks = find_leaks(
        [
            ("a", "x", "train"),
            ("b", "x", "test"),
            ("c", "x", "none"),
            ("d", "y", "train"),
            ("e", "y", "omitted"),
        ]
    )
    assert leaks == [("x", {"train": ["a"], "test": ["b"]})]
    text = describe_leaks(leaks, "folders")
    assert text.startswith(
        "1 song lies in more than one split (splits: folders): a (train) and b (test); move"
    )
    assert "2 songs lie" in describe_leaks(leaks * 2, "orig")
    assert describe_leaks(leaks, "orig").endswith("split2 keeps songs together")


def test_schemes():
    assert check_scheme("split2") == "split2"
    with pytest.raises(InputError, match="did you mean split2"):
        check_scheme("split")


def test_some():
    assert some(["a", "b"]) == "a, b"
    assert some([str(i) for i in range(9)]) == "0, 1, 2, 3, 4, and 4 more"
