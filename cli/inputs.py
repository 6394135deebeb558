"""Steps that the commands from catalog to shards share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from slakh_hier.cli.common import bars, note, note_all
from slakh_hier.wording import counted, some

if TYPE_CHECKING:
    from slakh_hier.plan import Plan
    from slakh_hier.slakh import Catalog

_MOST_NODES = 20
"""Nodes that no song has are named one by one up to this number."""


def load_catalog(slakh: str, options: dict[str, Any], jobs: int) -> Catalog:
    """The catalog of a data set: scanned now, or read from a file.

    Parameters
    ----------
    options
        Those of a command, of which the ones of :data:`~slakh_hier.cli.options.catalog_options` are taken out.
    """
    from slakh_hier.hierarchy import load_hierarchy
    from slakh_hier.slakh import Catalog, scan

    tree, file = load_hierarchy(options.pop("hierarchy")), options.pop("catalog")
    how = {name: options.pop(name) for name in ("split_scheme", "errata", "follow_links")}
    if file is None:
        return scan(slakh, tree, **how, jobs=jobs, progress=bars())
    if how["split_scheme"] is not None:
        raise click.UsageError(
            "--split-scheme belongs to a scan; the file given with --catalog has its splits"
        )
    return Catalog.load(file, slakh, tree, follow_links=how["follow_links"])


def draw_plan(slakh: str, *, any_target: bool, clips: str, jobs: int, **parameters: Any) -> Plan:
    """Scan, measure where needed, and draw.

    ``parameters`` are the catalog's options, as for :func:`load_catalog`, and those of :func:`~slakh_hier.plan.plan_clips`.
    """
    from slakh_hier.plan import parse_clips, plan_clips

    if parameters["target"] is not None and any_target:
        raise click.UsageError("--target and --any exclude each other")
    if parameters["target"] is not None and parameters["query_levels"] is not None:
        raise click.UsageError("--target names the node; --query-levels belongs to --any")
    if parameters["salience_db"] is not None and parameters["salience_below_mix"] is not None:
        raise click.UsageError("--salience-db and --salience-below-mix exclude each other")
    wanted = parse_clips(clips)
    stems = load_catalog(slakh, parameters, jobs)
    return plan_clips(stems, stems.hierarchy, clips=wanted, jobs=jobs, progress=bars(), **parameters)


def note_left_out(catalog: Catalog) -> bool:
    """Say on stderr what of the data set is missing or broken; True when there is anything."""
    for problem in catalog.skipped:
        note(f"left out: {problem}")
    stems = catalog.left_out()
    rest = "stems; `slakh-hier scan` lists them"
    found = [note_stems(stems, status, f" {status} {rest}") for status in ("missing", "broken")]
    return any(found) or bool(catalog.skipped)


def note_stems(left_out: Sequence[Mapping[str, str]], status: str, rest: str) -> bool:
    """Say on stderr which stems have a status, and why, as :func:`note_all`; True when there are any."""
    lines = [
        f"{status}: {row['track']}/{row['stem']}: {row['why']}" for row in left_out if row["status"] == status
    ]
    note_all(lines, rest)
    return bool(lines)


def note_folding(plan: Plan) -> None:
    """Say on stderr which nodes of stereo tracks lose much where they are folded down to mono."""
    from slakh_hier.plan.folding import HEAVY_LOSS_DB

    what = "costs" if plan.parameters.channels == 1 else "would cost"
    for loss in plan.folding:
        worst = "all of it" if loss.worst_db is None else f"{loss.worst_db:g} dB"
        note(
            f"note: one channel {what} {loss.node} more than {HEAVY_LOSS_DB:g} dB in {loss.heavy} of {counted(loss.tracks, 'track')} "
            f"(the most in {loss.worst_track}: {worst})"
        )


def note_short(plan: Plan) -> bool:
    """Say on stderr in which splits fewer clips than asked for were drawn, and why; True when there are any."""
    for split, (drawn, asked) in plan.short.items():
        note(f"warning: {split}: only {drawn} of {asked} clips drawn")
        reports = [report for report in plan.reports if report.split == split and report.reason]
        # Of a large taxonomy most nodes are in no song.
        silent = [report.node for report in reports if not report.songs]
        listed = [report for report in reports if report.songs or len(silent) <= _MOST_NODES]
        for report in listed:
            note(
                f"  {report.node}: {counted(report.drawn, 'clip')}, {counted(report.songs, 'song')}: {report.reason}"
            )
        if len(listed) < len(reports):
            note(f"  {len(silent)} nodes in no song, or nowhere loud enough: {some(silent)}")
        if not reports:
            note("  the data set has no track of this split")
        for rule in plan.kept_out(split):
            note(f"  {rule}")
    return bool(plan.short)
