"""Texts in CSV files: harmless to spreadsheets and terminals, and read back as they were."""

from __future__ import annotations

import csv
import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slakh_hier.csv_text import CsvReader, csv_lines, guarded, guarded_frame, unguarded, unguarded_frame

texts = st.text(st.sampled_from("=+-@'a1.e ,\"")) | st.text(st.characters(categories=["L", "N", "P", "S"]))


@given(st.lists(st.tuples(texts, texts), max_size=5))
def test_texts_come_back(rows):
    data = b"".join(csv_lines([("a", "b"), *rows])).decode()
    assert [(row["a"], row["b"]) for row in CsvReader(io.StringIO(data, newline=""))] == rows


@given(texts)
def test_no_cell_is_a_formula(text):
    cell = guarded(text)
    try:
        float(cell)
    except ValueError:
        assert cell[:1] not in ("=", "+", "-", "@")
    assert unguarded(cell) == text


@pytest.mark.parametrize("text", ["-30.0", "+1e-3", "-inf", "1", "plain", "'quoted'", "", "a=b"])
def test_other_cells_stay_as_they_are(text):
    assert guarded(text) == unguarded(text) == text


def test_values_that_are_not_texts():
    (line,) = csv_lines([(None, True, -1.5, 3, "=x", "\x1b[31m")])
    assert line == b",True,-1.5,3,'=x,\\x1b[31m\n"


def test_a_line_that_ends_early_and_its_number():
    reader = CsvReader(io.StringIO("a,b\n1\n"))
    assert (list(reader.columns), list(reader), reader.line) == (["a", "b"], [{"a": "1", "b": None}], 2)
    assert list(CsvReader(io.StringIO("")).columns) == []


@pytest.mark.parametrize("dtype", ["object", "string", "category"])
def test_tables(dtype):
    frame = pd.DataFrame({"name": pd.Series(["=x", None, "'=y"], dtype=dtype), "level": [-1.5, np.nan, 2.0]})
    written = guarded_frame(frame).to_csv(index=False)
    assert [row[0] for row in csv.reader(io.StringIO(written))] == ["name", "'=x", "", "''=y"]
    again = unguarded_frame(pd.read_csv(io.StringIO(written)))
    assert again["name"].fillna("").tolist() == ["=x", "", "'=y"]
    assert again["level"].equals(frame["level"])
