"""The runs behind an experiment: where they lie, their curves, their scores, and the clips of the main ones."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pandas as pd

from slakh_hier.csv_text import read_frame
from slakh_hier.errors import MissingExtraError, SlakhHierError
from slakh_hier.reporting.document import Block, Facts, Links, Section, Table
from slakh_hier.reporting.node_scores import improvements, rows_of, scored_nodes
from slakh_hier.reporting.portable import portable
from slakh_hier.reporting.run_clips import run_player
from slakh_hier.reporting.run_data import DataNote, RunData, read_note, read_run
from slakh_hier.reporting.tree_figures import TreeRow
from slakh_hier.scores.curves import read_curves
from slakh_hier.scores.experiment import Cell, Results, Row
from slakh_hier.scores.summary import PRIMARY, column
from slakh_hier.shards.index import read_index

SPLIT: Final = "test"
SCORES: Final = Path("evaluation") / f"{SPLIT}.csv"
PAGE: Final = "report.html"


@dataclass(frozen=True)
class Runs:
    """The cells of an experiment and their folders; ``folder`` is the experiment's."""

    folder: Path
    cells: Sequence[Cell]

    def of(self, row: Row, cell: str | None = None) -> list[Path]:
        """Folders of a row's runs, or of one cell's, in the order of cells and seeds."""
        names = row.trainings if cell is None else [cell]
        found = [self.inside(one.run) for name in names for one in self.cells if one.name == name]
        return [run for run in found if run is not None]

    def inside(self, run: str) -> Path | None:
        """The folder of a run, if there is one inside the experiment's folder or the one above."""
        for above in (self.folder.resolve(), self.folder.resolve().parent):
            path = (above / run).resolve()
            if run and path.is_dir() and path != above and path.is_relative_to(above):
                return path
        return None

    def curves(self, row: Row) -> dict[str, list[pd.DataFrame]]:
        """By cell, the curves of its seeds; cells without any are left out."""
        found = {
            cell: [table for run in self.of(row, cell) if len(table := read_curves(run / "metrics.csv"))]
            for cell in row.trainings
        }
        return {cell: tables for cell, tables in found.items() if tables}

    def scores(self, row: Row, metric: str = PRIMARY) -> list[pd.DataFrame]:
        """The test clips of every run of a row that was evaluated with a metric."""
        tables = [read_frame(run / SCORES) for run in self.of(row) if (run / SCORES).exists()]
        return [table for table in tables if column(metric, "improvement") in table]

    def nodes(self, rows: Sequence[Row]) -> list[TreeRow]:
        """The nodes that runs of some rows were evaluated on, in the order of their tree."""
        runs = [run for row in rows for run in self.of(row)]
        sets = dict.fromkeys(read_note(run / "data.json", DataNote).folder for run in runs)
        return rows_of(scored_nodes(table for row in rows for table in self.scores(row)), list(sets))


def pooled(tables: Sequence[pd.DataFrame], metric: str = PRIMARY) -> dict[str, list[float]]:
    """Improvements by node, of all cells and seeds together."""
    found: dict[str, list[float]] = {}
    for table in tables:
        for node, values in improvements(table, metric).items():
            found.setdefault(node, []).extend(values)
    return found


def clip_sections(results: Results, runs: Runs, shards: Path | None) -> Iterator[Section]:
    """For each task a player: the main row's clips with its first seed's estimates.

    The main row is the one model for the most levels with all ground truth (of several the last: the one under test).
    """
    try:
        main: dict[str, tuple[int, str, RunData]] = {}
        for row in (row for table in results.tables for row in table.rows):
            folders = [run for run in runs.of(row) if (run / SCORES).exists()]
            if row.cells is None or row.mask or len(row.trainings) != 1 or not folders:
                continue
            run = read_run(folders[0], row.model, SPLIT)
            levels, task = len(row.cells), str(run.config["task"])
            if task not in main or levels >= main[task][0]:
                main[task] = (levels, f"{row.trainings[0]}/{folders[0].name}", run)
        for task, (_, where, run) in main.items():
            given = shards if shards is not None and _is_of(shards, run) else None
            player, why_not = run_player([run], given)
            text = [f"Estimates of {run.name} ({where})."] + ([why_not] if why_not else [])
            if player or why_not:
                yield Section(f"Clips, {task.upper()}", [player] if player else [], text)
    except MissingExtraError as error:
        yield Section("Clips", text=[f"Not shown: {portable(str(error))}"])
    except SlakhHierError as error:
        why = portable(str(error).splitlines()[0], runs.folder)
        yield Section("Clips", text=[f"Not shown: {why}"])


def _is_of(shards: Path, run: RunData) -> bool:
    return run.summary is not None and read_index(shards).plan_digest == run.summary.plan_digest


def run_section(runs: Runs, page: Path | None) -> Section:
    """How far the runs are, where they lie, and how to make a page of one."""
    states = pd.Series([cell.state for cell in runs.cells]).value_counts()
    blocks: list[Block] = [Facts({str(state) or "unknown": int(count) for state, count in states.items()})]
    rows = [{"cell": c.name, "seed": c.seed, "state": c.state, "folder": c.run} for c in runs.cells]
    blocks.append(Table("All runs", rows, folded=True, layout="first"))
    links: list[tuple[str, str | None]] = []
    text: list[str] = []
    for cell in runs.cells:
        run = runs.inside(cell.run)
        if run is not None and not text:
            text = [
                f"A page of one of them, from the folder of the experiments: slakh-hier report {cell.run} -o run.html"
            ]
        if run is not None and page is not None and (run / PAGE).is_file():
            # "./" before it: whatever a folder is called, the address cannot begin with a scheme.
            target = "./" + quote(os.path.relpath(run / PAGE, page.resolve().parent))
            links.append((f"{cell.name}, seed {cell.seed}", target))
    if links:
        blocks.append(Links(links))
    return Section("Runs", blocks, text)
