"""One task of a rendering: one shard, from its list of clips to the finished file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slakh_hier.audio import StemRef
from slakh_hier.errors import AudioError
from slakh_hier.files import publish, sha256
from slakh_hier.locks import Owner
from slakh_hier.plan.layout import column_membership
from slakh_hier.plan.reductions import Reduction, availability
from slakh_hier.rendering.signals import NodeSignals, TrackReader, rms_of
from slakh_hier.shards.format import ShardHeader
from slakh_hier.shards.index import ShardRecord
from slakh_hier.shards.write import ShardBuilder


@dataclass(frozen=True)
class Failure:
    """A clip that was left out, and why."""

    split: str
    track: str
    start: float
    target: str
    stem: str
    reason: str


@dataclass(frozen=True)
class ShardTask:
    """All that a worker needs to render one shard; small, since it is pickled.

    Attributes
    ----------
    clips
        The shard's rows of the plan.
    stems
        Catalog rows (usable ones) of every track in ``clips``, as mixture or as query.
    withheld
        By reduction, bool (clips,): clips of this shard without ground truth.
    skip_broken
        Leave out clips with a stem that cannot be decoded, instead of stopping.
    owner
        The run without which nothing is to be published; see :func:`slakh_hier.files.publish`.
    """

    header: ShardHeader
    file: str
    clips: pd.DataFrame
    stems: pd.DataFrame
    withheld: Mapping[Reduction, NDArray[np.bool_]]
    root: str
    folder: str
    skip_broken: bool
    owner: Owner


@dataclass(frozen=True)
class ShardDone:
    """What a worker returns: the shard's index entry and what it left out."""

    record: ShardRecord
    failures: list[Failure] = field(default_factory=list)


def render_shard(task: ShardTask) -> ShardDone:
    """Render one shard and publish it under its final name.

    Raises
    ------
    AudioError
        A stem cannot be decoded and ``skip_broken`` is off; nothing is published.
    FaultError
        The disk is full.
    """
    header = task.header
    kept: list[int] = []
    failures: list[Failure] = []
    builder = ShardBuilder(header, task.clips)
    last: NodeSignals | None = None
    for index, nodes, query in _clips(task, failures):
        kept.append(index)
        if nodes is not last:  # clips that differ in their target only share their rows
            rows = [builder.add_signal(signal) for signal in nodes.signals]
            levels = [rms_of(signal) for signal in nodes.signals]
            last = nodes
        for column, place in enumerate(nodes.place):
            if place >= 0:
                builder.set(index, column, rows[place], levels[place])
            elif place == -2:
                builder.set(index, column, -2, -np.inf)
        if query is not None:
            builder.set_query(index, builder.add_signal(query))
    if failures:
        builder.keep(kept)
    column_levels = np.array([column.level for column in header.columns], np.int8)
    masks = {
        reduction: availability(reduction, flags[kept], column_levels)
        for reduction, flags in task.withheld.items()
    }
    image = builder.finish(masks)
    record = ShardRecord(
        file=task.file,
        split=header.split,
        clips=len(kept),
        rows=builder.rows,
        bytes=image.nbytes,
        sha256=sha256(image),
        first_clip=header.first_clip,
    )
    publish(Path(task.folder) / task.file, image, owner=task.owner)
    return ShardDone(record, failures)


class _Clip(NamedTuple):
    """What of a plan's row decides its audio."""

    track: str
    start: float
    target: str
    query_track: str
    query_start: float


def _clips(
    task: ShardTask, failures: list[Failure]
) -> Iterator[tuple[int, NodeSignals, NDArray[np.float32] | None]]:
    """Signals of the shard's clips, in their order; clips of one track stand together in a plan."""
    header, root = task.header, Path(task.root)
    tables = {str(track): rows for track, rows in task.stems.groupby("track", sort=False)}
    stems_of = {track: _references(rows) for track, rows in tables.items()}
    node_of = dict(zip(_references(task.stems), task.stems["level_1"], strict=True))
    table = task.clips[list(_Clip._fields)].itertuples(index=False, name=None)
    numbered = enumerate(_Clip(*row) for row in table)
    for track, part in groupby(numbered, key=lambda item: item[1].track):
        with TrackReader(stems_of[track], column_membership(tables[track], header.columns), root) as reader:
            for index, clip in part:
                try:
                    start, count = _cut(clip.start, header, reader.sample_rate)
                    nodes = reader.clip(start, count, header.sample_rate, header.samples)
                    query = None
                    if clip.query_track:
                        asked = [s for s in stems_of[clip.query_track] if node_of[s] == clip.target]
                        query = _query(clip, asked, header, root)
                except AudioError as error:
                    if not task.skip_broken:
                        raise
                    reason = error.reason if error.track == track else f"{error.track}: {error.reason}"
                    failures.append(Failure(header.split, track, clip.start, clip.target, error.stem, reason))
                    continue
                yield index, nodes, query


def _references(table: pd.DataFrame) -> list[StemRef]:
    return [StemRef(*row) for row in table[list(StemRef._fields)].itertuples(index=False, name=None)]


def _query(clip: _Clip, stems: Sequence[StemRef], header: ShardHeader, root: Path) -> NDArray[np.float32]:
    """The target node alone, in the query's track."""
    with TrackReader(stems, np.ones((1, len(stems)), bool), root) as reader:
        start, count = _cut(clip.query_start, header, reader.sample_rate)
        nodes = reader.clip(start, count, header.sample_rate, header.samples)
    if nodes.place[0] < 0:
        reason = f"is silent at {clip.query_start} s, where the plan found it sounding; scan and plan again"
        raise AudioError(clip.query_track, stems[0].stem, reason)
    return nodes.signals[0]


def _cut(start: float, header: ShardHeader, native_rate: int) -> tuple[int, int]:
    """First sample and number of samples of a clip at the native rate."""
    first = int(start * native_rate)
    return first, int((start + header.clip_seconds) * native_rate) - first
