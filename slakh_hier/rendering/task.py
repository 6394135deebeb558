"""One task of a rendering: one shard, from its list of clips to the finished file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slakh_hier.audio import StemRef
from slakh_hier.errors import AudioError
from slakh_hier.files import publish
from slakh_hier.output.folder import Target
from slakh_hier.output.items import Made, make_file
from slakh_hier.plan.membership import column_membership, stems_of
from slakh_hier.shards.format import ShardHeader
from slakh_hier.shards.index import ShardRecord
from slakh_hier.shards.mask import Mask, availability
from slakh_hier.shards.write import ShardBuilder, rounds_to_silence
from slakh_hier.signals import SILENT, ClipSignals, Signal, TrackReader, window
from slakh_hier.slakh.by_track import stem_refs


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
    """All that a worker needs to render one shard; small, since it is pickled."""

    digest: str
    """Of the plan and all options."""
    header: ShardHeader
    file: str
    clips: pd.DataFrame
    """The shard's rows of the plan."""
    stems: pd.DataFrame
    """Catalog rows (usable ones) of every track in ``clips``, as mixture or as query."""
    withheld: Mapping[Mask, NDArray[np.bool_]]
    """By mask, bool (clips,): clips of this shard without ground truth."""
    root: str
    skip_broken: bool
    """Leave out clips with a stem that cannot be decoded, instead of stopping."""


@dataclass(frozen=True)
class ShardDone:
    """What a worker returns: the shard's index entry and what it left out."""

    record: ShardRecord
    failures: list[Failure]


def make_shard(target: Target, task: ShardTask) -> Made[ShardDone]:
    """Render one shard, unless it is finished. One that left out clips is finished only where that is wanted.

    Raises
    ------
    AudioError
        A stem cannot be decoded and ``skip_broken`` is off; nothing is published.
    FaultError
        The disk is full.
    """
    return make_file(
        target,
        task.file,
        task.digest,
        ShardDone,
        lambda: _render(target, task),
        sha256_of=lambda done: done.record.sha256,
        keep=lambda done: task.skip_broken or not done.failures,
    )


def _render(target: Target, task: ShardTask) -> ShardDone:
    header = task.header
    kept: list[int] = []
    failures: list[Failure] = []
    builder = ShardBuilder(header, task.clips)
    last: ClipSignals | None = None
    for index, nodes, query in _clips(task, failures):
        kept.append(index)
        if nodes is not last:  # clips that differ in their target only share their rows
            rows = [builder.add_signal(signal) for signal in nodes.signals]
            levels = [
                -np.inf if row == SILENT else rms_of(signal)
                for row, signal in zip(rows, nodes.signals, strict=True)
            ]
            last = nodes
        for column, place in enumerate(nodes.place):
            if place >= 0:
                builder.set(index, column, rows[place], levels[place])
            elif place == SILENT:
                builder.set(index, column, SILENT, -np.inf)
        if query is not None:
            builder.set_query(index, builder.add_signal(query))
    if failures:
        builder.keep(kept)
    masks = {mask: availability(mask, flags[kept], header.columns) for mask, flags in task.withheld.items()}
    image = builder.finish(masks)
    publish(Path(target.folder) / task.file, image, owner=target.owner)
    return ShardDone(builder.record(task.file, image), failures)


def rms_of(signal: Signal) -> float:
    """RMS in dBFS over all channels of a signal that is not silent."""
    # Not np.dot: the order in which BLAS adds depends on the CPU and on its number of threads.
    squares = signal.astype(np.float64)
    squares *= squares
    return float(10 * np.log10(float(squares.sum()) / signal.size))


class _Clip(NamedTuple):
    """What of a plan's row decides its audio."""

    track: str
    start: float
    target: str
    query_track: str
    query_start: float


class _Tracks:
    """The tracks of a shard, to be read as mixtures or as queries."""

    def __init__(self, task: ShardTask):
        self._header, self._root = task.header, Path(task.root)
        self._rows = {str(track): rows for track, rows in task.stems.groupby("track", sort=False)}
        self._known: dict[str, tuple[list[StemRef], NDArray[np.bool_]]] = {}

    def open(self, track: str) -> TrackReader:
        if track not in self._known:
            rows = self._rows[track]
            self._known[track] = stem_refs(rows), column_membership(rows, self._header.columns)
        return TrackReader(*self._known[track], self._root, self._header.channels)

    def clip(self, reader: TrackReader, start: float) -> ClipSignals:
        """Every node's signal."""
        return reader.clip(*self._window(reader, start), self._header.sample_rate, self._header.samples)

    def query(self, clip: _Clip) -> Signal:
        """The target node alone, in the query's track."""
        members = stems_of(self._rows[clip.query_track], clip.target)
        with self.open(clip.query_track) as reader:
            place = self._window(reader, clip.query_start)
            signal = reader.alone(members, *place, self._header.sample_rate, self._header.samples)
        if signal is None or rounds_to_silence(signal, self._header.dtype):
            stem = str(self._rows[clip.query_track]["stem"].iloc[members[0]])
            reason = (
                f"is silent at {clip.query_start} s, where the plan found it sounding; scan and plan again"
            )
            raise AudioError(clip.query_track, stem, reason)
        return signal

    def _window(self, reader: TrackReader, start: float) -> tuple[int, int]:
        return window(start, self._header.clip_seconds, reader.sample_rate)


def _clips(task: ShardTask, failures: list[Failure]) -> Iterator[tuple[int, ClipSignals, Signal | None]]:
    """Signals of the shard's clips, in their order; clips of one track stand together in a plan."""
    tracks = _Tracks(task)
    table = task.clips[list(_Clip._fields)].itertuples(index=False, name=None)
    numbered = enumerate(_Clip(*row) for row in table)
    for track, part in groupby(numbered, key=lambda item: item[1].track):
        with tracks.open(track) as reader:
            for index, clip in part:
                try:
                    nodes = tracks.clip(reader, clip.start)
                    query = tracks.query(clip) if clip.query_track else None
                except AudioError as error:
                    if not task.skip_broken:
                        raise
                    reason = error.reason if error.track == track else f"{error.track}: {error.reason}"
                    failures.append(
                        Failure(task.header.split, track, clip.start, clip.target, error.stem, reason)
                    )
                    continue
                yield index, nodes, query
