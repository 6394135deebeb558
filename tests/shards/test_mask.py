"""Masks: nested, counted, a function of (seed, clip) alone."""

from __future__ import annotations

import hashlib
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slakh_hier.errors import InputError
from slakh_hier.hierarchy import Column
from slakh_hier.shards.mask import MASK_KINDS, Mask, MaskKind, availability, rank, withheld

COLUMNS = [Column(f"node {level}", level, place - 1) for place, level in enumerate((4, 3, 2, 1, 0, 1))]


def table(train: int, other: int = 3) -> pd.DataFrame:
    splits = ["train"] * train + ["validation"] * other + ["test"] * other
    return pd.DataFrame(
        {
            "split": splits,
            "track": [f"Track{number // 4:05d}" for number in range(len(splits))],
            "start": [2.5 * (number % 4) for number in range(len(splits))],
            "target": "guitars",
        }
    )


def test_rank_is_the_documented_hash():
    digest = hashlib.blake2b(b"588/Track00001/12.500000/clean_guitars").digest()
    bits = "".join(f"{byte:08b}" for byte in digest[:8])[:53]
    assert Fraction(rank(588, "Track00001", 12.5, "clean_guitars")) == Fraction(int(bits, 2), 2**53)


def test_rank_of_format_1_never_changes():
    # Shards and masks of released versions rest on these values.
    assert rank(588, "Track00001", 0.0, "clean_guitars") == 0.40122929320362755
    assert rank(0, "Träck", 2.5, "") == 0.24105101152198372


def test_ranks_are_uniform_and_differ_with_each_part():
    ranks = np.sort([rank(7, f"Track{n:05d}", 2.5, "bass") for n in range(4000)])
    assert np.abs(ranks - (np.arange(4000) + 0.5) / 4000).max() < 1.63 / np.sqrt(4000)  # Kolmogorov, 1 %
    one = rank(7, "a", 0.0, "b")
    assert (
        len(
            {
                one,
                rank(8, "a", 0.0, "b"),
                rank(7, "c", 0.0, "b"),
                rank(7, "a", 2.5, "b"),
                rank(7, "a", 0.0, "d"),
            }
        )
        == 5
    )


@pytest.mark.parametrize("mode", ["exact", "bernoulli"])
@given(st.integers(0, 60), st.floats(0, 100), st.floats(0, 100), st.integers(0, 5))
def test_masks_are_nested(mode, train, one, two, seed):
    low, high = sorted((one, two))
    clips = table(train)
    few = withheld(Mask("leaf", low, mode, seed), clips)
    many = withheld(Mask("all", high, mode, seed), clips)
    assert not (few & ~many).any()
    assert not many[train:].any()


@given(st.integers(0, 80), st.integers(0, 100))
def test_exact_count(train, percent):
    hit = withheld(Mask("leaf", percent), table(train))
    assert hit.sum() == round(Fraction(percent * train, 100))


def test_bernoulli_takes_the_ranks_below_p():
    clips = table(2000)
    hit = withheld(Mask("leaf", 30, "bernoulli"), clips)
    expected = [s == "train" and rank(588, t, x, g) < 0.3 for s, t, x, g in clips.itertuples(index=False)]
    assert hit.tolist() == expected
    assert abs(hit.sum() - 600) < 4 * np.sqrt(2000 * 0.3 * 0.7)


def test_order_of_the_table_does_not_matter():
    clips = table(50)
    hit = withheld(Mask("leaf", 40), clips)
    shuffled = clips.sample(frac=1, random_state=0)
    assert withheld(Mask("leaf", 40), shuffled).tolist() == hit[shuffled.index].tolist()


def test_a_kind_is_one_entry(monkeypatch):
    monkeypatch.setitem(MASK_KINDS, "top-two", MaskKind(lambda node: node.level >= 3, "the two top levels"))
    mask = Mask.parse("top-two-12.5")
    assert (mask.kind, mask.percent, mask.name, mask.reads) == (
        "top-two",
        12.5,
        "top-two-12.5",
        "the two top levels",
    )
    assert availability(mask, np.array([True]), COLUMNS).tolist() == [[False, False, True, True, True, True]]


def test_leaf_withholds_fine_levels_and_all_every_node():
    hit = np.array([True, False])
    leaf = availability(Mask("leaf", 50), hit, COLUMNS)
    assert leaf.tolist() == [[True, True, True, False, False, False], [True] * 6]
    assert availability(Mask("all", 50), hit, COLUMNS).tolist() == [[False] * 6, [True] * 6]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("leaf-50", "leaf-50"),
        ("leaf:50", "leaf-50"),
        ("all-12.5", "all-12.5"),
        (" leaf:0 ", "leaf-0"),
        ("all:1e2", "all-100"),
        ("leaf-1e-05", "leaf-1e-05"),
    ],
)
def test_parse(text, name):
    assert Mask.parse(text).name == name
    assert Mask.parse(name) == Mask.parse(text)


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("leaf", "leaf-50"),
        ("leaf:", "leaf-50"),
        ("leaf:many", "leaf-50"),
        ("leaf:nan", "leaf-50"),
        ("leef:50", "did you mean leaf"),
        ("leaf:101", "between 0 and 100"),
        ("leaf-101", "between 0 and 100"),
        ("leaf:-1", "leaf-50"),
        ("leaf:inf", "leaf-50"),
        ("leaf-1.2.3", "leaf-50"),
        ("", "leaf-50"),
    ],
)
def test_parse_says_what_is_wrong(text, part):
    with pytest.raises(InputError, match=part):
        Mask.parse(text)


def test_mode_is_checked():
    with pytest.raises(InputError, match="no mode 'exakt': did you mean exact"):
        Mask("leaf", 50, "exakt")  # type: ignore[arg-type]


def test_empty_table():
    assert withheld(Mask("leaf", 50), table(0, 0)).shape == (0,)
