"""How objects show themselves: in one line, and in notebooks as a table, a picture or a player."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from html import escape
from importlib import import_module
from typing import Any, Final, NamedTuple, cast

from slakh_hier.wording import cell, escaped, is_number, shortened

PLAYER: Final = "slakh_hier.reporting.notebook"
"""What makes the players of notebooks. It is found by its name, since it needs the extra ``report`` and this layer does not."""
MOST_TEXT: Final = 60


class Grid(NamedTuple):
    """A table for a notebook: rows with equal keys; ``folded``: it opens on a click."""

    title: str
    rows: Sequence[Mapping[str, Any]]
    folded: bool = False


class Shown:
    """A dataclass in one line, whose collections are counted; in a notebook, as a table."""

    def __repr__(self) -> str:
        facts = ", ".join(f"{name} {text(value)}" for name, value in self._facts().items())
        return f"<{type(self).__name__}: {facts}>"

    def _repr_html_(self) -> str:
        rows = [{type(self).__name__: name, "": value} for name, value in self._facts().items()]
        return grids(Grid("", rows))

    def _facts(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(cast(Any, self))}
        return {name: _counted(value) for name, value in values.items()}


def _counted(value: Any) -> Any:
    plain = isinstance(value, str | int | float) or value is None
    return len(value) if not plain and hasattr(value, "__len__") else value


def grids(*tables: Grid) -> str:
    """Tables as HTML, whose texts are escaped."""
    return "\n".join(map(_grid, tables))


def _grid(table: Grid) -> str:
    columns = list(table.rows[0]) if table.rows else []
    numeric = {name: all(is_number(row[name]) for row in table.rows) for name in columns}
    head = "".join(f"<th{_side(numeric[name])}>{escape(escaped(name))}</th>" for name in columns)
    body = "".join(
        "<tr>"
        + "".join(f"<td{_side(numeric[name])}>{escape(text(row[name]))}</td>" for name in columns)
        + "</tr>"
        for row in table.rows
    )
    grid = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    title = escape(escaped(table.title))
    if table.folded:
        return f"<details><summary>{title} ({len(table.rows)})</summary>{grid}</details>"
    return f"<p><strong>{title}</strong></p>{grid}" if title else grid


def _side(right: bool) -> str:
    return f' style="text-align: {"right" if right else "left"}"'


def text(value: Any) -> str:
    """A value as people read it, on one line."""
    return escaped(shortened(cell(value), MOST_TEXT))


def player(clip: Any) -> str | None:
    """A clip's player as HTML; None without the extra ``report``, whereupon notebooks show its line."""
    from slakh_hier.errors import MissingExtraError

    try:
        found: str = import_module(PLAYER).clip_player(clip)
    except MissingExtraError:
        return None
    return found
