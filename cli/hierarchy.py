"""``slakh-hier hierarchy``: list, show, check, start and compare instrument trees."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from slakh_hier.cli import completion
from slakh_hier.cli.command import Command, data_option, output_option
from slakh_hier.cli.common import (
    bars,
    note,
    print_json,
    print_rich,
    print_table,
    say,
    shown_warnings,
)
from slakh_hier.cli.inputs import note_left_out
from slakh_hier.cli.lazy import Group
from slakh_hier.cli.options import follow_links_option, format_option, jobs_option, split_scheme_option
from slakh_hier.wording import counted, escaped, typed

if TYPE_CHECKING:
    from slakh_hier.hierarchy import Hierarchy
    from slakh_hier.hierarchy.describe import Line
    from slakh_hier.slakh import Catalog

text_or_json_option = output_option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json"]),
    default="text",
    help="How results are printed on stdout.",
)


@click.group(cls=Group)
def hierarchy() -> None:
    """Instrument trees: list, show, check, start and compare them.

    A TREE is the name of a tree that comes with slakh-hier (see `list`) or a YAML file; a submix definition of
    slakh-utils (Mixing key, Recipes) is read as a tree of one level.
    """


@hierarchy.command("list", cls=Command)
@format_option
def list_trees(output_format: str) -> None:
    """List the trees that come with slakh-hier."""
    from slakh_hier.hierarchy import load_hierarchy, shipped
    from slakh_hier.hierarchy.describe import summary

    trees = [load_hierarchy(name) for name in shipped()]
    if output_format == "json":
        print_json([summary(tree) for tree in trees])
        return
    rows = [
        {
            "tree": tree.name,
            "nodes by level": ", ".join(map(str, summary(tree)["nodes_by_level"])),
            "categories": len(tree.level_nodes(0)),
            "description": tree.description,
        }
        for tree in trees
    ]
    print_table(rows, output_format, secondary=["categories"])


@hierarchy.command(cls=Command)
@click.argument("tree", type=click.Path(), shell_complete=completion.trees)
@data_option("--slakh", type=click.Path(), help="A data set: show how many of its stems each node has.")
@split_scheme_option
@follow_links_option
@data_option("--split", help="With --slakh: count the stems of this split only.")
@text_or_json_option
@jobs_option
def show(
    tree: str,
    slakh: str | None,
    split_scheme: str | None,
    follow_links: bool,
    split: str | None,
    output_format: str,
    jobs: int,
) -> None:
    """Draw a tree: its nodes, its categories, and which stems belong to them.

    With --slakh, exit code 1: parts of the data set could not be counted.
    """
    from slakh_hier.hierarchy import load_hierarchy
    from slakh_hier.hierarchy.describe import describe, outline

    if slakh is None and (split or split_scheme or follow_links):
        raise click.UsageError(
            "--split, --split-scheme and --follow-links are about a data set: they need --slakh"
        )
    loaded = load_hierarchy(tree)
    stems = None
    damaged = False
    if slakh is not None:
        from slakh_hier.slakh import scan

        with shown_warnings():
            catalog = scan(
                slakh,
                loaded,
                split_scheme=split_scheme,
                follow_links=follow_links,
                jobs=jobs,
                progress=bars(),
            )
        damaged = note_left_out(catalog)
        stems = _count(catalog, split)
    if output_format == "json":
        print_json(describe(loaded, stems))
    else:
        _draw(loaded, outline(loaded), stems)
    if damaged:
        raise click.exceptions.Exit(1)


@hierarchy.command(cls=Command)
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@text_or_json_option
def validate(files: tuple[str, ...], output_format: str) -> None:
    """Check tree files, and report every problem of each with its line and column.

    Exit code 1: a file has problems.
    """
    from slakh_hier.errors import HierarchyError
    from slakh_hier.hierarchy import load_hierarchy
    from slakh_hier.hierarchy.describe import size_text, summary

    results: list[dict[str, Any]] = []
    for file in files:
        try:
            tree = load_hierarchy(file)
        except HierarchyError as error:
            problems = [
                {"line": problem.line, "column": problem.column, "message": problem.message}
                for problem in error.problems
            ]
            results.append({"file": file, "valid": False, "problems": problems})
            if output_format == "text":
                say(error)
        else:
            results.append({"file": file, "valid": True, "problems": [], "tree": summary(tree)})
            if output_format == "text":
                say(f"{file}: no problems. The tree {tree.name}: {size_text(tree)}")
    if output_format == "json":
        print_json(results)
    found = [len(result["problems"]) for result in results if result["problems"]]
    if found:
        note(f"{counted(sum(found), 'problem')} in {counted(len(found), 'file')}")
        raise click.exceptions.Exit(1)


@hierarchy.command(cls=Command)
@click.argument("file", type=click.Path(dir_okay=False))
@click.option(
    "--from",
    "template",
    metavar="TREE",
    shell_complete=completion.trees,
    help="Copy this tree instead of a small commented one.",
)
def new(file: str, template: str | None) -> None:
    """Write a tree file to start from. An existing file is never overwritten."""
    from slakh_hier.hierarchy.starter import write_new

    tree = write_new(file, template)
    note(f"wrote {file}: the tree {tree.name}. Edit it, then run: {typed('hierarchy', 'validate', file)}")


@hierarchy.command(cls=Command)
@click.argument("first", metavar="A", type=click.Path(), shell_complete=completion.trees)
@click.argument("second", metavar="B", type=click.Path(), shell_complete=completion.trees)
@format_option
def diff(first: str, second: str, output_format: str) -> None:
    """Show what tree B adds, moves or leaves out compared with tree A."""
    from dataclasses import asdict

    from slakh_hier.hierarchy import load_hierarchy
    from slakh_hier.hierarchy.compare import compare

    changes = [asdict(change) for change in compare(load_hierarchy(first), load_hierarchy(second))]
    if changes or output_format == "json":
        print_table(changes, output_format)
    if not changes:
        note("no difference: both trees mean the same")


@hierarchy.command(cls=Command)
def schema() -> None:
    """Print the JSON Schema of tree files, for editors that check YAML while you type."""
    from slakh_hier.hierarchy.schema import json_schema

    print_json(json_schema())


def _count(catalog: Catalog, split: str | None) -> dict[str, int]:
    """Stems with audio by node and category, those without a category, and all (``mix``)."""
    from slakh_hier.hierarchy import MIX, UNASSIGNED

    frame = catalog.frame
    if split is not None:
        if not (frame["split"] == split).any():
            there = ", ".join(sorted(set(frame["split"])))
            raise click.UsageError(f"the data set has no split {split}: there are {there}")
        frame = frame[frame["split"] == split]
    placed = frame[frame["status"] == "audio"]
    counts: dict[str, int] = {}
    for column in ["category", *(f"level_{level}" for level in range(1, catalog.hierarchy.levels + 1))]:
        # An implicit category has its node's name, and as many stems.
        counts.update({str(name): int(number) for name, number in placed[column].value_counts().items()})
    unassigned = int((frame["status"] == "unassigned").sum())
    return counts | {MIX: len(placed) + unassigned, UNASSIGNED: unassigned}


def _draw(tree: Hierarchy, lines: Iterable[Line], stems: dict[str, int] | None) -> None:
    """The tree on a terminal; indented lines elsewhere, which other programs can read."""
    from slakh_hier.hierarchy.describe import size_text

    head = f"{tree.name}: {size_text(tree)}, stems without a category: {tree.unassigned}"
    if stems is not None:
        head += f" ({stems['unassigned']:,} of {stems['mix']:,})"
    if not sys.stdout.isatty():
        say(head)
        for line in lines:
            say("  " * line.depth + "  ".join(filter(None, (line.name, _stems(line.name, stems), line.rule))))
        return
    from rich.text import Text
    from rich.tree import Tree

    branches = [Tree(Text(escaped(head), "bold"))]
    for line in lines:
        label = Text(escaped(line.name), "" if line.level == 0 else "bold")
        label.append(
            f"  {text}" if (text := _stems(line.name, stems)) else "",
            "green" if stems and stems.get(line.name) else "red",
        )
        label.append(f"  {escaped(line.rule)}" if line.rule else "", "dim")
        branches[line.depth :] = [branches[line.depth - 1].add(label)]
    print_rich(branches[0])


def _stems(name: str, stems: dict[str, int] | None) -> str:
    return "" if stems is None else counted(stems.get(name, 0), "stem")
