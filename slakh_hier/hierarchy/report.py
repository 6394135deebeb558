"""The problems of one tree file, each at its place, in words for its writer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from slakh_hier.errors import HierarchyError, Problem
from slakh_hier.hierarchy.schema import ClipsText, HierarchyText, OverrideText, RuleText
from slakh_hier.safe_yaml import Path, Place, Places, resolve_plain
from slakh_hier.wording import nearest, shortened

MAX_SUGGESTIONS = 100
"""Looking for the nearest name costs milliseconds: a file of thousands of wrong names must not take minutes."""

_PLAIN_INT = re.compile("0|-?[1-9][0-9]*")
_KINDS = {
    "bool_type": "true or false",
    "dict_type": "keys with values",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "keys with values",
    "string_type": "text",
}


class Report:
    """Collects problems stage by stage: a later stage says nothing about a place that an earlier one reported.

    Attributes
    ----------
    where
        Turns the path of a value into its path in the file (they differ when the file is of another format).
    """

    def __init__(self, file: str, places: Places, problems: Iterable[Problem]):
        self.file, self.places = file, places
        self.problems = list(problems)
        self.where: Callable[[Path], Path] = lambda path: path
        self._suggestions = MAX_SUGGESTIONS
        self._settled: set[tuple[int, int]] = set()
        self.next_stage()

    def next_stage(self) -> None:
        self._settled = {(problem.line, problem.column) for problem in self.problems}

    def value(self, path: Path, message: str) -> None:
        """Report the value at ``path``."""
        place = self.place(path)
        self._add(place.line, place.column, message)

    def key(self, path: Path, message: str) -> None:
        """Report the key of the value at ``path``."""
        place = self.place(path)
        self._add(place.key_line, place.key_column, message)

    def place(self, path: Path) -> Place:
        return self.places.nearest(self.where(path))

    def settled(self, path: Path) -> bool:
        """Whether an earlier stage reported the value at ``path``."""
        place = self.place(path)
        return (place.line, place.column) in self._settled

    def line(self, path: Path) -> str:
        """``line N`` of a key, for messages that point to a second place."""
        return f"line {self.place(path).key_line}"

    def nearest(self, word: str, known: Sequence[str]) -> str | None:
        """The known word that was probably meant, if any; of the first :data:`MAX_SUGGESTIONS` words only."""
        self._suggestions -= 1
        return nearest(word, known) if self._suggestions >= 0 else None

    def raise_if_any(self) -> None:
        if self.problems:
            raise HierarchyError(self.problems)

    def _add(self, line: int, column: int, message: str) -> None:
        if (line, column) not in self._settled:
            self.problems.append(Problem(self.file, line, column, message))


def suggestion(name: str | None) -> str:
    """The end of a message about an unknown name."""
    return f": did you mean {name}?" if name else ""


def check_traps(report: Report) -> None:
    """Report whole numbers that YAML 1.1 reads as something else than they look like."""
    for path, place in report.places.items():
        for raw, tell in ((place.raw, report.value), (place.raw_key, report.key)):
            value = _parsed_int(raw)
            if raw is None or value is None or _PLAIN_INT.fullmatch(raw):
                continue
            if ":" in raw:
                advice = f"write {raw.replace(':', '-')} for a range, or put the text in quotes"
            elif raw.lstrip("+-").startswith("0") and raw.lstrip("+-").isdigit():
                advice = f"it is octal. Write {int(raw)}, or put the text in quotes"
            else:
                advice = f"write {value}, or put the text in quotes"
            tell(path, f"YAML reads {raw} as the number {value}: {advice}")


def check_shape(report: Report, model: type[BaseModel], raw: Any) -> None:
    """Report where ``raw`` does not have the shape of ``model``."""
    try:
        model.model_validate(raw)
    except ValidationError as fault:
        errors = fault.errors(include_url=False)
    else:
        return
    unknown = [error["loc"] for error in errors if error["type"] == "extra_forbidden"]
    guessed = {_unknown_key(report, model, loc) for loc in unknown}
    for error in errors:
        kind, path = error["type"], _data_path(error["loc"])
        if kind == "missing" and path not in guessed:
            report.key(path[:-1], f"the key '{path[-1]}' is missing")
        elif kind in ("missing", "extra_forbidden"):
            continue
        elif error["loc"][-1:] == ("[key]",):
            report.key(path, _message(error, ("a key",), report.place(path).raw_key))
        else:
            report.value(path, _message(error, path, report.place(path).raw))


def _unknown_key(report: Report, model: type[BaseModel], loc: Sequence[Any]) -> Path:
    """Report a key that its mapping does not have; the path of the key that it was probably meant to be."""
    path = _data_path(loc)
    if loc[-2:-1] == ("<match>",):
        report.key(path, f"'{path[-1]}' beside match: a node holds either nodes or one rule")
        return path
    known = _keys(model, loc[:-1])
    near = nearest(str(path[-1]), known)
    advice = f"did you mean '{near}'?" if near else f"known here: {', '.join(known)}"
    report.key(path, f"unknown key '{path[-1]}': {advice}")
    return (*path[:-1], near)


def _keys(model: type[BaseModel], loc: Sequence[Any]) -> list[str]:
    """The keys of the model at ``loc``, found by the only three that lie deeper than the top."""
    if model is HierarchyText and loc:
        deeper: dict[Any, type[BaseModel]] = {"patch_overrides": OverrideText, "clips": ClipsText}
        model = deeper.get(loc[0], RuleText)
    return [field.alias or name for name, field in model.model_fields.items()]


def _message(error: Any, path: Path, raw: str | None) -> str:
    """What is wrong with a value, and what to write instead."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "too_short":
        return f"{path[-1]} is empty"
    if kind == "literal_error":
        known = re.findall("'([^']+)'", context["expected"])
        near = suggestion(nearest(value, known)) if isinstance(value, str) else ""
        return f"{path[-1]} must be {context['expected']}, not {shown(value, raw)}{near}"
    if kind == "greater_than_equal":
        return f"{path[-1]} must be at least {context['ge']:g}, not {value:g}"
    if kind == "less_than_equal":
        return f"{path[-1]} must be at most {context['le']:g}, not {value:g}"
    as_list = f": write [{raw}]" if raw and not isinstance(value, dict) else ""
    if kind == "union_tag_not_found":
        what = "a node holds nodes, a list of categories, or 'match:' with a rule"
        return f"{what}, not {shown(value, raw)}{as_list if isinstance(value, str) else ''}"
    if kind == "list_type":
        return f"{path[-1]} must be a list, not {shown(value, raw)}{as_list}"
    if not path:
        return f"a tree file has keys (schema, name, levels, tree, ...), this one holds {shown(value, raw)}"
    advice = ": put text in quotes" if kind == "string_type" and raw else ""
    return f"{_subject(path)} must be {_KINDS.get(kind, error['msg'])}, not {shown(value, raw)}{advice}"


