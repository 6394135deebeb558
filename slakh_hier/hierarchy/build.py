"""From the values of a tree file to a :class:`Hierarchy`, with every check of what they mean together."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

from slakh_hier.hierarchy.draft import Draft, DraftNode, DraftOverride
from slakh_hier.hierarchy.model import Category, Clips, Hierarchy, Node, Override, Rule
from slakh_hier.hierarchy.report import Report, suggestion
from slakh_hier.hierarchy.schema import MAX_LEVELS
from slakh_hier.hierarchy.uneven import repeat_short
from slakh_hier.safe_yaml import Path
from slakh_hier.wording import counted

MAX_LISTED = 8
"""Names listed in one message."""


def build(raw: dict[Any, Any], report: Report, *, complete: bool, text: str, file: str) -> Hierarchy:
    """Report everything that does not fit together in a tree file, else build its tree.

    Parameters
    ----------
    raw
        The file's values. Where they do not have their shape, that was reported, and they are left out here.
    complete
        False when something of the file is not in ``raw`` (a key that was there twice): then no category is
        reported as listed nowhere.

    Raises
    ------
    HierarchyError
        With all problems of the report, if there is any.
    """
    draft = Draft(raw, report)
    levels = raw.get("levels")
    if raw.get("uneven") == "repeat" and isinstance(levels, int):
        repeat_short(draft, min(levels, MAX_LEVELS))
    _check_depth(draft, levels)
    clips = _clips(draft.report, raw.get("clips"))
    homes = _check_leaves(draft, complete)
    for override in draft.overrides.values():
        _check_override(draft, override, homes)
    draft.claims.check_shared_patches(draft.overrides)
    report.raise_if_any()
    return _hierarchy(draft, raw, clips, text, file)


def _check_depth(draft: Draft, levels: Any) -> None:
    """Every leaf lies ``levels`` deep."""
    leaves = [node for node in draft.leaves if node.kind]
    depths = Counter(node.depth for node in leaves)
    if not depths:
        return
    wanted = depths.most_common(1)[0][0]
    if isinstance(levels, int) and not isinstance(levels, bool) and levels != wanted:
        if levels in depths:
            wanted = levels
        else:
            deep = "deep" if len(depths) == 1 else "deep in most places"
            message = f"the tree is {counted(wanted, 'level')} {deep}, not {levels}: write levels: {wanted}"
            draft.report.value(("levels",), message)
    for node in leaves:
        if node.depth != wanted:
            message = f"the node {node.name} lies {counted(node.depth, 'level')} deep, the others {wanted}"
            draft.report.key(node.path, message)


def _check_leaves(draft: Draft, complete: bool) -> dict[str, str]:
    """Every leaf lists known categories, each category is in one leaf; the leaf of each."""
    report = draft.report
    filled = {override.node for override in draft.overrides.values()}
    listed: dict[str, tuple[str, Path]] = {}
    meant: set[str | None] = set()  # names that an unknown one was probably meant to be
    for node in draft.leaves:
        if node.empty and node.name not in filled:
            report.value(node.path, f"the node {node.name} is empty: list its categories, or remove it")
        for name, path in node.members:
            home = draft.override_categories.get(name, node.name)
            if name in listed:
                other, where = listed[name]
                report.value(
                    path, f"the category {name} is in the node {other} already ({report.line(where)})"
                )
            elif home != node.name:
                report.value(path, f"patch_overrides puts the category {name} into {home}, not {node.name}")
            elif name in draft.categories or name in draft.override_categories:
                listed[name] = (node.name, path)
            elif name in draft.nodes:
                report.value(path, f"{name} is a node: a finest node lists categories")
            else:
                near = report.nearest(name, [*draft.categories, *draft.override_categories])
                meant.add(near)
                report.value(path, f"there is no category {name}{suggestion(near)}")
    for name, path in draft.categories.items():
        if complete and name not in listed and name not in meant:
            report.key(path, f"the category {name} is in no node: list it in a finest node, or remove it")
    return {name: home for name, (home, _) in listed.items()}


def _check_override(draft: Draft, override: DraftOverride, homes: dict[str, str]) -> None:
    """An override names a finest node and one of its categories, or a new one."""
    report, name, category = draft.report, override.node, override.category
    if name is None:
        return
    node = draft.nodes.get(name)
    at_node, at_category = (*override.path, "node"), (*override.path, "category")
    if node is None and (name in draft.categories or name in draft.override_categories):
        report.value(at_node, f"{name} is a category: name a finest node")
    elif node is None:
        near = report.nearest(name, [leaf.name for leaf in draft.nodes.values() if leaf.kind != "<nodes>"])
        report.value(at_node, f"there is no node {name}{suggestion(near)}")
    elif node.kind == "<nodes>":
        below = ", ".join(leaf.name for leaf in islice(draft.leaves_below(node), MAX_LISTED))
        report.value(at_node, f"{name} is not a finest node: the patch {override.patch} needs one of {below}")
    elif node.kind == "<match>":
        if category not in (None, name):
            report.value(
                at_category, f"the node {name} has its rule in match: and no categories: leave this out"
            )
    elif category is None:
        report.value(override.path, f"the key 'category' is missing: the node {name} lists categories")
    elif (home := homes.get(category, name)) != name and category in draft.categories:
        report.value(
            at_category,
            f"the category {category} is in the node {home}: the patch {override.patch} needs another one to go "
            f"to {name}",
        )


def _clips(report: Report, raw: Any) -> Clips:
    """The tree's ``clips:``; what does not have its shape was reported before, and then the tree is not built."""
    given = raw if isinstance(raw, dict) else {}
    if "salience_db" in given and "salience_below_mix" in given:
        report.key(
            ("clips", "salience_below_mix"),
            "salience_db and salience_below_mix exclude each other: a node sounds above a level, or above one "
            "relative to the mixture",
        )
    return Clips(**{key: given.get(key) for key in ("companion", "salience_db", "salience_below_mix")})


def _hierarchy(draft: Draft, raw: dict[Any, Any], clips: Clips, text: str, file: str) -> Hierarchy:
    levels = raw["levels"]
    categories: dict[str, Category] = {}
    nodes: dict[str, Node] = {}
    for level in range(levels, 0, -1):
        for node in draft.nodes.values():
            if node.depth == levels - level + 1:
                below = node.children if level > 1 else _add_categories(draft, node, categories)
                nodes[node.name] = Node(node.name, level, node.parent, tuple(below))
    overrides = {
        patch: Override(patch, override.node or "", override.category or override.node or "")
        for patch, override in draft.overrides.items()
    }
    return Hierarchy(
        name=raw["name"],
        description=raw.get("description", ""),
        levels=levels,
        nodes=nodes,
        categories=categories,
        overrides=overrides,
        unassigned=raw.get("unassigned", "keep"),
        clips=clips,
        text=text,
        file=file,
    )


def _add_categories(draft: Draft, node: DraftNode, categories: dict[str, Category]) -> list[str]:
    """Add a leaf's categories in the order of its list, then, by name, those that only overrides fill."""
    rules = draft.claims.rules
    if node.kind == "<match>":
        categories[node.name] = Category(node.name, node.name, rules[node.name], implicit=True)
        return [node.name]
    own = sorted(name for name, home in draft.override_categories.items() if home == node.name)
    names = list(dict.fromkeys([*(name for name, _ in node.members), *own]))
    categories.update({name: Category(name, node.name, rules.get(name, Rule())) for name in names})
    return names
