"""Headers and node tables that cannot be are refused before anything is written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from slakh_hier.errors import InputError
from slakh_hier.hierarchy import Column, load_hierarchy, shipped
from slakh_hier.shards.format import ShardHeader, check_columns, samples_of, schema

MIX = Column("mix", 3, -1)
GOOD = ShardHeader(
    16_000, 2, 10.0, 160_000, "int16", "train", 0, (MIX, Column("a", 2, 0), Column("b", 1, 1)), "0" * 64
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": 1}, "160000 samples, not 1"),
        ({"clip_seconds": 0.0, "samples": 0}, "0 samples"),
        ({"channels": 3}, "1 or 2 channels, not 3"),
        ({"dtype": "int24"}, "int16, float32, not 'int24'"),
        ({"columns": ()}, "must be the mix"),
        ({"columns": (Column("a", 2, 0),)}, "must be the mix"),
        ({"columns": (MIX, Column("a", 2, 0), Column("a", 1, 0))}, "'a' is listed twice"),
        ({"columns": (MIX, Column("a", 2, 2), Column("b", 1, 0))}, "parents stand before children"),
        ({"columns": (MIX, Column("a", 2, -1))}, "parents stand before children"),
        ({"columns": (MIX, Column("a", 1, 0), Column("b", 2, 1))}, "not below that of its parent 'a'"),
        ({"columns": (MIX, Column("../a", 2, 0))}, "names files too"),
        ({"columns": (MIX, Column("a/b", 2, 0))}, "names files too"),
        ({"columns": (MIX, Column("a\n", 2, 0))}, "names files too"),
        ({"columns": (MIX, Column("", 2, 0))}, "names files too"),
        ({"columns": (replace(MIX, level=128),)}, "at most 126 levels"),
    ],
)
def test_header(change, message):
    with pytest.raises(InputError, match=message):
        replace(GOOD, **change)


@pytest.mark.parametrize("name", shipped())
def test_columns_of_shipped_trees_fit(name):
    tree = load_hierarchy(name)
    check_columns(tree.columns())
    check_columns(tree.columns(target=tree.level_nodes(1)[0]))


def test_samples_are_rounded():
    assert samples_of(10, 16_000) == 160_000
    assert samples_of(0.1, 22_050) == 2205
    assert samples_of(1 / 3, 8_000) == 2666


def test_schema_has_one_chunk_a_row_and_whole_tables():
    for dataset in schema(clips=7, rows=30, nodes=5, channels=2, samples=100, dtype="float32", masks=["leaf-50"]):
        assert dataset.chunk == ((1, 2, 100) if dataset.path == "audio" else dataset.shape)
