"""One training of an experiment: where it lies, how far it is, and doing what is still missing."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slakh_hier.csv_text import read_frame
from slakh_hier.errors import InputError, SlakhHierError
from slakh_hier.files import refuse_link
from slakh_hier.models.config import Config
from slakh_hier.models.config_file import lasting, read_config
from slakh_hier.models.training import Report
from slakh_hier.plain_files import parse_json, read_plain
from slakh_hier.progress import Wanted
from slakh_hier.scores.experiment import State
from slakh_hier.scores.summary import read_summary
from slakh_hier.shards.index import read_index

RUNS = "runs"
SPLIT = "test"
_MAX_JSON = 1 << 24


@dataclass(frozen=True)
class Cell:
    """One training: a cell of the grid with one seed, on the shards of its task."""

    name: str
    seed: int
    config: Config = field(hash=False)
    shards: Path | None
    """None: not at hand, and the cell cannot be run."""
    folder: Path
    """Where all experiments of the user keep their runs (``-o``)."""

    @property
    def run(self) -> Path:
        """The run folder."""
        return self.folder / RUNS / self.name / f"seed-{self.seed}"

    @property
    def scores(self) -> Path:
        """The table of the test clips, beside its summary (``.json``)."""
        return self.run / "evaluation" / f"{SPLIT}.csv"

    def state(self) -> State:
        """``done`` (trained and evaluated), ``incomplete``, ``missing``, or ``other``: the folder holds another run."""
        if not (self.run / "config.yaml").exists():
            return "missing"
        try:
            before = read_config(self.run / "config.yaml")
        except SlakhHierError:
            return "other"
        if lasting(before) != lasting(self.config):
            return "other"
        trained = before.training.epochs == self.config.training.epochs
        return "done" if trained and self._evaluated() else "incomplete"

    def _evaluated(self) -> bool:
        """Whether the results are of these weights and these shards."""
        try:
            summary = read_summary(self.scores.with_suffix(".json"))
            about = _json(self.run / "weights.json")
            epochs = read_frame(self.run / "metrics.csv")["epoch"].max()
            return bool(
                self.scores.exists()
                and summary.step == about["step"]
                and self.shards is not None
                and summary.plan_digest == read_index(self.shards).plan_digest
                and epochs >= self.config.training.epochs
            )
        except (InputError, OSError, ValueError, KeyError, TypeError):
            return False

    def refuse_links(self) -> None:
        """Raise :class:`InputError` where a folder in which this cell writes is a symbolic link."""
        for folder in (self.run.parent.parent, self.run.parent, self.run):
            refuse_link(folder)


def _json(path: Path) -> Any:
    return parse_json(read_plain(path, _MAX_JSON, links=True))


def run_cell(
    cell: Cell,
    *,
    cores: int | None = None,
    progress: Wanted = None,
    report: Report | None = None,
) -> None:
    """Train and evaluate a cell, or what of it is missing.

    Parameters
    ----------
    cores
        Threads of the evaluation where the configuration sets none: other cells may run beside this one. None: one
        per CPU core.

    Raises
    ------
    SlakhHierError
        As :func:`~slakh_hier.models.training.train` and :func:`~slakh_hier.models.evaluation.evaluate` do.
    """
    if cell.state() == "done":
        return
    if cell.shards is None:
        raise InputError(f"{cell.name}: there are no shards for its task")
    from slakh_hier.models.evaluation import evaluate
    from slakh_hier.models.separation import Device
    from slakh_hier.models.training import train

    train(cell.config, cell.shards, cell.run, progress=progress, report=report)
    device: Device = "cpu" if cell.config.hardware.accelerator == "cpu" else "auto"
    evaluate(
        cell.run,
        cell.shards,
        split=SPLIT,
        jobs=cell.config.hardware.threads or cores,
        device=device,
        progress=progress,
    )
