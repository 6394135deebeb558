"""The JSON Schema: shipped trees fit it, and it refuses the shapes that the reader refuses."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Any

import pytest
import yaml

from slakh_hier.errors import HierarchyError
from slakh_hier.hierarchy import load_hierarchy, parse_hierarchy, shipped
from slakh_hier.hierarchy.schema import json_schema, name_from

SCHEMA = json_schema()
TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "boolean": bool,
    "number": (int, float),
    "null": type(None),
}
ANNOTATIONS = {"$defs", "$schema", "default", "description", "title"}


def fits(value: Any, schema: dict[str, Any]) -> bool:
    """JSON Schema's keywords as far as ours uses them; any other is an error, so that none is passed over."""
    checks = {
        "$ref": lambda ref: fits(value, SCHEMA["$defs"][ref.removeprefix("#/$defs/")]),
        "type": lambda kind: isinstance(value, TYPES[kind]) and (kind not in ("integer", "number") or not isinstance(value, bool)),
        "const": lambda only: value == only and type(value) is type(only),
        "enum": lambda known: value in known,
        "not": lambda other: not fits(value, other),
        "anyOf": lambda several: any(fits(value, one) for one in several),
        "oneOf": lambda several: sum(fits(value, one) for one in several) == 1,
        "pattern": lambda pattern: not isinstance(value, str) or re.search(pattern, value) is not None,
        "minimum": lambda least: not isinstance(value, int | float) or value >= least,
        "maximum": lambda most: not isinstance(value, int | float) or value <= most,
        "items": lambda items: not isinstance(value, list) or all(fits(item, items) for item in value),
        "minItems": lambda least: not isinstance(value, list) or len(value) >= least,
        "minProperties": lambda least: not isinstance(value, dict) or len(value) >= least,
        "required": lambda keys: not isinstance(value, dict) or set(keys) <= set(value),
        "propertyNames": lambda names: not isinstance(value, dict) or all(fits(key, names) for key in value),
        "properties": lambda known: all(fits(value[key], known[key]) for key in known if key in value),
        "patternProperties": lambda known: all(
            fits(item, below) for pattern, below in known.items() for key, item in value.items() if re.search(pattern, key)
        ),
        "additionalProperties": lambda allowed: allowed
        or all(
            key in schema.get("properties", {})
            or any(re.search(pattern, key) for pattern in schema.get("patternProperties", {}))
            for key in value
        ),
    }  # fmt: skip
    objects = {"properties", "patternProperties", "additionalProperties"}
    return all(
        checks[keyword](rule)
        for keyword, rule in schema.items()
        if keyword not in ANNOTATIONS and (keyword not in objects or isinstance(value, dict))
    )


@pytest.mark.parametrize("name", shipped())
def test_shipped_trees_fit(name: str) -> None:
    assert fits(yaml.safe_load(load_hierarchy(name).text), SCHEMA)


GOOD: dict[str, Any] = {
    "schema": 1,
    "name": "good",
    "levels": 2,
    "categories": {"piano": {"programs": [0, "1-7", 128], "patches": ["a b.nkm"]}},
    "tree": {"keys": {"pianos": ["piano"], "organs": {"match": {"inst_class": ["Organ"]}}, "flutes": []}},
    "patch_overrides": {"f.nkm": {"node": "flutes", "category": "flute"}, "g.nkm": {"node": "organs"}},
    "unassigned": "drop",
    "clips": {"companion": "any", "salience_db": -40.5},
    "uneven": "repeat",
}
BAD: list[dict[str, Any]] = [
    {"schema": 2},
    {"schema": True},
    {"colour": "red"},
    {"name": "a b"},
    {"name": ""},
    {"levels": 0},
    {"levels": 25},
    {"levels": "2"},
    {"unassigned": "kept"},
    {"unassigned": False},
    {"uneven": True},
    {"clips": None},
    {"clips": {"companion": None}},
    {"clips": {"salience_db": 1}},
    {"clips": {"salience_below_mix": "3"}},
    {"clips": {"other": 1}},
    {"categories": {"piano": {"labels": ["bass//x"]}}},
    {"categories": {"piano": {"labels": [" "]}}},
    {"categories": {"piano": {"labels": "bass"}}},
    {"tree": {}},
    {"tree": {"a": {}}},
    {"tree": {"a": None}},
    {"tree": {"a": "piano"}},
    {"tree": {"a b": ["piano"]}},
    {"tree": {"mix": ["piano"]}},
    {"tree": {"a": ["piano", 5]}},
    {"tree": {"a": {"match": {}, "b": ["piano"]}}},
    {"tree": {"match": {"programs": [1]}}},
    {"categories": []},
    {"categories": {"piano": {}}},
    {"categories": {"piano": {"programs": []}}},
    {"categories": {"piano": {"programs": [129]}}},
    {"categories": {"piano": {"programs": ["1-200"]}}},
    {"categories": {"piano": {"programs": ["01-2"]}}},
    {"categories": {"piano": {"program": [1]}}},
    {"categories": {"piano": {"drums": 1}}},
    {"categories": {"piano": {"patches": ["a/b.nkm"]}}},
    {"categories": {"piano": {"patches": [" a.nkm"]}}},
    {"categories": {"piano": {"inst_class": [" "]}}},
    {"categories": {"unassigned": {"programs": [1]}}},
    {"patch_overrides": {"f.nkm": {"category": "flute"}}},
    {"patch_overrides": {"f.nkm": {"node": "flutes", "other": 1}}},
    {"patch_overrides": {"a/f.nkm": {"node": "flutes", "category": "flute"}}},
]


def test_the_good_file_fits_and_is_read() -> None:
    assert fits(GOOD, SCHEMA)
    parse_hierarchy(yaml.safe_dump(GOOD), "good.yaml")


@pytest.mark.parametrize("change", BAD, ids=map(str, BAD))
def test_wrong_shapes_do_not_fit_and_are_not_read(change: dict[str, Any]) -> None:
    wrong = GOOD | change
    assert not fits(wrong, SCHEMA)
    with pytest.raises(HierarchyError):
        parse_hierarchy(yaml.safe_dump(wrong), "wrong.yaml")


@pytest.mark.skipif(find_spec("jsonschema") is None, reason="jsonschema is not installed")
def test_a_published_validator_agrees() -> None:
    import jsonschema

    validator = jsonschema.Draft202012Validator(SCHEMA)
    validator.check_schema(SCHEMA)
    assert validator.is_valid(GOOD)
    assert not any(validator.is_valid(GOOD | change) for change in BAD)


def test_names_from_words() -> None:
    cases = {
        "Favorite Piano Sounds": "favorite_piano_sounds",
        "R&B": "r_b",
        " Bläser ": "blaser",
        "鼓": "",
        "5stems": "5stems",
        "a-b": "a-b",
    }
    assert {words: name_from(words) for words in cases} == cases
