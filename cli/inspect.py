"""``slakh-hier inspect``: what a shard set holds."""

from __future__ import annotations

from typing import Any

import click

from slakh_hier.cli import completion, mask
from slakh_hier.cli.command import command, data_option
from slakh_hier.cli.common import print_facts, print_json, print_table, say
from slakh_hier.cli.options import format_option
from slakh_hier.wording import channel_word, typed

SHOWN_ABOVE = ("plan", "masks", "sample_rate", "channels", "clip_seconds", "dtype")


@command()
@click.argument("shards", type=click.Path())
@data_option("--split", shell_complete=completion.splits, help="Count the nodes of this split only.")
@format_option
def inspect(shards: str, split: str | None, output_format: str) -> None:
    """Show what the shard set SHARDS holds: splits, nodes, masks, and what it was made with.

    --format csv prints the nodes only.
    """
    from slakh_hier.shards.inspect import summary

    found = summary(shards, split=split)
    if output_format == "json":
        print_json(found)
    elif output_format == "csv":
        print_table(found["nodes"], output_format)
    else:
        _show(found, split)


def _show(found: dict[str, Any], split: str | None) -> None:
    seconds, rate = found["clip_seconds"], found["sample_rate"]
    say(
        f"{found['folder']}: {found['clips']:,} clips of {seconds:g} s ({found['hours']:.2f} h) at {rate:,} Hz, "
        f"{channel_word(found['channels'])}, {found['dtype']}, {found['shards']:,} shards, {found['bytes'] / 1e6:,.1f} MB"
    )
    if found["failures"]:
        say(f"Clips left out because a stem could not be read (see failures.jsonl): {found['failures']:,}")
    say()
    print_table(found["splits"], title="Splits", secondary=("shards", "queries", "tracks"))
    depths: dict[str, int] = {}
    rows = []
    for node in found["nodes"]:
        depths[node["node"]] = depths.get(node["parent"], -1) + 1
        rows.append({**node, "node": "  " * depths[node["node"]] + node["node"]})
        del rows[-1]["parent"]
    where = "all splits" if split is None else split
    print_table(
        rows,
        title=f"Nodes: clips in which each sounds, is silent, is absent ({where})",
        secondary=("level", "target", "absent", "silent"),
    )
    if found["masks"]:
        print_table(found["masks"], title="Masks", secondary=mask.MINOR)
    else:
        say(f"No masks (add one with: {typed('mask', found['folder'], '--add', 'leaf-50')})\n")
    made = {**found["parameters"], "tool version": found["tool_version"], "plan digest": found["plan_digest"]}
    flat = {name: value for name, value in _flat(made).items() if name not in SHOWN_ABOVE}
    say("Made with")
    print_facts(flat)


def _flat(values: dict[str, Any], above: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{above}{name}.")
        elif isinstance(value, list):
            flat[above + name] = ", ".join(map(str, value)) or "-"
        else:
            flat[above + name] = "-" if value is None else str(value)
    return flat
