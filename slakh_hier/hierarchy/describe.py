"""A tree as plain values, for printing and for JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from slakh_hier.hierarchy.labels import DRUM_PROGRAM, programs_text
from slakh_hier.hierarchy.model import Category, Hierarchy, Rule
from slakh_hier.wording import counted


@dataclass(frozen=True)
class Line:
    """A line of a drawn tree: a node (``level`` from 1) or a category (level 0), ``depth`` steps below the mix."""

    name: str
    level: int
    depth: int
    rule: str


def outline(tree: Hierarchy) -> Iterator[Line]:
    """The tree from top to bottom, in the file's order; a finest node's own rule stands in its line."""
    for name in tree.level_nodes(tree.levels):
        yield from _below(tree, name, 1)


def describe(tree: Hierarchy, stems: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Everything a tree says, as JSON values.

    Parameters
    ----------
    stems
        Number of stems of each node and category, of ``mix`` (all) and of ``unassigned``, to include.
    """

    def counted(name: str) -> dict[str, int]:
        return {} if stems is None else {"stems": stems.get(name, 0)}

    return {
        **summary(tree),
        **counted("mix"),
        **({} if stems is None else {"unassigned_stems": stems.get("unassigned", 0)}),
        "nodes": [
            {
                "name": node.name,
                "level": node.level,
                "parent": node.parent,
                "children": list(node.children),
                **counted(node.name),
            }
            for node in tree.nodes.values()
        ],
        "categories": [
            {
                "name": category.name,
                "node": category.node,
                "implicit": category.implicit,
                **_rule(category.rule),
                "override_patches": _override_patches(tree, category),
                **counted(category.name),
            }
            for category in tree.categories.values()
        ],
    }


def summary(tree: Hierarchy) -> dict[str, Any]:
    """A tree in a few words and numbers; ``nodes_by_level`` goes from the coarsest level to the finest."""
    return {
        "name": tree.name,
        "levels": tree.levels,
        "nodes_by_level": [len(tree.level_nodes(level)) for level in range(tree.levels, 0, -1)],
        "own_categories": len(tree.level_nodes(0)),
        "unassigned": tree.unassigned,
        "clips": {name: value for name, value in asdict(tree.clips).items() if value is not None},
        "description": tree.description,
        "file": tree.file,
        "digest": tree.digest,
    }


def size_text(tree: Hierarchy) -> str:
    """``3 levels (4, 8 and 18 nodes), 36 categories``."""
    sizes = [str(len(tree.level_nodes(level))) for level in range(tree.levels, 0, -1)]
    nodes = " and ".join(filter(None, (", ".join(sizes[:-1]), sizes[-1])))
    own = len(tree.level_nodes(0))
    categories = f", {counted(own, 'category')}" if own else ""
    return f"{counted(tree.levels, 'level')} ({nodes} nodes){categories}"


def _below(tree: Hierarchy, name: str, depth: int) -> Iterator[Line]:
    node = tree.nodes[name]
    if node.level > 1:
        yield Line(name, node.level, depth, "")
        for child in node.children:
            yield from _below(tree, child, depth + 1)
        return
    categories = [tree.categories[child] for child in node.children]
    if categories and categories[0].implicit:
        yield Line(name, 1, depth, _rule_text(tree, categories[0]))
        return
    yield Line(name, 1, depth, "")
    for category in categories:
        yield Line(category.name, 0, depth + 1, _rule_text(tree, category))


def _rule_text(tree: Hierarchy, category: Category) -> str:
    rule = category.rule
    programs = rule.all_programs
    parts = [", ".join(rule.labels)] if rule.labels else []
    if text := programs_text(programs):
        parts.append(text if programs == (DRUM_PROGRAM,) else f"program{'s' * (len(programs) > 1)} {text}")
    if count := len(rule.patches):
        parts.append(f"{count} patch{'es' * (count > 1)}")
    parts += [", ".join(words) for words in (rule.midi_program_names, rule.inst_classes) if words]
    if patches := _override_patches(tree, category):
        parts.append(f"override of {', '.join(patches)}")
    return "; ".join(parts)


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "labels": list(rule.labels),
        "drums": rule.drums,
        "patches": list(rule.patches),
        "programs": sorted(rule.programs),
        "midi_program_name": list(rule.midi_program_names),
        "inst_class": list(rule.inst_classes),
    }


def _override_patches(tree: Hierarchy, category: Category) -> list[str]:
    return [patch for patch, override in tree.overrides.items() if override.category == category.name]
