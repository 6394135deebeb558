"""What docs/shard-format.md says is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from slakh_hier.shards import open_shards
from slakh_hier.shards.format import schema
from slakh_hier.shards.index import Index

PAGE = (Path(__file__).parents[2] / "docs" / "shard-format.md").read_text(encoding="utf-8")


def test_ten_lines_of_plain_h5py_read_a_clip(shared_set, capsys):
    code = re.search(r"^```python\n(import h5py.*?)^```", PAGE, re.MULTILINE | re.DOTALL)[1]
    assert len([line for line in code.splitlines() if line]) <= 10
    code = code.replace("midrange_strings_keys", "strings").replace("shards/any", str(shared_set.folder))
    found = {}
    exec(code, found)  # noqa: S102  # our own page
    clip = open_shards(shared_set.folder, "train")[found["clip"]]
    assert np.abs(found["signal"] - clip["strings"]).max() < 1e-7
    printed = capsys.readouterr().out
    assert clip.track in printed
    assert str(clip.available("leaf-50")).replace("True", "np.True_").replace("False", "np.False_") in printed


def test_the_tables_name_every_data_set_and_type():
    rows = dict(re.findall(r"^\| (`/.*?) \| .*? \| (.*?) \|", PAGE, re.MULTILINE))
    types = {}
    for names, kind in rows.items():
        folder = ""
        for name in re.findall(r"`([^`]+)`", names):
            folder = name.rpartition("/")[0] if name.startswith("/") else folder
            types[name if name.startswith("/") else f"{folder}/{name}"] = kind
    for dataset in schema(
        {"clips": 1, "rows": 1, "nodes": 1, "channels": 1, "samples": 1}, "int16", ["NAME"]
    ):
        assert {"S": "string", "int16": "int16 or float32"}.get(dataset.field, dataset.field) == types.pop(
            f"/{dataset.path}"
        )
    assert not types


def test_the_table_of_the_index_is_complete():
    table = PAGE[PAGE.index("## index.json") : PAGE.index("## Versions")]
    keys = {
        name
        for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", cell)
    }
    assert keys == set(Index.model_fields)
