"""The declaration of the format, and headers and node tables that cannot be."""

from __future__ import annotations

import ast
import io
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from slakh_hier.errors import InputError
from slakh_hier.hierarchy import Column, load_hierarchy, shipped
from slakh_hier.shards import format as format_module
from slakh_hier.shards.format import (
    MASK_ATTRIBUTES,
    SHARD_ATTRIBUTES,
    TABLES,
    ShardHeader,
    check_columns,
    schema,
)
from slakh_hier.shards.mask import Mask

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
        ({"dtype": "int24"}, "int16 or float32, not 'int24'"),
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


def test_schema_has_one_chunk_per_row_and_whole_tables():
    for dataset in schema(
        {"clips": 7, "rows": 30, "nodes": 5, "channels": 2, "samples": 100}, "float32", ["leaf-50"]
    ):
        assert dataset.chunk == ((1, 2, 100) if dataset.path == "audio" else dataset.shape)


def test_no_other_module_names_a_dataset():
    """Constants such as ``"node/name"``, or ``file["audio"]``."""
    paths = {table.path for table in TABLES}
    package = Path(format_module.__file__).parents[1]
    for module in sorted(package.rglob("*.py")):
        if module == Path(format_module.__file__):
            continue
        for node in ast.walk(ast.parse(module.read_text())):
            text = node.slice if isinstance(node, ast.Subscript) else node
            if not isinstance(text, ast.Constant) or not isinstance(text.value, str):
                continue
            opened = isinstance(node, ast.Subscript) and ast.unparse(node.value) in ("file", "self._file")
            assert not (text.value in paths and (opened or "/" in text.value)), f"{module}:{text.lineno}"


def test_what_is_declared_is_what_is_written(formula):
    """Order, types and attributes of a real file, against the declaration."""
    mask = {Mask("leaf", 50): np.ones((2, len(formula.COLUMNS)), bool)}
    data, rows = formula.build([1, 2], masks=mask)
    sizes = {
        "clips": 2,
        "rows": rows,
        "nodes": len(formula.COLUMNS),
        "channels": 2,
        "samples": formula.SAMPLES,
    }
    with h5py.File(io.BytesIO(bytes(data))) as file:
        found = {}
        file.visititems(
            lambda path, item: found.update({path: item}) if isinstance(item, h5py.Dataset) else None
        )
        expected = {dataset.path: dataset for dataset in schema(sizes, "int16", ["leaf-50"])}
        assert set(found) == set(expected)
        for path, dataset in expected.items():
            assert (found[path].shape, found[path].chunks) == (dataset.shape, dataset.chunk)
            assert (
                found[path].dtype.kind == "S" if dataset.field == "S" else found[path].dtype == dataset.field
            )
        for target, declared in ((file, SHARD_ATTRIBUTES), (file["masks/leaf-50"], MASK_ATTRIBUTES)):
            assert set(target.attrs) == set(declared)
            for name, kind in declared.items():
                assert isinstance(target.attrs[name], kind if kind is not str else bytes)
