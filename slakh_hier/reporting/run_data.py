"""What a run folder tells: its configuration, its curves, its evaluation, and where its clips are."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from slakh_hier.csv_text import unguarded_frame
from slakh_hier.errors import InputError
from slakh_hier.plain_files import open_plain, read_plain

MAX_BYTES = 64 << 20


@dataclass(frozen=True)
class RunData:
    """A run folder, read.

    Attributes
    ----------
    name
        For people; differs from the other run's where two are compared.
    config
        ``config.yaml``, flat: ``training.epochs`` and so on.
    data, environment
        ``data.json`` and ``environment.json``; empty where they are missing.
    curves
        ``metrics.csv``, a row an epoch; empty before the first epoch's end.
    summary, scores
        The evaluation of the split; None where it was not evaluated.
    """

    folder: Path
    name: str
    config: dict[str, Any]
    data: dict[str, Any]
    environment: dict[str, Any]
    curves: pd.DataFrame
    split: str
    summary: dict[str, Any] | None
    scores: pd.DataFrame | None


def read_run(folder: Path, name: str, split: str) -> RunData:
    """Read a run folder.

    Raises
    ------
    InputError, ConfigError
        A file of it cannot be read.
    """
    from slakh_hier.models.config_file import leaves, read_config
    from slakh_hier.models.evaluation import FOLDER
    from slakh_hier.models.run_folder import CONFIG, DATA, ENVIRONMENT, METRICS

    config = read_config(folder / CONFIG).model_dump(mode="json")
    evaluation = folder / FOLDER
    summary = evaluation / f"{split}.json"
    scores = evaluation / f"{split}.csv"
    return RunData(
        folder=folder,
        name=name,
        config={key: _text(value) for key, value in leaves(config)},
        data=read_json(folder / DATA),
        environment=read_json(folder / ENVIRONMENT),
        curves=read_curves(folder / METRICS),
        split=split,
        summary=read_json(summary) if summary.exists() else None,
        scores=read_table(scores) if scores.exists() else None,
    )


def read_curves(path: Path) -> pd.DataFrame:
    """``metrics.csv`` of a run; empty where it is not there or holds nothing yet."""
    return read_table(path) if path.exists() and path.stat().st_size else pd.DataFrame()


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a run; empty where there is none."""
    if not path.exists():
        return {}
    try:
        value = json.loads(read_plain(path, MAX_BYTES, links=True))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: does not hold a JSON object")
    return value


def read_table(path: Path) -> pd.DataFrame:
    """A CSV file of a run."""
    try:
        with open(open_plain(path, links=True), "rb") as file:
            return unguarded_frame(pd.read_csv(file))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table: {error}") from None


def _text(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