def _subject(path: Path) -> str:
    """What a message speaks of: the key, or an item of a key's list."""
    return f"an item of {path[-2]}" if isinstance(path[-1], int) and len(path) > 1 else str(path[-1])


def shown(value: Any, raw: str | None) -> str:
    """A wrong value as its writer sees it, with what YAML made of it."""
    if value is None:
        return f"{raw}, which YAML reads as empty" if raw else "empty"
    if isinstance(value, dict):
        return "keys with values"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, str):
        return repr(shortened(value, 60))
    text = str(value) if raw is None else raw
    if isinstance(value, bool):
        return f"{text}, which YAML reads as {str(value).lower()}" if text != str(value).lower() else text
    return f"the number {text}" if isinstance(value, int | float) else f"{text}, which YAML reads as a date"


def _data_path(loc: Sequence[Any]) -> Path:
    """pydantic's location without its own marks: ``[key]`` at the end, and in the tree the form of each node."""
    parts = list(loc)
    if len(parts) > 1 and parts[-1] == "[key]":
        parts.pop()
    position = 2
    while parts[0:1] == ["tree"] and position < len(parts):
        if parts.pop(position) != "<nodes>":
            break
        position += 1
    return tuple(parts)


def _parsed_int(raw: str | None) -> int | None:
    if raw is None:
        return None
    try:
        value = resolve_plain(raw)
    except (ValueError, OverflowError):
        return None
    return value if isinstance(value, int) and not isinstance(value, bool) else None
