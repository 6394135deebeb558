"""What holds for every tree: children partition parents, digests follow the meaning, the reader never falls over."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from slakh_hier.errors import TextError
from slakh_hier.hierarchy import Hierarchy, StemLabel, load_hierarchy, parse_hierarchy, shipped
from slakh_hier.hierarchy.compare import compare

Bounded = Callable[[], AbstractContextManager[None]]
SHIPPED = {name: load_hierarchy(name) for name in shipped()}


@st.composite
def raw_trees(draw: st.DrawFn) -> dict[str, Any]:
    """Values of a valid tree file: random shape, leaves of both kinds, overrides, disjoint programs."""
    rng = random.Random(draw(st.integers(0, 2**32)))
    levels = draw(st.integers(1, 4))
    names = iter(f"n{i}" for i in range(10_000))
    programs = rng.sample(range(128), 128)
    drums = [True]
    categories: dict[str, Any] = {}
    leaves: list[tuple[str, list[str] | None]] = []

    def rule() -> dict[str, Any]:
        kinds = rng.sample(
            ["programs", "patches", "midi_program_name", "inst_class", "drums", "labels"], rng.randint(1, 3)
        )
        made: dict[str, Any] = {}
        for kind in kinds:
            if kind == "programs":
                made[kind] = [programs.pop() for _ in range(rng.randint(1, 3))]
            elif kind != "drums":
                made[kind] = [f"{kind} {next(names)}" for _ in range(rng.randint(1, 2))]
            elif drums:
                made[kind] = drums.pop()
        return made or {"programs": [programs.pop()]}

    def node(level: int) -> Any:
        if level > 1:
            return {next(names): node(level - 1) for _ in range(rng.randint(1, 2))}
        if rng.random() < 0.5:
            return {"match": rule()}
        members = [next(names) for _ in range(rng.randint(1, 3))]
        categories.update({name: rule() for name in members})
        return members

    def collect(value: dict[str, Any], level: int) -> None:
        for name, below in value.items():
            if level > 1:
                collect(below, level - 1)
            else:
                leaves.append((name, below if isinstance(below, list) else None))

    tree = {next(names): node(levels) for _ in range(rng.randint(1, 3))}
    collect(tree, levels)
    overrides = {}
    for i in range(rng.randint(0, 3)):
        leaf, members = rng.choice(leaves)
        overrides[f"o{i}.nkm"] = {"node": leaf}
        if members is not None:
            overrides[f"o{i}.nkm"]["category"] = rng.choice([*members, f"own_{leaf}"])
    return {
        "schema": 1,
        "name": "random",
        "levels": levels,
        "categories": dict(rng.sample(sorted(categories.items()), len(categories))),
        "tree": tree,
        "patch_overrides": overrides,
        "unassigned": rng.choice(["keep", "drop", "error"]),
    }


def written(raw: dict[str, Any]) -> Hierarchy:
    return parse_hierarchy(yaml.safe_dump(raw, sort_keys=False), "random.yaml")


def labels_of(tree: Hierarchy) -> list[StemLabel]:
    """A stem for everything that a tree knows, and some that it may not know."""
    rules = [category.rule for category in tree.categories.values()]
    patches = [patch for rule in rules for patch in rule.patches] + list(tree.overrides)
    return [
        *(StemLabel(None, program, False) for program in range(129)),
        *(StemLabel(patch, program, False) for patch in patches for program in (0, 64)),
        *(StemLabel(None, None, False, name) for rule in rules for name in rule.midi_program_names),
        *(StemLabel(None, None, False, None, name) for rule in rules for name in rule.inst_classes),
        *(
            StemLabel(None, 5, True, labels=path + end)
            for rule in rules
            for path in rule.labels
            for end in ("", "/x")
        ),
        StemLabel("unknown.nkm", None, True, "unknown", "unknown"),
    ]


def check_partition(tree: Hierarchy) -> None:
    """Children partition parents; a stem lies below one node of every level, and sums over children add up."""
    for level in range(2, tree.levels + 1):
        below = [child for name in tree.level_nodes(level) for child in tree.nodes[name].children]
        assert tuple(below) == tree.level_nodes(level - 1)
    assert [child for name in tree.level_nodes(1) for child in tree.nodes[name].children] == list(
        tree.categories
    )
    columns = tree.columns(range(tree.levels + 1))
    index = {column.name: i for i, column in enumerate(columns)}
    stems: Counter[int] = Counter()
    for label in labels_of(tree):
        found = tree.match(label)
        if found is None:
            held = ["mix", "unassigned"] if tree.unassigned == "keep" else []
        else:
            path = tree.path(found.node)
            assert [tree.nodes[name].level for name in path] == list(range(1, tree.levels + 1))
            assert tree.path(found.category)[-tree.levels :] == path
            held = ["mix", *path, *([] if tree.categories[found.category].implicit else [found.category])]
        stems.update(index[name] for name in held)
    for i, column in enumerate(columns):
        assert (
            column.parent == -1
            if i == 0
            else columns[column.parent].level > column.level or column.parent == 0
        )
        children = [k for k, other in enumerate(columns) if other.parent == i]
        if children:
            assert sum(stems[k] for k in children) == stems[i], column.name


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_trees_partition_the_stems(name: str) -> None:
    check_partition(SHIPPED[name])


@given(raw_trees())
@settings(max_examples=60, deadline=None)
def test_trees_partition_the_stems(raw: dict[str, Any]) -> None:
    check_partition(written(raw))


@given(raw_trees(), st.randoms(use_true_random=False), st.booleans())
@settings(max_examples=60, deadline=None)
def test_digest_follows_the_meaning_alone(raw: dict[str, Any], rng: random.Random, flow: bool) -> None:
    tree = written(raw)

    def shuffled(value: dict[str, Any]) -> dict[str, Any]:
        return dict(rng.sample(sorted(value.items()), len(value)))

    def rewritten(rule: dict[str, Any]) -> dict[str, Any]:
        rule = {key: rng.sample(v, len(v)) if isinstance(v, list) else v for key, v in shuffled(rule).items()}
        for key in set(rule) & {"patches", "midi_program_name", "inst_class"}:
            rule[key] = [word.upper() for word in rule[key]]
        if "programs" in rule:
            rule["programs"] = [f"{program}-{program}" for program in rule["programs"]]
        if rule.pop("drums", None):
            rule["programs"] = [*rule.get("programs", []), 128]
        return rule

    def leaves(value: Any) -> Any:
        if isinstance(value, list):
            return value
        return {k: rewritten(v) if k == "match" else leaves(v) for k, v in value.items()}

    other = shuffled(raw) | {
        "name": "other",
        "description": "said otherwise",
        "categories": {name: rewritten(rule) for name, rule in shuffled(raw["categories"]).items()},
        "tree": leaves(raw["tree"]),
        "patch_overrides": shuffled(raw["patch_overrides"]),
    }
    text = yaml.safe_dump(other, sort_keys=False, default_flow_style=flow, width=40)
    again = parse_hierarchy("# a comment\n\n" + text + "\n# another\n", "other.yaml")
    assert again.digest == tree.digest
    assert again.columns() == tree.columns()
    assert compare(tree, again) == []


@given(raw_trees(), st.randoms(use_true_random=False))
@settings(max_examples=80, deadline=None)
def test_digest_and_comparison_notice_the_same_changes(raw: dict[str, Any], rng: random.Random) -> None:
    before = written(raw)
    kind = rng.choice(["order", "program", "unassigned", "override", "nothing"])
    if kind == "order" and len(raw["tree"]) > 1:
        raw["tree"] = dict(reversed(raw["tree"].items()))
    elif kind == "program":
        rule = next((rule for rule in raw["categories"].values() if "programs" in rule), None)
        free = [p for p in range(128) if before.match(StemLabel(None, p, False)) is None]
        if rule and free:
            rule["programs"] = [*rule["programs"], rng.choice(free)]
    elif kind == "unassigned":
        raw["unassigned"] = rng.choice(["keep", "drop", "error"])
    elif kind == "override" and raw["patch_overrides"]:
        raw["patch_overrides"].popitem()
    after = written(raw)
    assert (before.digest == after.digest) == (compare(before, after) == [])
    moved = [label for label in labels_of(before) if before.match(label) != after.match(label)]
    assert not (moved and before == after)


def check_reader(text: str, bounded: Bounded) -> None:
    """A text is a tree, or its problems are reported inside it, in little time and memory; nothing else comes out."""
    report: TextError | None = None
    with bounded():
        try:
            tree = parse_hierarchy(text, "any.yaml")
        except TextError as error:
            report = error
    if report is None:
        check_partition(tree)
        return
    assert report.problems
    assert all(
        1 <= problem.line <= len(text.splitlines()) + 2 and problem.column >= 1 for problem in report.problems
    )
    assert str(report).startswith("any.yaml:")


@given(text=st.text(max_size=200))
@settings(max_examples=300, deadline=None)
def test_arbitrary_text_raises_nothing_else(bounded: Bounded, text: str) -> None:
    check_reader(text, bounded)


PIECES = [
    "[", "]", "{", "}", ":", " ", "\n", "\n  ", "-", "- ", ",", "&a", "*a", "!!str", "no", "~", "024", "12:30", "mix",
    "match", "None", "0x1f", "1_0", "2001-01-01", "2001-99-01", "<<", "?", "|", ">", "'", '"', "#", "%", "\t", "é",
    "\x85", "\u2028", ".nan", "levels", "tree", "categories", "node", "[key]", "<match>", "<nodes>", "1e3", "1.5",
    "=", "\ud800", "\x00", "\ufeff", "\U0001f600", "9" * 70, "Recipes", "Mixing key: ",
]  # fmt: skip
RECIPE = 'Mixing key: "program_num"\nRecipes:\n  Piano: [0, 1]\n  Electric Guitar:\n    - 26\n    - 27\n'


@given(
    text=st.sampled_from([*(tree.text for tree in SHIPPED.values()), RECIPE]),
    rng=st.randoms(use_true_random=False),
)
@settings(max_examples=300, deadline=None)
def test_damaged_trees_raise_nothing_else(bounded: Bounded, text: str, rng: random.Random) -> None:
    parts = text.splitlines(keepends=True) if rng.random() < 0.5 else list(text)
    for _ in range(rng.randint(1, 5)):
        at = rng.randrange(len(parts) + 1)
        what = rng.randrange(3)
        if what == 0:
            parts.insert(at, rng.choice(PIECES))
        elif what == 1:
            del parts[at : at + rng.randint(1, 3)]
        else:
            parts[at:at] = rng.sample(parts, min(len(parts), 3))
    check_reader("".join(parts), bounded)
