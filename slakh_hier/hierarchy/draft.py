"""A tree file's values gathered under their names: what the checks of their meaning look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeGuard

from slakh_hier.hierarchy.claims import Claims
from slakh_hier.hierarchy.labels import patch_key
from slakh_hier.hierarchy.report import Report
from slakh_hier.hierarchy.schema import check_node_name, check_patch, node_kind
from slakh_hier.safe_yaml import Path


@dataclass
class DraftNode:
    """A node as read."""

    name: str
    path: Path
    depth: int
    parent: str | None
    kind: str
    """``<nodes>``, ``<categories>`` or ``<match>``; empty when the value has none of these forms."""
    empty: bool
    """It has a list with nothing in it."""
    children: list[str] = field(default_factory=list)
    members: list[tuple[str, Path]] = field(default_factory=list)
    """``children`` and ``members``: the names of the nodes below, or the names in a finest node's list with their
    paths."""


@dataclass(frozen=True)
class DraftOverride:
    """An override as read; a name that has not the form of one is ``None``."""

    patch: str
    path: Path
    node: str | None
    category: str | None


class _Name(NamedTuple):
    name: str
    what: str
    path: Path


class Draft:
    """Everything in a tree file that has its shape, in the file's order; names that clash are reported.

    Attributes
    ----------
    nodes
        By name. ``leaves`` also holds finest nodes whose names could not be entered, for what they list.
    categories
        The path of each entry under ``categories``.
    override_categories
        Categories without such an entry, which only overrides fill, and the node of each.
    overrides
        By patch (base name in lower case).
    """

    def __init__(self, raw: dict[Any, Any], report: Report):
        self.report = report
        self.claims = Claims(report)
        self.nodes: dict[str, DraftNode] = {}
        self.leaves: list[DraftNode] = []
        self.categories: dict[str, Path] = {}
        self.overrides: dict[str, DraftOverride] = {}
        self.override_categories: dict[str, str] = {}
        self._names: dict[str, _Name] = {}
        self._read_categories(_mapping(raw.get("categories")))
        self._read_overrides(_mapping(raw.get("patch_overrides")))
        self._read_nodes(_mapping(raw.get("tree")), ("tree",), None)

    def leaves_below(self, node: DraftNode) -> Iterator[DraftNode]:
        if node.kind != "<nodes>":
            yield node
        for child in node.children:
            yield from self.leaves_below(self.nodes[child])

    def repeat(self, node: DraftNode, level: int, *, parent: str | None) -> DraftNode | None:
        """Enter a node that repeats ``node`` on another level; None when its name is taken, which is reported."""
        name = f"{node.name}-{level}"
        if not is_name(name) or name.casefold() in self._names:
            why = "is taken" if is_name(name) else "is too long"
            self.report.key(
                node.path,
                f"{node.name} is repeated on level {level} (uneven: repeat), but the name {name} {why}: rename one",
            )
            return None
        self._names[name.casefold()] = _Name(name, "node", node.path)
        self.nodes[name] = DraftNode(name, node.path, 0, parent, "<nodes>", empty=False)
        return self.nodes[name]

    def _read_categories(self, raw: dict[Any, Any]) -> None:
        for name, rule in raw.items():
            path: Path = ("categories", name)
            if self._enter(name, "category", path, self.report.key):
                self.categories[name] = path
                self.claims.read(name, path, rule)

    def _read_overrides(self, raw: dict[Any, Any]) -> None:
        for patch, value in raw.items():
            path: Path = ("patch_overrides", patch)
            if (key := _override_key(patch)) is None:
                continue
            entries = _mapping(value)
            node, category = entries.get("node"), entries.get("category")
            override = DraftOverride(
                key, path, node if is_name(node) else None, category if is_name(category) else None
            )
            if (other := self.overrides.setdefault(key, override)) is not override:
                self.report.key(
                    path, f"the patch {patch} appears twice (also {self.report.line(other.path)})"
                )
        for override in self.overrides.values():
            self._enter_override_category(override)

    def _enter_override_category(self, override: DraftOverride) -> None:
        category, node = override.category, override.node
        if category is None or node is None or category in self.categories or category == node:
            return
        home = self.override_categories.get(category)
        if home is None and self._enter(
            category, "category", (*override.path, "category"), self.report.value
        ):
            self.override_categories[category] = node
        elif home is not None and home != node:
            self.report.value(
                (*override.path, "node"),
                f"the category {category} is in the node {home} already, and cannot be in {node} too",
            )

    def _read_nodes(self, raw: dict[Any, Any], path: Path, parent: DraftNode | None) -> None:
        for name, value in raw.items():
            here = (*path, name)
            above = parent.name if parent else None
            node = DraftNode(str(name), here, len(here) - 1, above, node_kind(value) or "", empty=value == [])
            if known := self._enter(name, "node", here, self.report.key):
                self.nodes[name] = node
                if parent:
                    parent.children.append(name)
            if node.kind == "<nodes>":
                self._read_nodes(value, here, node)
                continue
            self.leaves.append(node)
            if node.kind == "<match>" and known:
                self.claims.read(name, (*here, "match"), value["match"])
            # A name alone was reported as not being a list; it still counts as listed.
            listed = [(value, here)] if isinstance(value, str) else _items(value, here)
            node.members = [(item, place) for item, place in listed if is_name(item)]

    def _enter(self, name: Any, what: str, path: Path, tell: Callable[[Path, str], None]) -> bool:
        """Enter a name; report it and return False when it is taken, or differs from another only in case."""
        if not is_name(name):
            return False
        other = self._names.setdefault(name.casefold(), _Name(name, what, path))
        if other.path == path:
            return True
        line = self.report.line(other.path)
        if other.name != name:
            tell(path, f"{name} and {other.name} ({line}) differ only in case: choose another name")
        elif other.what == what:
            tell(path, f"the {what} {name} appears twice (also {line})")
        else:
            tell(path, f"{name} is a {what} here and a {other.what} in {line}: give one of them another name")
        return False


def is_name(value: Any) -> TypeGuard[str]:
    """Whether a value has the form of a name; if not, that was reported with the shapes."""
    try:
        return isinstance(value, str) and bool(check_node_name(value))
    except ValueError:
        return False


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: Any, path: Path) -> list[tuple[Any, Path]]:
    return [(item, (*path, index)) for index, item in enumerate(value)] if isinstance(value, list) else []


def _override_key(patch: Any) -> str | None:
    try:
        return patch_key(check_patch(patch)) if isinstance(patch, str) else None
    except ValueError:
        return None
