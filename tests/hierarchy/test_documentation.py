"""docs/hierarchies.md shows what the commands print, and what the reader says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from slakh_hier.errors import HierarchyError
from slakh_hier.hierarchy import load_hierarchy, parse_hierarchy, shipped

PAGE = (Path(__file__).parents[2] / "docs" / "hierarchies.md").read_text()
SHOWN = [line.removeprefix("    ") for line in PAGE.splitlines() if line.startswith("    ")]


def test_the_tutorial_shows_what_its_commands_print(tmp_path: Path) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    tutorial = [block for block in blocks if "songbook.yaml <<" in block or "broken.yaml" in block]
    assert len(tutorial) == 2
    script = f'slakh-hier() {{ "{sys.executable}" -m slakh_hier "$@"; }}\n' + "".join(tutorial)
    done = subprocess.run(
        ["bash", "-euc", script],
        cwd=tmp_path,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=True,
    )
    printed = [line for line in done.stdout.splitlines() if line != "exit code 1"]
    start = SHOWN.index(printed[0])
    first = next(i for i, line in enumerate(printed) if line.startswith("broken.yaml"))
    assert SHOWN[start : start + first] == printed[:first]
    start = SHOWN.index(printed[first])
    assert SHOWN[start : start + len(printed) - first] == printed[first:]


@pytest.mark.parametrize("entry", ["024", "12:30"])
def test_the_traps_are_reported_as_shown(entry: str) -> None:
    with pytest.raises(HierarchyError) as caught:
        parse_hierarchy(
            f"schema: 1\nname: t\nlevels: 1\ntree: {{a: {{match: {{programs: [{entry}]}}}}}}\n", "t.yaml"
        )
    (problem,) = caught.value.problems
    assert any(line.endswith(f": {problem.message}") for line in SHOWN)


def test_the_table_of_shipped_trees_counts_right() -> None:
    table = PAGE.partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| ([0-9](?:[0-9, ]*[0-9])?)", table, re.MULTILINE))
    assert set(rows) == set(shipped())
    for name, sizes in rows.items():
        tree = load_hierarchy(name)
        assert sizes == ", ".join(str(len(tree.level_nodes(level))) for level in range(tree.levels, 0, -1))


@pytest.mark.parametrize("name", shipped())
def test_each_shipped_tree_says_when_to_take_it(name: str) -> None:
    head = load_hierarchy(name).text.partition("schema:")[0]
    assert "# Take it" in head
