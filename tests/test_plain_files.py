"""Untrusted JSON: what is damaged, too deep or not finite is one kind of error, at the door."""

from __future__ import annotations

import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slakh_hier.plain_files import MAX_DEPTH, parse_json


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1,]", "[" * 100_000, '{"a":' * 100_000, "[" * 65 + "]" * 65, "NaN", "[Infinity]", "-Infinity", "1e999", b"\xff", b"\xff\xfe{"],
)  # fmt: skip
def test_what_is_no_json_of_ours(text: str | bytes) -> None:
    with pytest.raises(ValueError):
        parse_json(text)


def test_the_reason_is_reported() -> None:
    deep = MAX_DEPTH + 1
    with pytest.raises(ValueError, match=f"nested deeper than {MAX_DEPTH} levels"):
        parse_json("[" * deep + "]" * deep)
    with pytest.raises(ValueError, match="nested deeper"):
        parse_json("[" * sys.getrecursionlimit() * 10)
    with pytest.raises(ValueError, match="holds -1e400, which is not a finite number"):
        parse_json("[-1e400]")


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_everything_else_is_what_json_makes_of_it(value: object) -> None:
    text = json.dumps(value)
    assert parse_json(text) == json.loads(text) == value


def test_the_deepest_that_is_read() -> None:
    value = parse_json("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    for _ in range(MAX_DEPTH - 1):
        (value,) = value
    assert value == []
