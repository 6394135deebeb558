"""Submix definitions of slakh-utils (``Mixing key`` and ``Recipes``), read as trees of one level."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

from slakh_hier.hierarchy.report import Report
from slakh_hier.hierarchy.schema import SCHEMA_VERSION, name_from
from slakh_hier.safe_yaml import Path

RESIDUALS = "residuals"
_RULES = {
    "program_num": "programs",
    "midi_program_name": "midi_program_name",
    "inst_class": "inst_class",
    "plugin_name": "patches",
}


def is_recipe(raw: Any) -> bool:
    """Whether a file's values are a submix definition."""
    return isinstance(raw, dict) and not {"Mixing key", "Recipes"}.isdisjoint(raw)


def as_tree(raw: dict[Any, Any], report: Report, file: str) -> dict[str, Any] | None:
    """The values of a tree file that means the same; the report then answers for its paths.

    ``None`` when the mixing key is not one that a tree knows, which was reported with the shapes. A recipe is a node with
    one rule, its name in snake_case as slakh-utils writes it on disk. What slakh-utils puts into ``residuals`` is
    unassigned here, and kept in the mix.
    """
    mixing_key = raw.get("Mixing key")
    if not isinstance(mixing_key, str) or mixing_key not in _RULES:
        return None
    recipes = raw.get("Recipes")
    tree: dict[str, Any] = {}
    original: dict[str, str] = {}
    for recipe, values in (recipes if isinstance(recipes, dict) else {}).items():
        if not isinstance(recipe, str) or not isinstance(values, list):
            continue  # reported with the shapes
        path: Path = ("Recipes", recipe)
        name = name_from(recipe) or recipe
        if name == RESIDUALS:
            report.key(
                path, f"{RESIDUALS} is slakh-utils' word for what no recipe takes: choose another name"
            )
        elif name in tree:
            report.key(path, f"{recipe} and {original[name]} are both {name} on disk: choose another name")
        elif not values:
            report.value(path, f"the recipe {recipe} is empty")
        else:
            tree[name] = {"match": {_RULES[mixing_key]: values}}
            original[name] = recipe

    def where(path: Path) -> Path:
        if path[:1] == ("tree",) and len(path) > 1:
            return ("Recipes", original.get(path[1], path[1]), *path[4:])
        return ("Recipes",) if path[:1] == ("tree",) else ()

    report.where = where
    name = name_from(PurePath(file).stem) or "recipes"
    return {"schema": SCHEMA_VERSION, "name": name, "levels": 1, "tree": tree}
