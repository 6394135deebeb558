"""A tree's ``clips:``: what it says, and that it is no part of what the tree means."""

from __future__ import annotations

from slakh_hier.hierarchy import Clips, load_hierarchy, parse_hierarchy
from slakh_hier.hierarchy.describe import describe

TEXT = "schema: 1\nname: t\nlevels: 1\ntree: {a: {match: {drums: true}}}\n"


def test_what_a_tree_says_of_clips() -> None:
    tree = parse_hierarchy(TEXT + "clips: {companion: none, salience_below_mix: 12}\n", "t.yaml")
    assert tree.clips == Clips("none", None, 12)
    assert describe(tree)["clips"] == {"companion": "none", "salience_below_mix": 12}
    assert parse_hierarchy(TEXT, "t.yaml").clips == Clips(None, None, None)


def test_clips_are_no_part_of_the_meaning() -> None:
    tree = parse_hierarchy(TEXT + "clips: {companion: any, salience_db: -40.5}\n", "t.yaml")
    assert tree == parse_hierarchy(TEXT, "t.yaml")


def test_trees_of_recordings_take_any_companion_and_the_papers_its_family() -> None:
    assert {name: load_hierarchy(name).clips.companion for name in ("moisesdb", "musdb", "medleydb")} == {
        "moisesdb": "any",
        "musdb": "any",
        "medleydb": "any",
    }
    assert load_hierarchy("slakh34").clips == Clips("family", -30, None)
