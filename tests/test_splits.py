"""Splits of songs."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slakh_hier.errors import InputError
from slakh_hier.splits import assign_splits, check_shares, parse_shares

SONGS = st.lists(st.text("0123456789abcdef", min_size=4, max_size=4), min_size=1, max_size=60)


@given(SONGS, st.integers(), st.randoms())
def test_order_and_repetition_do_not_matter(songs, seed, random):
    shuffled = [*songs, songs[0]]
    random.shuffle(shuffled)
    assert assign_splits(songs, (75, 15, 10), seed) == assign_splits(shuffled, (75, 15, 10), seed)


@given(st.integers(6, 200), st.integers())
def test_every_split_has_a_pair_of_songs(count, seed):
    sizes = Counter(assign_splits(map(str, range(count)), (75, 15, 10), seed).values())
    assert sizes.total() == count
    assert min(sizes["train"], sizes["validation"], sizes["test"]) >= 2
    for split, share in (("train", 75), ("validation", 15), ("test", 10)):
        assert abs(sizes[split] - count * share / 100) < 3


def test_published_proportions():
    sizes = Counter(assign_splits(map(str, range(2000)), (75, 15, 10), 1).values())
    assert sizes == {"train": 1500, "validation": 300, "test": 200}


def test_a_share_of_zero_stays_empty():
    assert set(assign_splits(map(str, range(10)), (100, 0, 0), 1).values()) == {"train"}
    assert set(assign_splits(["one"], (75, 15, 10), 1).values()) == {"train"}


def test_seeds_differ():
    songs = [str(i) for i in range(40)]
    assert assign_splits(songs, (75, 15, 10), 1) != assign_splits(songs, (75, 15, 10), 2)


@pytest.mark.parametrize("shares", [(75, 25), (80, 15, 10), (110, -5, -5), (float("nan"), 50, 50)])
def test_wrong_shares(shares):
    with pytest.raises(InputError, match="percentages"):
        check_shares(shares)


@pytest.mark.parametrize("text", ["a,b", "75,15", "", "75 15 10"])
def test_text_that_is_not_shares(text):
    with pytest.raises(InputError, match="as 75,15,10; not"):
        parse_shares(text)
    assert parse_shares("75,15, 10") == (75, 15, 10)
