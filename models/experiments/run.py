"""Run an experiment: the cells that are not there yet, then the results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from slakh_hier.errors import InputError, SlakhHierError
from slakh_hier.files import make_own_folder
from slakh_hier.models.config_file import load_config
from slakh_hier.models.experiments.cell import RUNS, Cell, run_cell
from slakh_hier.models.experiments.grid import cell_config, cell_task, load_grid
from slakh_hier.models.experiments.inputs import check_shards, shards_by_task
from slakh_hier.models.experiments.processes import run_in_processes
from slakh_hier.models.experiments.results import results
from slakh_hier.models.experiments.writing import write_results
from slakh_hier.models.training import Report
from slakh_hier.paths import StrPath
from slakh_hier.progress import Wanted, shown
from slakh_hier.scores.experiment import Results
from slakh_hier.wording import did_you_mean


@dataclass(frozen=True)
class Outcome:
    """What a call of :func:`run_experiment` came to."""

    results: Results
    files: tuple[Path, ...]
    """Where they were written."""
    failed: dict[str, str]
    """By ``CELL, seed N``: why a cell could not be finished. The others are done."""


def run_experiment(
    name: str,
    shards: Sequence[StrPath],
    out: StrPath,
    *,
    config: StrPath | None = None,
    preset: str | None = None,
    settings: Sequence[str] = (),
    node: str | None = None,
    seeds: int = 1,
    cells: Sequence[str] = (),
    jobs: int = 1,
    gpus: Sequence[str] = (),
    progress: Wanted = None,
    report: Report | None = None,
) -> Outcome:
    """Train and test what is missing of an experiment, then write its results.

    Runs go to ``OUT/runs/CELL/seed-N``, where all experiments share them; results to ``OUT/NAME``. The same call
    again resumes where it was stopped.

    Parameters
    ----------
    name
        ``hc``, ``levels`` or ``reduction``.
    shards
        Shard sets: one for a target (SSS), one with queries (QBE), as far as the experiment needs them.
    config, preset, settings
        As for :func:`~slakh_hier.models.config_file.load_config`; what a cell sets itself wins.
    node
        SSS: the node whose path is separated; None: the one the shards were rendered for.
    seeds
        Repetitions, with the configuration's ``training.seed`` and the numbers after it.
    cells
        Only these; none: all.
    jobs
        Cells at a time, each in a process of its own; 1: one after another in this process.
    gpus
        Share out these GPUs over the processes.

    Raises
    ------
    InputError
        The shards or names do not fit, or a run folder holds something else; nothing was trained.
    """
    say = report or (lambda text: None)
    every = list_cells(
        name, shards, out, config=config, preset=preset, settings=settings, node=node, seeds=seeds
    )
    wanted = _chosen(every, cells)
    by_task = {cell.config.task: cell.shards for cell in every if cell.shards is not None}
    node = next((cell.config.node for cell in wanted if cell.config.task == "sss"), None)
    check_shards(by_task, list(map(Path, shards)), list(dict.fromkeys(cell.name for cell in wanted)), node)
    states = {(cell.name, cell.seed): cell.state() for cell in wanted}
    strange = [cell for cell in wanted if states[cell.name, cell.seed] == "other"]
    if strange:
        from slakh_hier.models.run_folder import refuse_other_run

        advice = (
            f"{len(strange)} of {len(wanted)} cells differ. Give the same preset and settings again, choose another folder, "
            "or remove it"
        )
        refuse_other_run(strange[0].run, strange[0].config, advice=advice)
    missing = [cell for cell in wanted if states[cell.name, cell.seed] != "done"]
    for cell in missing:
        cell.refuse_links()
    folder = make_own_folder(Path(out) / name)
    failed: dict[str, str] = {}
    with shown(progress).stage(f"experiment {name}", len(missing), "cells") as advance:
        for cell, wrong in _run(missing, jobs, gpus, say):
            label = f"{cell.name}, seed {cell.seed}"
            if wrong is not None:
                failed[label] = wrong
            say(f"{label}: {wrong or 'done'}")
            advance(1)
    found = results(name, load_grid(name), every, preset=every[0].config.preset, settings=settings)
    return Outcome(found, write_results(folder, found), failed)


def list_cells(
    name: str,
    shards: Sequence[StrPath],
    out: StrPath,
    *,
    config: StrPath | None = None,
    preset: str | None = None,
    settings: Sequence[str] = (),
    node: str | None = None,
    seeds: int = 1,
) -> list[Cell]:
    """All cells of an experiment: those of the asked-for seeds, and finished ones of other seeds.

    Parameters as for :func:`run_experiment`.
    """
    grid, by_task = load_grid(name), shards_by_task(list(map(Path, shards)))
    tasks = dict.fromkeys(map(cell_task, grid.cells))
    base = {task: load_config(task, config, preset=preset, settings=settings) for task in tasks}
    cells = []
    for cell in grid.cells:
        task = cell_task(cell)
        first = base[task].training.seed
        asked = range(first, first + seeds)
        there = (Path(out) / RUNS / cell).glob("seed-*")
        others = {int(path.name[5:]) for path in there if path.name[5:].isdecimal()}.difference(asked)
        for seed in (*asked, *sorted(others)):
            made = Cell(cell, seed, cell_config(cell, base, seed, node), by_task.get(task), Path(out))
            if seed in asked or made.state() == "done":
                cells.append(made)
    return cells


def _chosen(every: Sequence[Cell], names: Sequence[str]) -> list[Cell]:
    known = list(dict.fromkeys(cell.name for cell in every))
    for name in names:
        if name not in known:
            raise InputError(f"there is no cell {name}: {did_you_mean(name, known)}")
    return [cell for cell in every if not names or cell.name in names]


def _run(
    cells: Sequence[Cell], jobs: int, gpus: Sequence[str], say: Report
) -> Iterator[tuple[Cell, str | None]]:
    if jobs > 1 or gpus:
        yield from run_in_processes(cells, jobs, gpus)
        return
    for cell in cells:
        say(f"{cell.name}, seed {cell.seed}")
        try:
            run_cell(cell, report=say)
        except SlakhHierError as error:
            yield cell, str(error)
        else:
            yield cell, None
