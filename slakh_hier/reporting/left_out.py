"""What a shard set does not hold, and why: stems, clips that could not be read, clips that could not be drawn."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any, Final

from slakh_hier.errors import SlakhHierError
from slakh_hier.output.folder import read_failures
from slakh_hier.plan.folder import CATALOG_NAME, PLAN_NAME, open_catalog, read_document, read_tree
from slakh_hier.reporting.document import Block, Section, Table
from slakh_hier.reporting.portable import portable
from slakh_hier.slakh.catalog import FROM_FILE, Catalog
from slakh_hier.slakh.catalog_file import read_rows
from slakh_hier.slakh.frame import build_frame

MOST_ROWS: Final = 200
NUMBER: Final = re.compile(r"(?<=program )\d+")
"""What makes one reason look like many; the table of the stems has it."""


def left_out(folder: Path) -> Section:
    """A section with everything that is missing from the set, as far as the files beside the shards tell."""
    text: list[str] = []
    blocks: list[Block] = []
    for part in (_stems, _failures, _short):
        try:
            some, sentence = part(folder)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, SlakhHierError) as error:
            # A page of what can be read is better than none: damage is what `verify` is for.
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            some, sentence = [], f"Not known: {portable(why, folder)}"
        blocks += some
        text.append(sentence)
    return Section("Omitted stems and clips", blocks, text)


def _stems(folder: Path) -> tuple[list[Block], str]:
    if not (folder / CATALOG_NAME).exists():
        return [], f"Stems: not known, the folder holds no {CATALOG_NAME}."
    hierarchy = read_tree(folder)
    # Not Catalog.load, which wants the data set itself to be there.
    with open_catalog(folder) as file:
        frame = build_frame(read_rows(file, str(folder / CATALOG_NAME)), hierarchy)
    stems = Catalog(folder, hierarchy, FROM_FILE, frame).left_out()
    if not stems:
        return [], f"All {len(frame):,} stems of the catalog have audio and a place in the tree."
    reasons = Counter((row["status"], NUMBER.sub("…", row["why"])) for row in stems)
    return [
        Table(
            "Stems by reason",
            [
                {"status": status, "why": why, "stems": n}
                for (status, why), n in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))[
                    :MOST_ROWS
                ]
            ],
        ),
        Table(f"Each stem{_first(stems)}", stems[:MOST_ROWS], folded=True),
    ], (
        f"{len(stems):,} of {len(frame):,} stems of the catalog are not sources. Unassigned ones stay in the mixture "
        "where the tree keeps them."
    )


def _failures(folder: Path) -> tuple[list[Block], str]:
    # Lines without a clip are stems that the plan was drawn without, which the catalog lists.
    clips = [failure for failure in read_failures(folder) if "target" in failure]
    if not clips:
        return [], "No clip failed while rendering."
    columns = ("split", "track", "start", "target", "stem", "reason")
    rows = [{name: clip[name] for name in columns} for clip in clips]
    title = f"Clips that failed{_first(rows)}"
    return [
        Table(title, rows[:MOST_ROWS])
    ], f"{len(rows):,} clips are missing because a stem could not be read."


def _short(folder: Path) -> tuple[list[Block], str]:
    if not (folder / PLAN_NAME).exists():
        return [], f"Clips that could not be drawn: not known, the folder holds no {PLAN_NAME}."
    reports = [report for report in read_document(folder)["nodes"] if report["reason"]]
    if not reports:
        return [], "Every node gave the clips that were asked of it."
    rows = [
        {
            "split": r["split"],
            "node": r["node"],
            "clips": r["drawn"],
            "candidates": r["candidates"],
            "songs": r["songs"],
            "reason": r["reason"],
        }
        for r in reports
    ]
    return [
        Table("Nodes with fewer clips", rows)
    ], f"{len(rows):,} nodes gave fewer clips than were asked for."


def _first(rows: list[dict[str, Any]]) -> str:
    return f" (the first {MOST_ROWS:,} of {len(rows):,})" if len(rows) > MOST_ROWS else ""
