"""What `hierarchy diff` tells."""

from __future__ import annotations

from slakh_hier.hierarchy import load_hierarchy, parse_hierarchy
from slakh_hier.hierarchy.compare import Change, compare

FIRST = """
schema: 1
name: first
levels: 2
categories:
  piano: {programs: [0-7], patches: [grand.nkm, upright.nkm]}
  organ: {programs: [16-23], inst_class: [Organ]}
tree:
  keys:
    pianos: [piano]
    organs: [organ]
  rest:
    guitars: {match: {programs: [24-31]}}
    drums: {match: {drums: true}}
patch_overrides:
  a.nkm: {node: pianos, category: harpsichord}
"""


def changes(*pairs: tuple[str, str]) -> list[Change]:
    second = FIRST
    for old, new in pairs:
        assert second.count(old) == 1
        second = second.replace(old, new)
    return compare(parse_hierarchy(FIRST, "a"), parse_hierarchy(second, "b"))


def test_same_meaning_is_no_change() -> None:
    assert changes(("name: first", "name: second"), ("[0-7]", "[0, 1-7]"), ("grand.nkm", "GRAND.nkm")) == []


def test_moved_node_and_its_order() -> None:
    assert changes(("    organs: [organ]\n", ""), ("  rest:\n", "  rest:\n    organs: [organ]\n")) == [
        Change("moved", "node", "organs", "keys", "rest")
    ]
    assert changes(
        ("    organs: [organ]\n", ""), ("drums: true}}\n", "drums: true}}\n    organs: [organ]\n")
    ) == [
        Change("moved", "node", "organs", "keys", "rest"),
        Change(
            "changed",
            "order",
            "level 1",
            "pianos, organs, guitars, drums",
            "pianos, guitars, drums, organs",
        ),
    ]


def test_renamed_node_is_removed_and_added() -> None:
    assert changes(("    guitars:", "    lutes:")) == [
        Change("removed", "node", "guitars", "rest", None),
        Change("added", "node", "lutes", None, "rest"),
        Change("moved", "program", "24-31", "guitars", "lutes"),
    ]


def test_programs_patches_and_names_share_lines() -> None:
    assert changes(
        ("[16-23], inst_class: [Organ]", "[0, 16-21, 38], patches: [grand.nkm]"), ("[0-7]", "[1-6]")
    ) == [
        Change("moved", "program", "0", "piano", "organ"),
        Change("removed", "program", "7", "piano", None),
        Change("removed", "program", "22-23", "organ", None),
        Change("added", "program", "38", None, "organ"),
        Change("moved", "patch", "grand.nkm", "piano", "organ, piano"),
        Change("removed", "inst_class", "organ", "organ", None),
    ]


def test_drums_overrides_and_settings() -> None:
    found = changes(
        ("    drums: {match: {drums: true}}\n", ""),
        ("[24-31]", "[24-31, 128]"),
        (
            "  a.nkm: {node: pianos, category: harpsichord}",
            "  b.nkm: {node: organs, category: organ}\nunassigned: drop",
        ),
    )
    assert found == [
        Change("changed", "unassigned", "", "keep", "drop"),
        Change("removed", "node", "drums", "rest", None),
        Change("removed", "category", "harpsichord", "pianos", None),
        Change("moved", "program", "drums", "drums", "guitars"),
        Change("removed", "patch override", "a.nkm", "harpsichord", None),
        Change("added", "patch override", "b.nkm", None, "organ"),
    ]


def test_category_that_moves_takes_its_programs_along() -> None:
    assert changes(
        ("    pianos: [piano]\n    organs: [organ]", "    pianos: []\n    organs: [piano, organ]")
    ) == [
        Change("moved", "category", "piano", "pianos", "organs"),
        Change("changed", "order", "level 0", "piano, harpsichord, organ", "harpsichord, piano, organ"),
    ]


def test_against_a_quite_different_tree() -> None:
    band, deep = load_hierarchy("band"), load_hierarchy("deep")
    there = compare(band, deep)
    back = compare(deep, band)
    flipped = {"added": "removed", "removed": "added", "moved": "moved", "changed": "changed"}
    assert {(flipped[c.change], c.what, c.name, c.after, c.before) for c in there} == {
        (c.change, c.what, c.name, c.before, c.after) for c in back
    }
    assert there[0] == Change("changed", "levels", "", "1", "4")
