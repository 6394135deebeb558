"""Stems to categories: the published table, the rules' order, and a second implementation."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from slakh_hier.hierarchy import Hierarchy, Match, StemLabel, load_hierarchy, parse_hierarchy

DATA = Path(__file__).parents[1] / "data"
LEVELS = ("level1", "level2", "level3")


def rows(name: str) -> list[dict[str, str]]:
    with open(DATA / name, newline="") as file:
        return list(csv.DictReader(file))


TABLE = rows("slakh34_categories.csv")
OVERRIDES = {row["plugin_name"]: row for row in rows("slakh34_patch_overrides.csv")}
PAIRS = [(row, patch) for row in TABLE for patch in row["plugin_names"].split()]
UNASSIGNED = [38, 39, 55, 62, 63, *range(96, 128)]


def category_name(row: dict[str, str]) -> str:
    """Snake case; the category of drum kits is not called as the node drums is."""
    name = re.sub("[^a-z]+", "_", row["category"].lower())
    return {"drums": "drum_kit"}.get(name, name)


@pytest.fixture(scope="module")
def slakh34() -> Hierarchy:
    return load_hierarchy("slakh34")


def test_the_table_is_the_published_one() -> None:
    assert (len(TABLE), len(PAIRS), len(OVERRIDES)) == (34, 186, 3)
    assert [len({row[level] for row in [*TABLE, *OVERRIDES.values()]}) for level in LEVELS] == [18, 8, 4]


@pytest.mark.parametrize(("row", "patch"), PAIRS, ids=[f"{row['category']}-{patch}" for row, patch in PAIRS])
def test_each_patch_with_each_program_of_its_category(
    row: dict[str, str], patch: str, slakh34: Hierarchy
) -> None:
    for program in map(int, row["programs_0based"].split()):
        found = slakh34.match(StemLabel(patch, program, is_drum=program == 128))
        assert found is not None
        moved = OVERRIDES.get(patch)
        assert found.category == (moved["category"] if moved else category_name(row))
        assert slakh34.path(found.category)[1:] == tuple((moved or row)[level] for level in LEVELS)
        assert found.node == (moved or row)["level1"]


def test_a_patch_of_one_category_decides_whatever_the_program(slakh34: Hierarchy) -> None:
    patches = [patch for _, patch in PAIRS]
    for row, patch in PAIRS:
        if patches.count(patch) == 1 and patch not in OVERRIDES:
            for program in (*range(128), None):
                found = slakh34.match(StemLabel(patch, program, is_drum=False))
                assert found == Match(category_name(row), row["level1"], "patch")


@pytest.mark.parametrize("program", range(129))
@pytest.mark.parametrize("patch", [None, "None", "", "unheard_of.nkm"])
def test_programs_alone(patch: str | None, program: int, slakh34: Hierarchy) -> None:
    found = slakh34.match(StemLabel(patch, program, is_drum=False))
    row = next((row for row in TABLE if str(program) in row["programs_0based"].split()), None)
    assert (row is None) == (program in UNASSIGNED)
    if row is None:
        assert found is None
    else:
        assert found == Match(category_name(row), row["level1"], "drums" if program == 128 else "program")


def test_shared_patch_and_a_program_of_none_of_its_categories(slakh34: Hierarchy) -> None:
    label = StemLabel("solo_strings.nkm", 30, is_drum=False)
    assert slakh34.match(label) is None
    assert slakh34.why_unassigned(label) == (
        "the patch solo_strings.nkm is of violin, viola, cello and contrabass, and the program (30) is of none of them"
    )


def test_drums_win_over_patch_program_and_override(slakh34: Hierarchy) -> None:
    for patch in ("harpsichord.nkm", "funk_bass.nkm", None, "pop_kit.nkm"):
        for program in (0, 128, None):
            assert slakh34.match(StemLabel(patch, program, is_drum=True)) == Match(
                "drum_kit", "drums", "drums"
            )


@pytest.mark.parametrize(
    "patch",
    [
        "Harpsichord.NKM",
        "/Users/someone/Kontakt/harpsichord.nkm",
        r"C:\Program Files\Kontakt\harpsichord.nkm",
        "  harpsichord.nkm ",
        "a\\b/harpsichord.nkm",
    ],
)
def test_only_the_base_name_of_a_patch_counts(patch: str, slakh34: Hierarchy) -> None:
    assert slakh34.match(StemLabel(patch, 0, is_drum=False)) == Match(
        "harpsichord", "plucked_strings", "override"
    )


RULES = """
schema: 1
name: rules
levels: 1
tree:
  a: {match: {patches: [a.nkm], programs: [1]}}
  b: {match: {programs: [2], midi_program_name: [Banjo]}}
  c: {match: {inst_class: [Sound Effects, "Strings (continued)"]}}
  d: {match: {patches: [kit.nkm], inst_class: [Drums]}}
patch_overrides:
  x.nkm: {node: a}
"""


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (StemLabel("x.nkm", 2, False, "Banjo", "Drums"), ("a", "override")),
        (StemLabel("a.nkm", 2, False, "Banjo", "Drums"), ("a", "patch")),
        (StemLabel("none", 2, False, "other", "Drums"), ("b", "program")),
        (StemLabel(None, 1, False, "Banjo", "Drums"), ("a", "program")),
        (StemLabel(None, 9, False, " banjo", "Drums"), ("b", "midi_program_name")),
        (StemLabel(None, None, False, "other", "Sound effects"), ("c", "inst_class")),
        (StemLabel(None, None, False, None, "strings  (Continued)"), ("c", "inst_class")),
        (StemLabel(None, None, False, None, "Strings"), None),
        (StemLabel(None, None, False, "", ""), None),
        (StemLabel(None, None, False), None),
        # No category is for drums: patch, name and class may still say where a drum stem belongs, its program not.
        (StemLabel("kit.nkm", 1, True), ("d", "patch")),
        (StemLabel(None, 1, True, None, "Drums"), ("d", "inst_class")),
        (StemLabel(None, 1, True), None),
        (StemLabel(None, 128, False), None),
    ],
)
def test_order_of_the_rules(label: StemLabel, expected: tuple[str, str] | None) -> None:
    tree = parse_hierarchy(RULES, "rules.yaml")
    found = tree.match(label)
    assert (found and (found.node, found.how)) == expected
    assert found is None or found.category == found.node
    assert "rules" in tree.why_unassigned(StemLabel(None, 128, True))


def plainly(raw: dict[str, Any], patch: str | None, program: int, is_drum: bool) -> str | None:
    """The facts' rule again, straight from the YAML values."""
    categories = raw["categories"]

    def programs(name: str) -> set[int]:
        spans = (str(item).split("-") for item in categories[name].get("programs", []))
        return {n for span in spans for n in range(int(span[0]), int(span[-1]) + 1)}

    if is_drum or program == 128:
        return next(name for name, rule in categories.items() if rule.get("drums"))
    if patch in raw["patch_overrides"]:
        return str(raw["patch_overrides"][patch]["category"])
    owners = [name for name, rule in categories.items() if patch in rule.get("patches", [])]
    if len(owners) != 1:
        owners = [name for name in owners or categories if program in programs(name)]
    return owners[0] if owners else None


def test_agrees_with_a_second_implementation(slakh34: Hierarchy) -> None:
    raw = yaml.safe_load(slakh34.text)
    for patch in [None, "unknown.nkm", *sorted({patch for _, patch in PAIRS})]:
        for program in range(0, 129, 3):
            for is_drum in (False, True):
                found = slakh34.match(StemLabel(patch, program, is_drum))
                assert (found and found.category) == plainly(raw, patch, program, is_drum)
