"""Every promise of docs/reliability.md has tests on docs/fault-tests.md, and they exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROMISES = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
TESTS = (ROOT / "docs" / "fault-tests.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", TESTS)))


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_the_test_is_there(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_both_pages_have_the_same_rows() -> None:
    rows = [line.strip("| ").split(" | ") for line in PROMISES.splitlines() if line.startswith("| ")]
    faults = [row[0] for row in rows if row[1:] != ["what happens"]]
    assert len(faults) > 50
    assert all(len(row) == 2 and row[1] for row in rows)
    assert re.findall(r"^\* (.+)$", TESTS, re.MULTILINE) == faults


def test_every_row_has_a_test() -> None:
    for row in re.split(r"^\* ", TESTS, flags=re.MULTILINE)[1:]:
        fault, *tests = row.split("\n\n")[0].splitlines()
        assert tests, fault
        assert all(re.fullmatch(r"    \* `tests/[\w/]+\.py::test_\w+`", line) for line in tests), fault
