"""What differs between two trees: nodes, categories, and where each kind of stem goes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from slakh_hier.hierarchy.labels import DRUM_PROGRAM, programs_text, word_key
from slakh_hier.hierarchy.model import Hierarchy

K = TypeVar("K", bound=int | str)


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
    return [
        *_settings(first, second),
        *_changes("node", _parents(first), _parents(second)),
        *_changes("category", _homes(first), _homes(second)),
        *_order(first, second),
        *_grouped("program", _programs(first), _programs(second), programs_text),
        *_grouped("patch", _patches(first), _patches(second), ", ".join),
        *_grouped("patch override", _overrides(first), _overrides(second), ", ".join),
        *_grouped("midi_program_name", _words(first, "names"), _words(second, "names"), ", ".join),
        *_grouped("inst_class", _words(first, "classes"), _words(second, "classes"), ", ".join),
    ]


def _settings(first: Hierarchy, second: Hierarchy) -> Iterator[Change]:
    if first.levels != second.levels:
        yield Change("changed", "levels", "", str(first.levels), str(second.levels))
    if first.unassigned != second.unassigned:
        yield Change("changed", "unassigned", "", first.unassigned, second.unassigned)


def _parents(tree: Hierarchy) -> dict[str, str]:
    return {name: node.parent or "mix" for name, node in tree.nodes.items()}


def _homes(tree: Hierarchy) -> dict[str, str]:
    return {name: tree.categories[name].node for name in tree.level_nodes(0)}


def _programs(tree: Hierarchy) -> dict[int, str]:
    return {
        program: owner.name
        for owner in tree.categories.values()
        for program in (*sorted(owner.rule.programs), *([DRUM_PROGRAM] if owner.rule.drums else ()))
    }


def _patches(tree: Hierarchy) -> dict[str, str]:
    owners: dict[str, list[str]] = {}
    for category in tree.categories.values():
        for patch in category.rule.patches:
            owners.setdefault(patch.casefold(), []).append(category.name)
    return {patch: ", ".join(sorted(names)) for patch, names in owners.items()}


def _overrides(tree: Hierarchy) -> dict[str, str]:
    return {patch: override.category for patch, override in tree.overrides.items()}


def _words(tree: Hierarchy, kind: Literal["names", "classes"]) -> dict[str, str]:
    return {
        word_key(word) or "": owner.name
        for owner in tree.categories.values()
        for word in (owner.rule.midi_program_names if kind == "names" else owner.rule.inst_classes)
    }


def _changes(what: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    for name in [*before, *(name for name in after if name not in before)]:
        old, new = before.get(name), after.get(name)
        if old != new:
            yield Change(_kind(old, new), what, name, old, new)


def _grouped(
    what: str, before: Mapping[K, str], after: Mapping[K, str], text: Callable[[list[K]], str]
) -> Iterator[Change]:
    """Changes of which those from and to the same places share a line."""
    ways: dict[tuple[str | None, str | None], list[K]] = {}
    for key in {**before, **after}:
        way = (before.get(key), after.get(key))
        if way[0] != way[1]:
            ways.setdefault(way, []).append(key)
    for (old, new), keys in ways.items():
        yield Change(_kind(old, new), what, text(keys), old, new)


def _order(first: Hierarchy, second: Hierarchy) -> Iterator[Change]:
    """Levels whose common nodes come in another order: columns of shards are then ordered otherwise, too."""
    for level in range(max(first.levels, second.levels), -1, -1):
        old, new = _names(first, level), _names(second, level)
        common = set(old) & set(new)
        before, after = ([name for name in names if name in common] for names in (old, new))
        if before != after:
            yield Change("changed", "order", f"level {level}", ", ".join(before), ", ".join(after))


def _names(tree: Hierarchy, level: int) -> Sequence[str]:
    return tree.level_nodes(level) if level <= tree.levels else ()


def _kind(old: str | None, new: str | None) -> Literal["added", "removed", "moved"]:
    return "added" if old is None else "removed" if new is None else "moved"
