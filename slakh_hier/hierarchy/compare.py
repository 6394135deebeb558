"""What differs between two trees: nodes, categories, and where each kind of stem goes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from slakh_hier.hierarchy.labels import label_key, programs_text, word_key
from slakh_hier.hierarchy.model import MIX, Hierarchy

_LISTED = ("labels", "program", "patch", "patch override", "midi_program_name", "inst_class")
"""Kinds of stems: those that go the same way share a change."""


@dataclass(frozen=True)
class Change:
    """One difference. ``before`` and ``after``: the place in each tree, ``None`` where it is not there."""

    change: Literal["added", "removed", "moved", "changed"]
    what: str
    name: str
    before: str | None
    after: str | None


def compare(first: Hierarchy, second: Hierarchy) -> list[Change]:
    """What has to change in ``first`` to mean what ``second`` means; empty when their digests are equal.

    Nodes and categories are known by their names: a renamed one is removed and added. A node counts as moved when its
    parent is another, so nodes that move with their parent are not listed. Programs, patches, program names and classes
    that go the same way share a line.
    """
    old, new = dict(_places(first)), dict(_places(second))
    ways: dict[tuple[str, Any, str | None, str | None], list[Any]] = {}
    for what, key in {**old, **new}:
        before, after = old.get((what, key)), new.get((what, key))
        if before != after:
            own = None if what in _LISTED else key
            ways.setdefault((what, own, before, after), []).append(key)
    changes = [
        Change(_kind(before, after, what), what, programs_text(keys) if what == "program" else ", ".join(keys), before, after)
        for (what, _, before, after), keys in ways.items()
    ]  # fmt: skip
    order = ["levels", "unassigned", "node", "category", "order", *_LISTED]
    return sorted([*changes, *_orders(first, second)], key=lambda change: order.index(change.what))


def _places(tree: Hierarchy) -> Iterator[tuple[tuple[str, Any], str]]:
    """Where everything is that a tree places: by its kind and name."""
    yield ("levels", ""), str(tree.levels)
    yield ("unassigned", ""), tree.unassigned
    for name, node in tree.nodes.items():
        yield ("node", name), node.parent or MIX
    for name in tree.level_nodes(0):
        yield ("category", name), tree.categories[name].node
    owners: dict[str, list[str]] = {}
    for name, category in tree.categories.items():
        rule = category.rule
        for path in rule.labels:
            yield ("labels", "/".join(label_key(path))), name
        for program in rule.all_programs:
            yield ("program", program), name
        for patch in rule.patches:
            owners.setdefault(patch.casefold(), []).append(name)
        for kind, words in (
            ("midi_program_name", rule.midi_program_names),
            ("inst_class", rule.inst_classes),
        ):
            for word in words:
                yield (kind, word_key(word) or ""), name
    for patch, names in owners.items():
        yield ("patch", patch), ", ".join(sorted(names))
    for patch, override in tree.overrides.items():
        yield ("patch override", patch), override.category


def _orders(first: Hierarchy, second: Hierarchy) -> Iterator[Change]:
    """Levels whose common nodes come in another order: columns of shards are then ordered otherwise, too."""
    for level in range(max(first.levels, second.levels), -1, -1):
        names = [tree.level_nodes(level) for tree in (first, second)]
        before, after = ([n for n in own if n in other] for own, other in (names, names[::-1]))
        if before != after:
            yield Change("changed", "order", f"level {level}", ", ".join(before), ", ".join(after))


def _kind(old: str | None, new: str | None, what: str) -> Literal["added", "removed", "moved", "changed"]:
    if what in ("levels", "unassigned"):
        return "changed"
    return "added" if old is None else "removed" if new is None else "moved"
