"""Which parents must be the sum of their columns: decided against a count of stems that ignores the code's rule."""

from __future__ import annotations

from itertools import combinations

import pytest

from slakh_hier.hierarchy import load_hierarchy, parse_hierarchy, shipped
from slakh_hier.shards.consistency import complete_children

MIXED = """\
schema: 1
name: mixed
levels: 2
categories:
  violin: {programs: [40]}
  viola: {programs: [41]}
tree:
  strings:
    high: [violin, viola]
    low: {match: {programs: [42]}}
  winds:
    flutes: {match: {programs: [73]}}
unassigned: drop
"""


def stems_of(tree, name):
    """The categories (as sets of stems) below a column's name."""
    if name == "mix":
        return frozenset(tree.categories) | ({"unassigned"} if tree.unassigned == "keep" else set())
    if name == "unassigned":
        return frozenset({"unassigned"})
    return frozenset(category for category in tree.categories if name in tree.path(category))


def check(tree, columns):
    complete = complete_children(columns, tree)
    for place, column in enumerate(columns):
        below = [child for child, about in enumerate(columns) if about.parent == place]
        parts = [stems_of(tree, columns[child].name) for child in below]
        covered = frozenset().union(*parts)
        assert sum(map(len, parts)) == len(covered)  # no stem counts twice
        assert (place in complete) == (bool(parts) and covered == stems_of(tree, column.name)), column
        if place in complete:
            assert complete[place] == tuple(below)


def trees():
    return [load_hierarchy(name) for name in shipped()] + [parse_hierarchy(MIXED, "mixed.yaml")]


@pytest.mark.parametrize("tree", trees(), ids=lambda tree: tree.name)
def test_every_choice_of_levels(tree):
    for count in range(1, tree.levels + 2):
        for levels in combinations(range(tree.levels + 1), count):
            if levels == (0,) and not tree.level_nodes(0):
                continue
            check(tree, tree.columns(levels))
            for target in tree.level_nodes(1):
                check(tree, tree.columns(levels, target=target))


def test_the_paper_s_tree_adds_up_everywhere():
    tree = load_hierarchy("slakh34")
    columns = tree.columns()
    parents = {columns[place].name for place in complete_children(columns, tree)}
    assert parents == {"mix", *tree.level_nodes(3), *tree.level_nodes(2)}


def test_a_path_adds_up_only_where_a_node_is_alone():
    tree = parse_hierarchy(MIXED, "mixed.yaml")
    assert complete_children(tree.columns(target="high"), tree) == {}
    assert complete_children(tree.columns(target="flutes"), tree) == {1: (2,)}
