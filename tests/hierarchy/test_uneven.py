"""``uneven: repeat``: nodes that fill the missing levels of a branch."""

from __future__ import annotations

import pytest

from slakh_hier.errors import HierarchyError
from slakh_hier.hierarchy import Hierarchy, load_hierarchy, parse_hierarchy

HEAD = "schema: 1\nname: t\nlevels: 3\nuneven: repeat\ntree:\n"
VOICES = "  voices: {male: {match: {programs: [1]}}, female: [soprano, alto]}\n"
STRINGS = "  strings: {bowed: {violin: {match: {programs: [40]}}}, harp: {match: {programs: [46]}}}\n"  # one is short
REST = "  drums: {match: {drums: true}}\ncategories: {soprano: {programs: [2]}, alto: {programs: [3]}}\n"


def parents(tree: Hierarchy) -> dict[str, tuple[int, str | None]]:
    return {node.name: (node.level, node.parent) for node in tree.nodes.values()}


def test_branches_are_made_as_deep_as_the_others_in_the_files_order() -> None:
    tree = parse_hierarchy(HEAD + VOICES + STRINGS + REST, "t.yaml")
    assert list(parents(tree).items()) == [
        ("voices", (3, None)),
        ("strings", (3, None)),
        ("drums-3", (3, None)),
        ("voices-2", (2, "voices")),
        ("bowed", (2, "strings")),
        ("harp-2", (2, "strings")),
        ("drums-2", (2, "drums-3")),
        ("male", (1, "voices-2")),
        ("female", (1, "voices-2")),
        ("violin", (1, "bowed")),
        ("harp", (1, "harp-2")),
        ("drums", (1, "drums-2")),
    ]
    for node in tree.nodes.values():
        assert node.level == 1 or all(tree.path(child)[1] == node.name for child in node.children)


def test_it_means_the_tree_written_out() -> None:
    short = parse_hierarchy(HEAD + VOICES + REST, "t.yaml")
    written = (HEAD + VOICES + REST).replace("uneven: repeat\n", "")
    written = written.replace("{male", "{voices-2: {male").replace("alto]}", "alto]}}")
    written = written.replace(
        "  drums: {match: {drums: true}}", "  drums-3: {drums-2: {drums: {match: {drums: true}}}}"
    )
    assert parse_hierarchy(written, "w.yaml") == short


def test_two_missing_levels_below_a_node() -> None:
    tree = parse_hierarchy((HEAD + VOICES + REST).replace("levels: 3", "levels: 4"), "t.yaml")
    assert tree.path("male") == ("male", "voices-2", "voices-3", "voices")
    assert tree.path("drums") == ("drums", "drums-2", "drums-3", "drums-4")


def test_nothing_is_repeated_unless_asked_for_or_where_nothing_is_missing() -> None:
    with pytest.raises(HierarchyError, match="lies 2 levels deep, the others 3"):
        parse_hierarchy((HEAD + STRINGS).replace("uneven: repeat\n", ""), "t.yaml")
    even = "  strings: {bowed: {violin: {match: {programs: [40]}}}}\n"
    assert "strings-2" not in parse_hierarchy(HEAD + even, "t.yaml").nodes


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            VOICES + "  voices-2: {a: {b: {match: {drums: true}}}}\n" + REST.replace("  drums: {match: {drums: true}}\n", ""),
            "6:3: voices is repeated on level 2 (uneven: repeat), but the name voices-2 is taken: rename one",
        ),
        (
            f"  {'a' * 63}: {{match: {{drums: true}}}}\n",
            f"6:3: {'a' * 63} is repeated on level 3 (uneven: repeat), but the name {'a' * 63}-3 is too long: rename one",
        ),
        ("  a: {b: {c: {d: {match: {drums: true}}}}}\n", "3:9: the tree is 4 levels deep, not 3: write levels: 4"),
    ],
)  # fmt: skip
def test_what_cannot_be_repeated_is_reported(text: str, message: str) -> None:
    with pytest.raises(HierarchyError) as caught:
        parse_hierarchy(HEAD + text, "t.yaml")
    assert f"t.yaml:{message}" in str(caught.value).splitlines()


def test_medleydb_has_groups_of_the_families_that_have_none() -> None:
    tree = load_hierarchy("medleydb")
    assert tree.path("choir") == ("choir", "voices-2", "voices")
    assert tree.path("main_system") == ("main_system", "other-2", "other")
    assert [len(tree.level_nodes(level)) for level in (3, 2, 1)] == [
        6,
        14,
        123,
    ]  # 122 labels and URMP's saxophone
