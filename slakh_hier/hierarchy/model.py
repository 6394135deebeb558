"""An instrument tree: named nodes on numbered levels, and the categories of stems below them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from slakh_hier.errors import InputError
from slakh_hier.files import sha256
from slakh_hier.hierarchy.labels import DRUM_PROGRAM, Match, StemLabel, label_key, patch_key, word_key
from slakh_hier.wording import did_you_mean

MIX = "mix"
UNASSIGNED = "unassigned"
Unassigned = Literal["keep", "drop", "error"]
Companion = Literal["family", "any", "none"]


@dataclass(frozen=True)
class Rule:
    """Which stems belong to a category.

    ``programs`` are 0 to 127; the drum program 128 is ``drums``. Patches are base names as written in the file.
    ``labels`` are paths from the coarsest label down (``bass/bass_guitar``); each stands for all that lies below it.
    """

    labels: tuple[str, ...] = ()
    drums: bool = False
    patches: tuple[str, ...] = ()
    programs: frozenset[int] = frozenset()
    midi_program_names: tuple[str, ...] = ()
    inst_classes: tuple[str, ...] = ()

    @property
    def all_programs(self) -> tuple[int, ...]:
        """The programs in order; drums, which are 128, last."""
        return (*sorted(self.programs), *([DRUM_PROGRAM] if self.drums else ()))


@dataclass(frozen=True)
class Category:
    """A kind of stem. ``implicit``: it is a finest node's own rule (``match:``), with the node's name."""

    name: str
    node: str
    rule: Rule = field(default_factory=Rule)
    implicit: bool = False


@dataclass(frozen=True)
class Node:
    """A node of the tree. ``children`` of a finest node (level 1) are its categories."""

    name: str
    level: int
    parent: str | None
    children: tuple[str, ...]


@dataclass(frozen=True)
class Override:
    """A patch that belongs elsewhere than its program says."""

    patch: str
    node: str
    category: str


@dataclass(frozen=True)
class Clips:
    """Which clips suit a tree (its ``clips:``): the defaults of a plan; None is the paper's value."""

    companion: Companion | None = None
    """Which other node of a target's level must sound with it: one of its ``family`` (the paper's), ``any``, or ``none``."""
    salience_db: float | None = None
    """RMS (dBFS) above which a node counts as sounding."""
    salience_below_mix: float | None = None
    """Or the level below the mixture's RMS (dB) down to which it does."""


@dataclass(frozen=True)
class Column:
    """A rendered node: the mix has level ``levels + 1`` and parent -1, categories have level 0.

    ``parent`` is the index of the nearest rendered ancestor among the columns.
    """

    name: str
    level: int
    parent: int


