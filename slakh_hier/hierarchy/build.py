"""From the values of a tree file to a :class:`Hierarchy`, with every check of what they mean together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeGuard

from slakh_hier.hierarchy.claims import Claims
from slakh_hier.hierarchy.labels import patch_key
from slakh_hier.hierarchy.model import Category, Hierarchy, Node, Override
from slakh_hier.hierarchy.report import Report, did_you_mean
from slakh_hier.hierarchy.schema import check_node_name, check_patch, node_kind
from slakh_hier.safe_yaml import Path

MAX_LISTED = 8
"""Names listed in one message."""


def build(raw: dict[Any, Any], report: Report, *, complete: bool, text: str, file: str) -> Hierarchy:
    """Report everything that does not fit together in a tree file, else build its tree.

    Parameters
    ----------
    raw
        The file's values. Where they do not have their shape, that was reported, and they are left out here.
    complete
        False when something of the file is not in ``raw`` (a key that was there twice): then nothing is
        reported as missing.

    Raises
    ------
    HierarchyError
        With all problems of the report, if there is any.
    """
    draft = _Draft(report)
    draft.read_categories(_mapping(raw.get("categories")))
    draft.read_overrides(_mapping(raw.get("patch_overrides")))
    draft.read_nodes(_mapping(raw.get("tree")))
    draft.check_depth(raw.get("levels"))
    draft.check_overrides()
    draft.check_leaves()
    if complete:
        draft.check_unused()
    draft.claims.check_shared_patches(draft.overrides)
    report.raise_if_any()
    return draft.hierarchy(raw, text, file)


@dataclass
class _Node:
    """A node as read. ``members``: of a leaf, the names that its list holds; ``empty``: it holds nothing at all."""

    name: str
    path: Path
    depth: int
    parent: str | None
    kind: str
    children: list[str]
    members: list[tuple[str, Path]]
    empty: bool


@dataclass
class _Name:
    """What a name stands for and where it was given."""

    name: str
    what: str
    path: Path


class _Draft:
    """A tree on the way; dictionaries keep the file's order."""

    def __init__(self, report: Report):
        self.report = report
        self.claims = Claims(report)
        self.names: dict[str, _Name] = {}
        self.categories: dict[str, Path] = {}
        self.nodes: dict[str, _Node] = {}
        self.overrides: dict[str, tuple[dict[Any, Any], Path]] = {}
        self.own_categories: dict[str, str] = {}  # categories that only overrides fill, and their node
        self.homes: dict[str, str] = {}  # the first leaf that lists a name
        self.used: dict[str, tuple[str, Path]] = {}  # category: the leaf that lists it, and where
        self.meant: set[str] = set()  # categories that an unknown name was probably meant to be

    # -- reading

    def read_categories(self, raw: dict[Any, Any]) -> None:
        for name, rule in raw.items():
            path: Path = ("categories", name)
            if self._name(name, "category", path):
                self.categories[name] = path
                self.claims.read(name, path, rule)

    def read_overrides(self, raw: dict[Any, Any]) -> None:
        for patch, override in raw.items():
            path: Path = ("patch_overrides", patch)
            key = _override_key(patch)
            if key is None:
                continue
            _, other = self.overrides.setdefault(key, (_mapping(override), path))
            if other != path:
                self.report.key(path, f"the patch {patch} is there twice (also {self.report.line(other)})")
        for override, path in self.overrides.values():
            category, node = override.get("category"), override.get("node")
            if (
                not _is_name(category)
                or not _is_name(node)
                or category in self.categories
                or category == node
            ):
                continue
            first = self.own_categories.get(category)
            if first is None and self._name(category, "category", (*path, "category")):
                self.own_categories[category] = node
            elif first is not None and first != node:
                self.report.value(
                    (*path, "node"),
                    f"the category {category} is in {first} already, and cannot be in {node} too",
                )

    def read_nodes(self, raw: dict[Any, Any], path: Path = ("tree",), parent: _Node | None = None) -> None:
        for name, value in raw.items():
            here = (*path, name)
            known = self._name(name, "node", here)
            node = _Node(
                name=name,
                path=here,
                depth=len(here) - 1,
                parent=parent.name if parent else None,
                kind=node_kind(value) or "",
                children=[],
                members=[],
                empty=value == [],
            )
            if known:
                self.nodes[name] = node
                if parent:
                    parent.children.append(name)
            if node.kind == "<nodes>":
                self.read_nodes(value, here, node)
            elif node.kind == "<match>" and known:
                self.claims.read(name, (*here, "match"), value["match"])
            elif node.kind == "<categories>":
                node.members = [(item, (*here, i)) for i, item in enumerate(value) if _is_name(item)]
            elif isinstance(value, str) and _is_name(value):
                node.members = [
                    (value, here)
                ]  # not a list, which was reported; the category is not unused, too
            for name_below, _ in node.members:
                self.homes.setdefault(name_below, name)

    # -- checks

    def check_depth(self, levels: Any) -> None:
        """Every leaf lies ``levels`` deep."""
        leaves = [node for node in self.nodes.values() if node.kind in ("<categories>", "<match>")]
        depths = Counter(node.depth for node in leaves)
        if not depths:
            return
        wanted = depths.most_common(1)[0][0]
        if isinstance(levels, int) and not isinstance(levels, bool) and levels != wanted:
            if levels in depths:
                wanted = levels
            else:
                deep = "deep" if len(depths) == 1 else "deep in most places"
                self.report.value(
                    ("levels",), f"the tree is {_levels(wanted)} {deep}, not {levels}: write levels: {wanted}"
                )
        for node in leaves:
            if node.depth != wanted:
                self.report.key(
                    node.path,
                    f"the node {node.name} lies {_levels(node.depth)} deep, the others {wanted}",
                )

    def check_overrides(self) -> None:
        for patch, (override, path) in self.overrides.items():
            name, category = override.get("node"), override.get("category")
            if not _is_name(name):
                continue
            node = self.nodes.get(name)
            if node is None:
                self._unknown_node(name, (*path, "node"))
            elif node.kind == "<nodes>":
                below = ", ".join(leaf.name for leaf in islice(self._leaves_below(node), MAX_LISTED))
                self.report.value(
                    (*path, "node"), f"{name} is no finest node: the patch {patch} needs one of {below}"
                )
            elif node.kind == "<match>":
                if category is not None and category != name:
                    self.report.value(
                        (*path, "category"),
                        f"the node {name} has its rule in match: and no categories: leave this out",
                    )
            elif category is None:
                self.report.value(path, f"the key 'category' is missing: the node {name} has more than one")
            elif category in self.categories:
                self._override_of_category(patch, name, category, path)

    def check_leaves(self) -> None:
        """Every leaf's list holds known categories, each in one leaf only."""
        filled = {node for override, _ in self.overrides.values() if _is_name(node := override.get("node"))}
        for node in self.nodes.values():
            if node.empty and node.name not in filled:
                self.report.value(
                    node.path, f"the node {node.name} is empty: list its categories, or remove it"
                )
            for name, path in node.members:
                if name in self.used:
                    other, where = self.used[name]
                    self.report.value(
                        path,
                        f"the category {name} is in the node {other} already ({self.report.line(where)})",
                    )
                elif name in self.categories or self.own_categories.get(name) == node.name:
                    self.used[name] = (node.name, path)
                elif name in self.own_categories:
                    other = self.own_categories[name]
                    self.report.value(
                        path, f"patch_overrides puts the category {name} into {other}, not {node.name}"
                    )
                elif name in self.nodes:
                    self.report.value(path, f"{name} is a node: a finest node lists categories")
                else:
                    self._unknown_category(name, path)

    def check_unused(self) -> None:
        for name, path in self.categories.items():
            if name not in self.used and name not in self.meant:
                self.report.key(
                    path, f"the category {name} is in no node: list it in a finest node, or remove it"
                )

    # -- the result

    def hierarchy(self, raw: dict[Any, Any], text: str, file: str) -> Hierarchy:
        levels = raw["levels"]
        categories: dict[str, Category] = {}
        nodes: dict[str, Node] = {}
        for level in range(levels, 0, -1):
            for node in self.nodes.values():
                if node.depth == levels - level + 1:
                    below = node.children if level > 1 else self._categories_of(node, categories)
                    nodes[node.name] = Node(node.name, level, node.parent, tuple(below))
        overrides = {}
        for patch, (override, _) in self.overrides.items():
            node_name = override["node"]
            overrides[patch] = Override(patch, node_name, override.get("category") or node_name)
        return Hierarchy(
            name=raw["name"],
            description=raw.get("description", ""),
            levels=levels,
            nodes=nodes,
            categories=categories,
            overrides=overrides,
            unassigned=raw.get("unassigned", "keep"),
            text=text,
            file=file,
        )

    def _categories_of(self, node: _Node, categories: dict[str, Category]) -> list[str]:
        """Add a leaf's categories in the order of its list, then those that only overrides name."""
        if node.kind == "<match>":
            categories[node.name] = Category(
                node.name, node.name, self.claims.rules[node.name], implicit=True
            )
            return [node.name]
        listed = [name for name, _ in node.members]
        names = listed + [
            own for own, home in self.own_categories.items() if home == node.name and own not in listed
        ]
        for name in names:
            rule = self.claims.rules.get(name)
            categories[name] = Category(name, node.name, rule) if rule else Category(name, node.name)
        return names

    # -- helpers

    def _name(self, name: Any, what: str, path: Path) -> bool:
        """Enter a name; report it and return False when it is taken, or differs from another only in case."""
        if not _is_name(name):
            return False
        other = self.names.setdefault(name.casefold(), _Name(name, what, path))
        if other.path == path:
            return True
        tell = (
            self.report.value
            if path[-1:] == ("category",) and path[0] == "patch_overrides"
            else self.report.key
        )
        line = self.report.line(other.path)
        if other.name != name:
            tell(path, f"{name} and {other.name} ({line}) differ only in case: choose another name")
        elif other.what == what:
            tell(path, f"the {what} {name} is there twice (also {line})")
        else:
            tell(path, f"{name} is a {what} here and a {other.what} in {line}: give one of them another name")
        return False

    def _override_of_category(self, patch: str, node: str, category: str, path: Path) -> None:
        home = self.homes.get(category)
        if home is not None and home != node:
            self.report.value(
                (*path, "category"),
                f"the category {category} is in the node {home}: the patch {patch} needs another one to go to {node}",
            )

    def _unknown_node(self, name: str, path: Path) -> None:
        if name in self.categories or name in self.own_categories:
            self.report.value(path, f"{name} is a category: name a finest node")
        else:
            leaves = [node.name for node in self.nodes.values() if node.kind != "<nodes>"]
            near = self.report.nearest(name, leaves)
            self.report.value(path, f"there is no node {name}{did_you_mean(near)}")

    def _unknown_category(self, name: str, path: Path) -> None:
        known = [*self.categories, *self.own_categories]
        near = self.report.nearest(name, known)
        self.meant.add(near or "")
        self.report.value(path, f"there is no category {name}{did_you_mean(near)}")

    def _leaves_below(self, node: _Node) -> Iterator[_Node]:
        if node.kind != "<nodes>":
            yield node
        for child in node.children:
            yield from self._leaves_below(self.nodes[child])


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}


def _levels(number: int) -> str:
    return "1 level" if number == 1 else f"{number} levels"


def _is_name(value: Any) -> TypeGuard[str]:
    """Whether a value has the form of a name; if not, that was reported with the shapes."""
    try:
        return isinstance(value, str) and bool(check_node_name(value))
    except ValueError:
        return False


def _override_key(patch: Any) -> str | None:
    try:
        return patch_key(check_patch(patch)) if isinstance(patch, str) else None
    except ValueError:
        return None
