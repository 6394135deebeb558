"""Levels, paths and columns of a tree."""

from __future__ import annotations

import pickle

import pytest

from slakh_hier.errors import InputError
from slakh_hier.hierarchy import Column, Hierarchy, load_hierarchy, parse_hierarchy

TEXT = """
schema: 1
name: small
levels: 2
tree:
  strings:
    guitars: [clean, driven]
    bass: {match: {programs: [32-39]}}
  rest:
    drums: {match: {drums: true}}
    others: [pipes, mixed]
categories:
  driven: {programs: [29-30]}
  clean: {programs: [24-28]}
  pipes: {programs: [72-79]}
patch_overrides:
  b.nkm: {node: others, category: second}
  a.nkm: {node: others, category: mixed}
  c.nkm: {node: others, category: first}
  d.nkm: {node: bass}
unassigned: %s
"""


@pytest.fixture
def tree() -> Hierarchy:
    return parse_hierarchy(TEXT % "keep", "small.yaml")


def test_levels_and_order(tree: Hierarchy) -> None:
    assert list(tree.nodes) == ["strings", "rest", "guitars", "bass", "drums", "others"]
    assert tree.level_nodes(2) == ("strings", "rest")
    assert tree.level_nodes(1) == ("guitars", "bass", "drums", "others")
    assert tree.level_nodes(0) == ("clean", "driven", "pipes", "mixed", "first", "second")
    assert list(tree.categories) == ["clean", "driven", "bass", "drums", "pipes", "mixed", "first", "second"]
    assert [name for name, category in tree.categories.items() if category.implicit] == ["bass", "drums"]
    assert tree.nodes["others"].children == ("pipes", "mixed", "first", "second")
    assert tree.overrides["d.nkm"].category == "bass"


def test_paths(tree: Hierarchy) -> None:
    assert tree.path("clean") == ("clean", "guitars", "strings")
    assert tree.path("bass") == ("bass", "strings")
    assert tree.path("rest") == ("rest",)
    assert tree.top("mixed") == "rest"
    with pytest.raises(InputError, match="did you mean guitars"):
        tree.path("guitar")


def test_columns_of_all_levels(tree: Hierarchy) -> None:
    assert tree.columns() == (
        Column("mix", 3, -1),
        Column("strings", 2, 0),
        Column("rest", 2, 0),
        Column("guitars", 1, 1),
        Column("bass", 1, 1),
        Column("drums", 1, 2),
        Column("others", 1, 2),
        Column("unassigned", 1, 0),
    )
    assert tree.columns([2, 1, 1]) == tree.columns()


def test_parents_skip_levels_that_are_not_rendered(tree: Hierarchy) -> None:
    assert tree.columns([0, 2]) == (
        Column("mix", 3, -1),
        Column("strings", 2, 0),
        Column("rest", 2, 0),
        Column("clean", 0, 1),
        Column("driven", 0, 1),
        Column("pipes", 0, 2),
        Column("mixed", 0, 2),
        Column("first", 0, 2),
        Column("second", 0, 2),
        Column("unassigned", 1, 0),
    )


def test_columns_of_a_target(tree: Hierarchy) -> None:
    assert tree.columns(target="guitars") == (
        Column("mix", 3, -1),
        Column("strings", 2, 0),
        Column("guitars", 1, 1),
    )
    assert tree.columns([0, 1], target="guitars")[1:] == (
        Column("guitars", 1, 0),
        Column("clean", 0, 1),
        Column("driven", 0, 1),
    )
    assert tree.columns([0, 2], target="bass") == (Column("mix", 3, -1), Column("strings", 2, 0))
    assert tree.columns(target="strings") == (Column("mix", 3, -1), Column("strings", 2, 0))
    assert tree.columns([1, 2], target="strings")[2:] == (Column("guitars", 1, 1), Column("bass", 1, 1))


@pytest.mark.parametrize("unassigned", ["drop", "error"])
def test_unassigned_is_a_column_only_when_kept(unassigned: str) -> None:
    names = [column.name for column in parse_hierarchy(TEXT % unassigned, "f").columns()]
    assert "unassigned" not in names


@pytest.mark.parametrize(
    ("target", "part"),
    [
        ("clean", "clean is a category of the tree small, a target is a node: guitars"),
        ("Guitar", "did you mean guitars"),
        ("xyzzy", "there are strings, rest, guitars, bass, drums, others"),
    ],
)
def test_wrong_targets_are_explained(tree: Hierarchy, target: str, part: str) -> None:
    with pytest.raises(InputError, match=part):
        tree.columns(target=target)


@pytest.mark.parametrize("levels", [[3], [-1], [1, 7], []])
def test_wrong_levels_are_explained(tree: Hierarchy, levels: list[int]) -> None:
    with pytest.raises(InputError, match="no level"):
        tree.columns(levels)


def test_a_tree_of_rules_has_no_category_level() -> None:
    with pytest.raises(InputError, match="no categories of their own"):
        load_hierarchy("band").columns([0])


def test_columns_of_the_paper() -> None:
    tree = load_hierarchy("slakh34")
    assert [len(tree.level_nodes(level)) for level in (3, 2, 1, 0)] == [4, 8, 18, 36]
    assert [column.name for column in tree.columns(target="clean_guitars")] == [
        "mix",
        "midrange_strings_keys",
        "guitars",
        "clean_guitars",
    ]
    assert len(tree.columns()) == 1 + 4 + 8 + 18 + 1


def test_equal_trees_and_pickling(tree: Hierarchy) -> None:
    copy = pickle.loads(pickle.dumps(tree))
    assert copy == tree
    assert hash(copy) == hash(tree)
    assert copy.columns() == tree.columns()
    assert tree != load_hierarchy("band")
    assert tree != "small"
    assert parse_hierarchy(tree.text, "elsewhere.yaml").digest == tree.digest