@dataclass(frozen=True, eq=False, repr=False)
class Hierarchy:
    """An instrument tree; two are equal when they mean the same, however they are written."""

    name: str
    levels: int
    """Number of levels: 1 is the finest, ``levels`` the coarsest; the mix lies above."""
    nodes: Mapping[str, Node]
    """All nodes, coarse to fine, in the file's order within a level."""
    categories: Mapping[str, Category]
    """All categories in the order of the finest nodes they belong to."""
    overrides: Mapping[str, Override]
    """By patch (base name in lower case)."""
    unassigned: Unassigned
    """What happens to a stem with audio but no category: ``keep`` it in the mix only, ``drop`` it, or
    take it as an ``error``."""
    text: str
    file: str
    """``text`` and ``file``: the YAML as read, and its name."""
    description: str = ""
    clips: Clips = Clips()
    """Which clips suit the tree. It is not part of what the tree means: two trees may differ in it and be equal."""

    def match(self, label: StemLabel) -> Match | None:
        """The category of a stem, or ``None``.

        The longest path of labels that the stem's begin with comes first; then drums; then an override of the patch;
        then the patch, when one category has it, or when the program says which of several. A patch that no category
        has leaves it to the program, then to the program's name, then to the class.
        """
        rules = self._rules
        labels = label_key(label.labels)
        for end in range(len(labels), 0, -1):
            if owner := rules.labels.get(labels[:end]):
                return self._found(owner, "labels")
        if label.drums and rules.drums is not None:
            return self._found(rules.drums, "drums")
        patch = patch_key(label.patch)
        if patch is not None and patch in self.overrides:
            return self._found(self.overrides[patch].category, "override")
        program = None if label.drums else label.program
        by_program = None if program is None else rules.programs.get(program)
        owners = rules.patches.get(patch, ()) if patch else ()
        if len(owners) == 1:
            return self._found(owners[0], "patch")
        if owners:
            return self._found(by_program, "patch and program") if by_program in owners else None
        if by_program is not None:
            return self._found(by_program, "program")
        if name := rules.names.get(word_key(label.midi_program_name)):
            return self._found(name, "midi_program_name")
        if name := rules.classes.get(word_key(label.inst_class)):
            return self._found(name, "inst_class")
        return None

    def why_unassigned(self, label: StemLabel) -> str:
        """Why :meth:`match` finds no category: one clause for a report."""
        patch = patch_key(label.patch)
        if patch and (owners := self._rules.patches.get(patch)):
            several = " and ".join((", ".join(owners[:-1]), owners[-1]))
            return f"the patch {patch} is of {several}, and the program ({label.program}) is of none of them"
        if label.labels:
            return f"{label.labels} has no category in the tree {self.name}"
        if label.drums:
            return f"the tree {self.name} has no category for drums"
        what = "a stem without a program" if label.program is None else f"program {label.program}"
        return f"{what} has no category in the tree {self.name}"

    def path(self, name: str) -> tuple[str, ...]:
        """A node or category, then its ancestors up to the coarsest.

        Raises
        ------
        InputError
            Neither a node nor a category.
        """
        if name in self.nodes:
            path = [name]
        elif name in self.categories:
            path = [name, self.categories[name].node]
        else:
            raise InputError(self._unknown(name, "node or category", (*self.nodes, *self.categories)))
        while (parent := self.nodes[path[-1]].parent) is not None:
            path.append(parent)
        return tuple(path)

    def top(self, name: str) -> str:
        """The coarsest ancestor of a node or category."""
        return self.path(name)[-1]

    def level_nodes(self, level: int) -> tuple[str, ...]:
        """The nodes of a level in the file's order; level 0 are the categories that have a name of their own."""
        if level == 0:
            return tuple(name for name, category in self.categories.items() if not category.implicit)
        return tuple(name for name, node in self.nodes.items() if node.level == level)

    def target_level(self, name: str) -> int:
        """The level of a node that is to be separated.

        Raises
        ------
        InputError
            It is none: says which node its category belongs to, or what it was perhaps meant to be.
        """
        if name in self.nodes:
            return self.nodes[name].level
        if name in self.categories:
            raise InputError(
                f"{name} is a category of the tree {self.name}, a target is a node: {self.categories[name].node}"
            )
        raise InputError(self._unknown(name, "node", tuple(self.nodes)))

    def columns(self, levels: Sequence[int] | None = None, target: str | None = None) -> tuple[Column, ...]:
        """What is rendered: the mix, then nodes coarse to fine, then ``unassigned`` where the tree keeps such stems.

        Parameters
        ----------
        levels
            Level numbers, 0 for the categories; by default all numbered levels, with a target those of its path.
        target
            A node: only it and its ancestors, on levels below it what lies below it, and no ``unassigned``.

        Raises
        ------
        InputError
            The tree has no such level or target.
        """
        finest = 1 if target is None else self.target_level(target)
        chosen = range(finest, self.levels + 1) if levels is None else levels
        if unknown := [level for level in chosen if level not in range(self.levels + 1)]:
            raise InputError(
                f"the tree {self.name} has no level {unknown[0]}: it has 1 (finest) to {self.levels} (coarsest), "
                "and 0, its categories"
            )
        if not chosen:
            raise InputError("no level was chosen")
        if tuple(chosen) == (0,) and not self.level_nodes(0):
            raise InputError(
                f"the tree {self.name} has no categories of their own: its finest nodes hold the rules"
            )
        columns = [Column(MIX, self.levels + 1, -1)]
        index: dict[str, int] = {}
        for level in sorted(set(chosen), reverse=True):
            for name in self.level_nodes(level):
                path = self.path(name)
                if target is not None and target not in path and name not in self.path(target):
                    continue
                parent = next((index[above] for above in path[1:] if above in index), 0)
                index[name] = len(columns)
                columns.append(Column(name, level, parent))
        if self.unassigned == "keep" and target is None:
            columns.append(Column(UNASSIGNED, 1, 0))
        return tuple(columns)

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) of what the tree means: not of its name, comments, spacing or order of keys."""
        rules = {
            name: [
                category.node,
                category.implicit,
                category.rule.drums,
                sorted(map(str.casefold, category.rule.patches)),
                sorted(category.rule.programs),
                sorted(str(word_key(word)) for word in category.rule.midi_program_names),
                sorted(str(word_key(word)) for word in category.rule.inst_classes),
                # Only where there are any: digests of trees without labels stay what shards and weights hold.
                *([sorted(map(label_key, category.rule.labels))] if category.rule.labels else []),
            ]
            for name, category in self.categories.items()
        }
        meaning = {
            "levels": self.levels,
            "nodes": [[node.name, node.level, node.parent, *node.children] for node in self.nodes.values()],
            "categories": rules,
            "overrides": {patch: [move.node, move.category] for patch, move in self.overrides.items()},
            "unassigned": self.unassigned,
        }
        return sha256(json.dumps(meaning, sort_keys=True, separators=(",", ":")).encode())

    @cached_property
    def _rules(self) -> _Rules:
        return _Rules.of(self.categories.values())

    def _found(self, category: str | None, how: str) -> Match | None:
        return None if category is None else Match(category, self.categories[category].node, how)

    def _unknown(self, name: str, what: str, known: Sequence[str]) -> str:
        return f"{name!r} is not a {what} of the tree {self.name}: {did_you_mean(name, known)}"

    def __repr__(self) -> str:
        from slakh_hier.hierarchy.describe import size_text

        return f"<Hierarchy {self.name}: {size_text(self)}>"

    def _repr_html_(self) -> str:
        from slakh_hier.hierarchy.picture import tree_svg

        return tree_svg(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Hierarchy) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


@dataclass(frozen=True)
class _Rules:
    """All rules of a tree, turned round: who owns a label, a program, a patch, a name."""

    labels: Mapping[tuple[str, ...], str]
    drums: str | None
    patches: Mapping[str, tuple[str, ...]]
    programs: Mapping[int, str]
    names: Mapping[str | None, str]
    classes: Mapping[str | None, str]

    @staticmethod
    def of(categories: Iterable[Category]) -> _Rules:
        drums = None
        labels: dict[tuple[str, ...], str] = {}
        patches: dict[str, tuple[str, ...]] = {}
        programs: dict[int, str] = {}
        names: dict[str | None, str] = {}
        classes: dict[str | None, str] = {}
        for category in categories:
            rule = category.rule
            labels.update({label_key(path): category.name for path in rule.labels})
            if rule.drums:
                drums = category.name
            for patch in rule.patches:
                key = patch.casefold()
                patches[key] = (*patches.get(key, ()), category.name)
            programs.update(dict.fromkeys(rule.programs, category.name))
            names.update({word_key(name): category.name for name in rule.midi_program_names})
            classes.update({word_key(name): category.name for name in rule.inst_classes})
        return _Rules(labels, drums, patches, programs, names, classes)
