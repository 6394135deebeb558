"""slakh-utils' submix definitions, in their real format, read as trees of one level."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from slakh_hier.errors import HierarchyError
from slakh_hier.hierarchy import StemLabel, parse_hierarchy

# As the examples that come with slakh-utils: a key, and lists of its values.
BY_PROGRAM = """
Mixing key: "program_num"
Recipes:
  Piano:
    - 0
    - 1
  Electric Guitar:
    - 26
    - 30
  Drums:
    - 128
"""
BY_CLASS = "Mixing key: inst_class\nRecipes:\n  Low End: [Bass]\n  high: [Strings, Strings (continued), Sound Effects]\n"
BY_PATCH = "Mixing key: plugin_name\nRecipes:\n  Kit: [pop_kit.nkm]\n  solo: [violin_solo.nkm]\n"
BY_NAME = "Mixing key: midi_program_name\nRecipes:\n  five: [Banjo, Sitar]\n"


def submix(text: str, stem: dict[str, Any]) -> str:
    """What slakh-utils does, in short: the recipe that holds the stem's value, or the residuals."""
    recipe = yaml.safe_load(text)
    for name, values in recipe["Recipes"].items():
        if stem[recipe["Mixing key"]] in values:
            return str(name).replace(" ", "_").lower()
    return "residuals"


STEMS = [
    {"program_num": program, "is_drum": program == 128, "plugin_name": patch, "inst_class": kind, "midi_program_name": name}
    for program, patch, kind, name in [
        (0, "grand_piano.nkm", "Piano", "Acoustic Grand Piano"),
        (26, "jazz_guitar.nkm", "Guitar", "Electric Guitar (jazz)"),
        (30, "None", "Guitar", "Distortion Guitar"),
        (32, "upright_bass.nkm", "Bass", "Acoustic Bass"),
        (40, "violin_solo.nkm", "Strings", "Violin"),
        (48, "string_ensemble.nkm", "Strings (continued)", "String Ensemble 1"),
        (99, "None", "Sound Effects", "FX 4 (atmosphere)"),
        (105, "None", "Ethnic", "Banjo"),
        (128, "pop_kit.nkm", "Drums", "Drums"),
        (128, "funk_kit.nkm", "Drums", "Drums"),
    ]
]  # fmt: skip


@pytest.mark.parametrize(
    "text", [BY_PROGRAM, BY_CLASS, BY_PATCH, BY_NAME], ids=["program", "class", "patch", "name"]
)
def test_stems_go_where_slakh_utils_puts_them(text: str) -> None:
    tree = parse_hierarchy(text, "some/My band.yaml")
    assert (tree.name, tree.levels, tree.unassigned) == ("my_band", 1, "keep")
    for stem in STEMS:
        found = tree.match(
            StemLabel(
                stem["plugin_name"],
                stem["program_num"],
                stem["is_drum"],
                stem["midi_program_name"],
                stem["inst_class"],
            )
        )
        assert (found.node if found else "residuals") == submix(text, stem)
    assert [column.name for column in tree.columns()][-1] == "unassigned"
    assert parse_hierarchy(tree.text, "hierarchy.yaml") == tree


def test_names_are_those_on_disk() -> None:
    assert parse_hierarchy(BY_PROGRAM, "b.yaml").level_nodes(1) == ("piano", "electric_guitar", "drums")


def test_every_problem_at_its_place_in_the_recipe() -> None:
    text = (
        'Mixing key: "program_num"\n'
        "Recipes:\n"
        "  Piano:\n    - 0\n    - 300\n    - 024\n"
        "  Favorite piano: [0, 1, 1]\n"
        "  piano: [3]\n"
        "  residuals: [4]\n"
        "  mix: [5]\n"
        "  6: [6]\n"
        "  seven: 7\n"
        "  eight: []\n"
        "  nine: [Guitar]\n"
        "Comment: no\n"
    )
    with pytest.raises(HierarchyError) as caught:
        parse_hierarchy(text, "f")
    assert [f"{p.line}:{p.column}: {p.message}" for p in caught.value.problems] == [
        "5:7: the program 300 is out of range: they go from 0 to 127, and 128 stands for drums",
        "6:7: YAML reads 024 as the number 20: it is octal. Write 24, or put the text in quotes",
        "7:20: the program 0 cannot belong to favorite_piano: piano claims it already (line 4)",
        "7:26: the program 1 appears twice in favorite_piano",
        "8:3: piano and Piano are both piano on disk: choose another name",
        "9:3: residuals is slakh-utils' word for what no recipe takes: choose another name",
        "10:3: mix is a reserved word (as are match, mix, unassigned): choose another name",
        "11:3: a key must be text, not the number 6: put text in quotes",
        "12:10: seven must be a list, not the number 7: write [7]",
        "13:10: the recipe eight is empty",
        "14:10: 'Guitar' is not a program (a number like 26, or a range like 24-31)",
        "15:1: unknown key 'Comment': known here: Mixing key, Recipes",
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Recipes: {a: [1]}", "1:1: the key 'Mixing key' is missing"),
        ("Mixing key: program_num", "1:1: the key 'Recipes' is missing"),
        ("Mixing key: program_num\nRecipes: {}", "2:10: Recipes is empty"),
        ("Mixing key: program_num\nRecipes: [a]", "2:10: Recipes must be keys with values, not a list"),
        ("Mixing key: program\nRecipes: {a: [1]}", "1:13: Mixing key must be 'program_num', 'midi_program_name', "
         + "'inst_class' or 'plugin_name', not 'program': did you mean program_num?"),
    ],
)  # fmt: skip
def test_broken_recipes(text: str, expected: str) -> None:
    with pytest.raises(HierarchyError) as caught:
        parse_hierarchy(text, "f")
    assert str(caught.value) == f"f:{expected}"
