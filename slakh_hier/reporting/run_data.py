"""What a run folder tells: its configuration, its curves, its evaluation, and where its clips are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from slakh_hier.checked_json import read_model
from slakh_hier.csv_text import read_frame
from slakh_hier.scores.curves import read_curves
from slakh_hier.scores.summary import Summary, read_summary

_Note = TypeVar("_Note", bound="Note")


class Note(BaseModel):
    """What is shown of a JSON file of a run; what else it says is ignored."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)


class SplitNote(Note):
    """A split that the training used."""

    clips: int
    hours: float


class DataNote(Note):
    """Of ``data.json``: where the shards of the training were, and what is separated."""

    shards: str | None = None
    names: list[str] = []
    splits: dict[str, SplitNote] = {}

    @property
    def folder(self) -> Path | None:
        """The folder of the shards, where it is one on this machine.

        An address is never fetched, nor a path looked at that depends on where the command runs: the run folder may be
        untrusted.
        """
        folder = None if self.shards is None else Path(self.shards)
        return folder if folder is not None and folder.is_absolute() and folder.is_dir() else None


class EnvironmentNote(Note):
    """Of ``environment.json``: on what a training ran."""

    devices: list[str] = []
    version: str | None = Field(None, alias="slakh-hier")


@dataclass(frozen=True)
class RunData:
    """A run folder, read."""

    folder: Path
    name: str
    """For people; differs from the other run's where two are compared."""
    config: dict[str, Any]
    """``config.yaml``, flat: ``training.epochs`` and so on."""
    data: DataNote
    environment: EnvironmentNote
    """``data`` and ``environment``: ``data.json`` and ``environment.json``; without values where they are missing."""
    curves: pd.DataFrame
    """``metrics.csv``, one row per epoch; empty before the first epoch's end."""
    split: str
    summary: Summary | None
    scores: pd.DataFrame | None
    """``summary`` and ``scores``: the evaluation of the split; None where it was not evaluated."""


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
        data=read_note(folder / DATA, DataNote),
        environment=read_note(folder / ENVIRONMENT, EnvironmentNote),
        curves=read_curves(folder / METRICS),
        split=split,
        summary=read_summary(summary) if summary.exists() else None,
        scores=read_frame(scores) if scores.exists() else None,
    )


def read_note(path: Path, kind: type[_Note]) -> _Note:
    """A JSON file of a run; without values where there is none. InputError where a value is of another type."""
    return read_model(path, kind) if path.exists() else kind()


def _text(value: Any) -> Any:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
