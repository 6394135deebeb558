"""Evaluate a separator on a split: SI-SDR at each level, beside the unprocessed mixture and ideal masks."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from slakh_hier.csv_text import guarded_frame
from slakh_hier.display import Shown
from slakh_hier.errors import InputError, SlakhHierWarning
from slakh_hier.files import make_folder, publish, publish_json, refuse_link
from slakh_hier.models.batches import InOrder
from slakh_hier.models.data import ClipDataset, Key
from slakh_hier.models.metrics import METRICS, measure
from slakh_hier.models.reader import Reader
from slakh_hier.models.references import oracle
from slakh_hier.models.selection import NO_COLUMN, select_clips
from slakh_hier.models.separation import Device, pick_device
from slakh_hier.models.separator import Separator
from slakh_hier.models.stored import Batch, signals_of
from slakh_hier.models.summary import entries_by_level, entries_by_node
from slakh_hier.models.weights import About, Trained, load_weights
from slakh_hier.parallel import run as run_tasks
from slakh_hier.paths import StrPath
from slakh_hier.progress import Wanted, shown
from slakh_hier.scores.summary import PRIMARY, MetricAbout, Summary, column
from slakh_hier.shards.format import SILENT
from slakh_hier.shards.read import open_shards
from slakh_hier.wording import channel_word

Row = dict[str, Any]
TASK_CLIPS, CPU_BATCH = 8, 4
"""Clips of a task and of a batch on a CPU: fixed, so that results do not depend on the number of jobs."""
SAME_DB = 60.0
"""A mixture with a higher SI-SDR (dB) is the node and nothing else: what differs is rounding to 16 bits."""
FOLDER = "evaluation"


@dataclass(frozen=True, repr=False)
class Evaluation(Shown):
    """Results, and the table behind them.

    ``scores`` has one row per clip and level: clip, id, track, song, level, node, counted, dropped, and for each metric of
    :data:`~slakh_hier.models.metrics.METRICS` the columns ``METRIC_mixture``, ``METRIC_estimate``,
    ``METRIC_improvement`` and ``METRIC_oracle``, or ``METRIC_estimate`` alone for those taken where a node is silent.
    """

    summary: Summary
    scores: pd.DataFrame
    files: tuple[Path, ...]


def evaluate(
    run: StrPath,
    shards: StrPath,
    *,
    split: str = "test",
    out: StrPath | None = None,
    jobs: int | None = None,
    device: Device = "auto",
    devices: int = 1,
    batch_size: int = 25,
    progress: Wanted = None,
) -> Evaluation:
    """Measure a trained separator and write ``SPLIT.json`` and ``SPLIT.csv``.

    SI-SDR counts the clips in which the target sounds, as in training, at its level and above. Clips in which it is silent,
    values that are not finite (a silent estimate), and levels at which the mixture is the node itself, whose SI-SDR
    would be infinite but for rounding and outweigh all others in a mean, are dropped and counted. SSS: in the
    split's other clips the energy is measured that leaks into the estimates of nodes which are silent or absent.

    Parameters
    ----------
    run
        A run folder.
    shards
        A shard set with the separator's sample rate and nodes; masks are ignored.
    split
        Which split.
    out
        Folder for the results; None: ``RUN/evaluation``.
    jobs
        Threads; None or 0: one per CPU core. The results do not depend on it. Not used with a GPU.
    device
        ``auto``: a GPU where there is one.
    devices
        GPUs that work side by side; the results do not depend on it. Not more than one without GPUs, where ``jobs`` counts.
    batch_size
        Clips at a time on a GPU.
    progress
        Shows clips, and what is fetched.

    Raises
    ------
    InputError
        The run holds no separator, the shards do not fit it, there are not as many GPUs, or ``RUN/evaluation`` is a
        symbolic link.
    """
    gpus = _gpus(device, devices)
    trained = load_weights(run)
    folder = Path(out) if out is not None else refuse_link(trained.folder / FOLDER)
    dataset = _dataset(trained, shards, split, progress)
    total, rows = len(dataset), []
    with shown(progress).stage(f"evaluating {split}", total, "clips") as advance:
        if gpus:
            for some in _score_batches(trained, dataset, batch_size, gpus):
                rows.extend(some)
                advance(_clips(some))
        else:
            tasks = {
                f"clips {begin} to {min(begin + TASK_CLIPS, total) - 1}": (trained, dataset, begin)
                for begin in range(0, total, TASK_CLIPS)
            }
            # Threads, not processes: the work is PyTorch's, which leaves Python's lock, and importing PyTorch into
            # each process would take longer than a small evaluation.
            with _restored_threads():
                for result in run_tasks(_score_task, tasks, jobs=jobs, backend="threading"):
                    some = result.unwrap()
                    rows.extend(some)
                    advance(_clips(some))
    scores = pd.DataFrame(rows).sort_values(["clip", "level"], kind="stable").reset_index(drop=True)
    about = {"split": split, "shards": str(shards), "plan_digest": dataset.shards.index.plan_digest}
    metrics = {name: metric.about for name, metric in METRICS.items()}
    return published(folder, split, trained.about, scores, metrics, about)


def published(
    folder: Path,
    name: str,
    separator: About,
    scores: pd.DataFrame,
    metrics: Mapping[str, MetricAbout],
    about: Mapping[str, Any],
) -> Evaluation:
    """Write ``NAME.json`` and ``NAME.csv`` of an evaluation.

    Parameters
    ----------
    separator
        What its ``weights.json`` says.
    scores
        One row per clip (or song) and level; see :class:`Evaluation`.
    metrics
        By name, those that ``scores`` has.
    about
        Fields of the summary: what was evaluated.
    """
    by_level, all_levels = entries_by_level(scores, separator.levels, metrics)
    summary = Summary(
        task=separator.config.task,
        step=separator.step,
        songs=int(scores["song"].nunique()),
        metrics=dict(metrics),
        levels=by_level,
        all_levels=all_levels,
        nodes=entries_by_node(scores, metrics),
        **about,
    )
    make_folder(folder)
    files = (folder / f"{name}.json", folder / f"{name}.csv")
    publish(files[1], guarded_frame(scores).to_csv(index=False, lineterminator="\n").encode())
    publish_json(files[0], summary.model_dump(mode="json", by_alias=True))
    return Evaluation(summary, scores, files)


def _gpus(device: Device, devices: int) -> list[torch.device]:
    """The GPUs to use; none means the CPU."""
    if pick_device(device).type == "cpu":
        if devices != 1:
            raise InputError(
                f"{devices} devices are {devices} GPUs, but this evaluation uses none; on a CPU, -j is the number of threads"
            )
        return []
    there = torch.cuda.device_count()
    if not 1 <= devices <= there:
        raise InputError(f"{devices} devices were asked for; there are 1 to {there}")
    return [torch.device("cuda", number) for number in range(devices)]


def _dataset(trained: Trained, folder: StrPath, split: str, progress: Wanted) -> ClipDataset:
    about, shards = trained.about, open_shards(folder, split, progress=progress)
    if shards.sample_rate != about.sample_rate:
        raise InputError(
            f"{folder}: its audio has {shards.sample_rate} Hz, but {trained.folder} was trained at "
            f"{about.sample_rate} Hz; render a set with --sample-rate {about.sample_rate}"
        )
    if trained.separator.channels not in (None, shards.channels):
        raise InputError(
            f"{folder}: its audio is {channel_word(shards.channels)}, but {trained.folder} was trained on "
            f"{channel_word(about.channels)} and sees all channels at once; render a set with --channels {about.channels}"
        )
    if shards.index.hierarchy_digest != about.hierarchy_digest:
        warnings.warn(
            f"{folder} was rendered with another tree than the separator's training data; nodes are taken by name",
            SlakhHierWarning,
            stacklevel=3,
        )
    task = about.config.task
    # Where the target sounds in no clip there is nothing to evaluate: that is an error, as in training.
    select_clips(shards, task, node=about.node, levels=about.levels)
    return ClipDataset(
        shards, select_clips(shards, task, node=about.node, levels=about.levels, sounding=task == "qbe")
    )


def _clips(rows: Sequence[Row]) -> int:
    return len({row["clip"] for row in rows})


def _score_task(trained: Trained, dataset: ClipDataset, begin: int) -> list[Row]:
    # One thread per job: sums then do not depend on how many jobs share the machine.
    torch.set_num_threads(1)
    rows: list[Row] = []
    end = min(begin + TASK_CLIPS, len(dataset))
    for first in range(begin, end, CPU_BATCH):
        batch = dataset.batch([Key(0, place) for place in range(first, min(first + CPU_BATCH, end))])
        rows += _rows(trained, dataset, batch, _measure(trained.separator, batch))
    return rows


def _score_batches(
    trained: Trained, dataset: ClipDataset, batch_size: int, devices: Sequence[torch.device]
) -> Iterator[list[Row]]:
    """On GPUs: large batches are read ahead, and the devices process them side by side."""
    separators = [copy.deepcopy(trained.separator).to(device) for device in devices]
    read = partial(dataset.stored, pinned=devices[0].type == "cuda")
    batches = iter(Reader(read, InOrder(len(dataset), batch_size)))
    while some := list(islice(batches, len(devices))):
        # A GPU's work is only queued here, so that all have some before the first is waited for.
        measured = [
            _measure(separator, signals_of(_moved(batch, device)))
            for batch, separator, device in zip(some, separators, devices, strict=False)
        ]
        for batch, values in zip(some, measured, strict=True):
            yield _rows(trained, dataset, batch, values)


def _moved(batch: Batch, device: torch.device) -> Batch:
    return {k: v.to(device, non_blocking=True) if torch.is_tensor(v) else v for k, v in batch.items()}


@torch.inference_mode()
def _measure(separator: Separator, batch: Batch) -> dict[str, torch.Tensor]:
    """By column, values (clips, levels) of every level, whether they mean something or not."""
    mixture, sources = batch["signals"][:, 0], batch["signals"][:, 1:]
    mixtures = mixture.unsqueeze(1)
    signals = {
        "mixture": mixtures.expand_as(sources),
        "estimate": separator(mixture, batch.get("query")),
        "oracle": oracle(separator.stft, mixture, sources),
    }
    return {
        column(name, part): measure(name, signals[part], sources, mixtures)
        for name, metric in METRICS.items()
        for part in metric.about.parts
        if part in signals
    }


def _rows(
    trained: Trained, dataset: ClipDataset, batch: Batch, measured: dict[str, torch.Tensor]
) -> list[Row]:
    """A row per clip and level from its target's up, with the values that mean something."""
    shards = dataset.shards
    values = {name: tensor.tolist() for name, tensor in measured.items()}
    deciding = [column(PRIMARY, part) for part in ("mixture", "estimate", "oracle")]
    rows = []
    for place, clip in enumerate(batch["clip"].tolist()):
        at = np.searchsorted(dataset.selection.clips, clip)
        path = dataset.selection.columns[at].tolist()
        about = shards.clips.iloc[clip]
        target = shards.node(trained.about.node) if trained.about.node else dataset.selection.finest[at]
        sounds = bool(shards.row[clip, target] >= 0)
        for level, node in enumerate(path):
            if node == NO_COLUMN:
                continue
            row = int(shards.row[clip, node])
            score = {name: value[place][level] for name, value in values.items()}
            measurable = all(math.isfinite(score[name]) for name in deciding) and score[deciding[0]] < SAME_DB
            counted = sounds and row >= 0 and measurable
            rows.append(
                {
                    "clip": clip,
                    "id": batch["id"][place],
                    "track": about["track"],
                    "song": about["song"],
                    "level": trained.about.levels[level],
                    "node": shards.nodes[node].name,
                    "counted": counted,
                    "dropped": row == SILENT or (sounds and row >= 0 and not measurable),
                    **_scores(score, counted=counted, silent=row < 0),
                }
            )
    return rows


def _scores(score: dict[str, float], *, counted: bool, silent: bool) -> dict[str, float]:
    """Every metric's values of a clip and level; NaN where they mean nothing."""
    found: dict[str, float] = {}
    for name, metric in METRICS.items():
        about = metric.about
        means = counted if about.where == "sounding" else silent
        for part in about.parts:
            value = score.get(column(name, part), math.nan)
            if part == "improvement":
                value = about.improvement(score[column(name, "estimate")], score[column(name, "mixture")])
            found[column(name, part)] = value if means else math.nan
    return found


@contextmanager
def _restored_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
