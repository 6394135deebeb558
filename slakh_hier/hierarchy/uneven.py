"""``uneven: repeat``: branches of fewer levels are made as deep as the others, by nodes that repeat another's name.

A node whose children are all finest nodes that lie too high is followed, on each missing level, by a node that holds
all of them. Where only some of its children are such, or they lie directly below the mix, each of these gets such
nodes above itself alone. The name is the repeated node's with the level: in a tree of three levels
``voices: {male_singer: ..., choir: ...}`` becomes ``voices: {voices-2: {male_singer: ..., choir: ...}}``, and
``drums: {match: ...}`` becomes ``drums-3: {drums-2: {drums: ...}}``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from slakh_hier.hierarchy.draft import Draft, DraftNode


def repeat_short(draft: Draft, levels: int) -> None:
    """Add the missing nodes to a draft whose tree has ``levels`` levels; names that are taken are reported."""
    for node in [node for node in draft.nodes.values() if node.parent is None]:
        _level_out(draft, node, levels)
    tops = [node for node in draft.nodes.values() if node.parent is None]
    draft.nodes = {node.name: node for top in tops for node in _placed(draft, top, depth=1)}


def _level_out(draft: Draft, node: DraftNode, levels: int) -> None:
    children = [draft.nodes[name] for name in node.children]
    if node.kind != "<nodes>":
        for level in range(levels - node.depth + 1, 1, -1):
            _insert_above(draft, node, level)
    elif children and all(child.kind != "<nodes>" for child in children):
        for level in range(2, levels - node.depth + 1):
            _insert_below(draft, node, level)
    else:
        for child in children:
            _level_out(draft, child, levels)


def _insert_above(draft: Draft, node: DraftNode, level: int) -> None:
    """A node between ``node`` and its parent."""
    made = draft.repeat(node, level, parent=node.parent)
    if made is None:
        return
    if node.parent is not None:
        siblings = draft.nodes[node.parent].children
        siblings[siblings.index(node.name)] = made.name
    made.children, node.parent = [node.name], made.name


def _insert_below(draft: Draft, node: DraftNode, level: int) -> None:
    """A node between ``node`` and its children, which holds all of them."""
    made = draft.repeat(node, level, parent=node.name)
    if made is None:
        return
    made.children, node.children = node.children, [made.name]
    for name in made.children:
        draft.nodes[name].parent = made.name


def _placed(draft: Draft, node: DraftNode, depth: int) -> Iterator[DraftNode]:
    """The node and all below it, in the file's order and each at its depth."""
    node.depth = depth
    yield node
    for name in node.children:
        yield from _placed(draft, draft.nodes[name], depth + 1)
