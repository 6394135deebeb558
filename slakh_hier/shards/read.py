"""Reading a finished set of shards: any clip, any node, from any process or thread."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, overload

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slakh_hier.audio import FULL_SCALE
from slakh_hier.closing import Closing
from slakh_hier.display import Grid, grids
from slakh_hier.errors import InputError
from slakh_hier.hierarchy import Column
from slakh_hier.paths import StrPath
from slakh_hier.progress import Wanted
from slakh_hier.shards.clip import Clip
from slakh_hier.shards.handles import Handles
from slakh_hier.shards.index import Index, read_index
from slakh_hier.shards.mask import mask_name
from slakh_hier.shards.opening import RefusedError, expected_shard
from slakh_hier.shards.remote import local_set
from slakh_hier.shards.tables import join_clips, load_tables, read_mask_file
from slakh_hier.wording import did_you_mean, typed

MAX_OPEN: Final = 128
"""Open files a process: half of what the least generous systems allow (256)."""


def open_shards(
    folder: StrPath,
    split: str | None = None,
    *,
    max_open: int = MAX_OPEN,
    progress: Wanted = None,
) -> ShardSet:
    """Open a finished set of shards for reading.

    Every shard's structure is checked against the index and its tables are loaded (a few milliseconds a
    shard); the audio is read clip by clip.

    Parameters
    ----------
    folder
        What ``slakh-hier render -o`` made; or an address as ``https://...`` (extra ``remote``) or ``s3://...`` (extra ``s3``), whose
        shards are fetched into the user's cache first, whole and compared with the index.
    split
        Only this split; None: all, in the order train, validation, test.
    max_open
        Files that a process keeps open.
    progress
        Shows what is fetched.

    Raises
    ------
    InputError
        No such folder or split.
    ShardError
        The set is unfinished, damaged, hostile, or of another version of the format.
    FaultError
        Shards cannot be fetched.
    """
    if max_open < 1:
        raise InputError(f"max_open must be 1 or more, not {max_open}")
    path = local_set(folder, split, progress=progress)
    index = read_index(path)
    if split is not None:
        require_split(path, index, split)
    return ShardSet(path.absolute(), index, split, max_open)


class ShardSet(Closing):
    """Clips of a shard set by number: ``len(shards)``, ``shards[i]``, iteration.

    It can be pickled, and used in forked or spawned processes and in several threads: files are opened by
    path when first read, in each process its own.

    Attributes
    ----------
    folder : Path
    index : Index
        The whole of index.json.
    splits : tuple of str
        The splits that are open here.
    sample_rate : int, Hz
    channels : int
        1 or 2, of every signal.
    samples : int
        Length of every signal.
    clip_seconds : float, s
    dtype : numpy.dtype
        Of the stored samples: int16 or float32.
    nodes : tuple of Column
        The rendered nodes (name, level, parent), mix first: the columns of the tables.
    clips : DataFrame
        One row per clip: split, track, song, target, start (s), query_track, query_start (s), shard (file).
    row : int32, shape (clips, nodes)
        Row of /audio in the clip's own shard; -1 absent, -2 silent. Nodes with equal rows have equal audio.
    rms : float32, shape (clips, nodes), dBFS
        NaN where absent, -inf where silent.
    query_row : int32, shape (clips,)
        -1 where a clip has no query.
    """

    def __init__(self, folder: Path, index: Index, split: str | None, max_open: int):
        self.folder, self.index = folder, index
        self.splits = tuple(index.splits) if split is None else (split,)
        self.sample_rate, self.channels = index.sample_rate, index.channels
        self.samples, self.clip_seconds = index.samples, index.clip_seconds
        self.nodes: tuple[Column, ...] = index.columns
        self.dtype = np.dtype(index.dtype)
        self._column = {column.name: place for place, column in enumerate(self.nodes)}
        shards = [shard for shard in index.shards if split in (None, shard.split)]
        self._handles = Handles([expected_shard(folder, index, shard) for shard in shards], max_open)
        tables = []
        for number, shard in enumerate(shards):
            tables.append(load_tables(folder, index, shard))
            self._handles.remember(number)
        nothing = np.zeros((0, len(self.nodes)))
        self.clips: pd.DataFrame = join_clips([table.clips for table in tables])
        self.row: NDArray[np.int32] = np.concatenate([nothing.astype(np.int32), *(t.row for t in tables)])
        self.rms: NDArray[np.float32] = np.concatenate([nothing.astype(np.float32), *(t.rms for t in tables)])
        self.query_row: NDArray[np.int32] = np.concatenate(
            [np.zeros(0, np.int32), *(table.query_row for table in tables)]
        )
        # Stored values times these are samples of full scale 1.0.
        self._factor = [
            table.scale / np.float32(FULL_SCALE) if self.dtype == np.int16 else np.ones_like(table.scale)
            for table in tables
        ]
        self._shard = np.repeat(np.arange(len(shards)), [shard.clips for shard in shards])
        self._masks: dict[str, NDArray[np.bool_]] = {
            mask.name: np.concatenate([nothing.astype(bool), *(table.masks[mask.name] for table in tables)])
            for mask in index.masks
            if mask.file is None and not mask.hidden
        }

    def __len__(self) -> int:
        return len(self.query_row)

    @overload
    def __getitem__(self, clip: int) -> Clip: ...
    @overload
    def __getitem__(self, clip: slice) -> list[Clip]: ...
    def __getitem__(self, clip: int | slice) -> Clip | list[Clip]:
        """A clip by its number, or those of a slice."""
        if isinstance(clip, slice):
            return [Clip(self, number) for number in range(len(self))[clip]]
        return Clip(self, self._place(clip))

    def __iter__(self) -> Iterator[Clip]:
        return (Clip(self, clip) for clip in range(len(self)))

    def __repr__(self) -> str:
        return f"<ShardSet {self.folder}: {len(self):,} clips, {len(self.nodes)} nodes, {', '.join(self.splits)}>"

    def _repr_html_(self) -> str:
        from slakh_hier.shards.inspect import summary

        only = self.splits[0] if len(self.splits) == 1 else None
        found = summary(self.folder, split=only)
        title = (
            f"{self.folder.name}: {len(self):,} clips of {self.clip_seconds:g} s at {self.sample_rate:,} Hz"
        )
        return grids(Grid(title, found["splits"]), Grid("Nodes", found["nodes"], folded=True))

    def node(self, name: str) -> int:
        """Column of a node.

        Raises
        ------
        InputError
            The set has no such node.
        """
        try:
            return self._column[name]
        except KeyError:
            names = list(self._column)
            raise InputError(f"{self.folder}: has no node {name!r}: {did_you_mean(name, names)}") from None

    @property
    def masks(self) -> tuple[str, ...]:
        """Names of the masks, rendered or added later."""
        return tuple(mask.name for mask in self.index.masks if not mask.hidden)

    def mask(self, name: str) -> NDArray[np.bool_]:
        """Whether ground truth is available under a mask: bool, shape (clips, nodes)."""
        name = mask_name(name)
        if name not in self._masks:
            record = next((m for m in self.index.masks if m.name == name and m.file is not None), None)
            if record is None:
                raise InputError(
                    f"{self.folder}: has no mask {name!r}: {did_you_mean(name, self.masks)}. Add one with: "
                    + typed("mask", self.folder, "--add", "leaf-50")
                )
            everything = read_mask_file(self.folder, self.index, record)
            here = np.repeat(
                [shard.split in self.splits for shard in self.index.shards],
                [shard.clips for shard in self.index.shards],
            )
            self._masks[name] = everything[here.astype(bool)]
        return self._masks[name]

    def audio(self, clip: int, node: int | str) -> NDArray[np.float32]:
        """A node's signal in a clip: float32, shape (channels, samples), full scale 1.0.

        Absent and silent nodes are zeros. Otherwise it is one read.
        """
        clip = self._place(clip)
        column = self.node(node) if isinstance(node, str) else node
        return self.audio_row(clip, int(self.row[clip, column]))

    def audio_row(self, clip: int, row: int) -> NDArray[np.float32]:
        """The signal in a row of the clip's shard; zeros for a negative row (absent, silent)."""
        if row < 0:
            return np.zeros((self.channels, self.samples), np.float32)
        stored = np.empty((self.channels, self.samples), self.dtype)
        factor = self.read_stored(clip, row, stored)
        if stored.dtype == np.float32:
            if not np.isfinite(stored).all():
                raise RefusedError(
                    self._handles.path(int(self._shard[clip])), f"row {row} of /audio holds NaN or Inf"
                )
            return stored
        return scaled(stored, factor)

    def read_stored(self, clip: int, row: int, out: NDArray[Any], begin: int = 0) -> np.float32:
        """Read a row of the clip's shard as it is stored, from sample ``begin`` on, into ``out``.

        Parameters
        ----------
        row
            0 or more.
        out
            C-contiguous, of :attr:`dtype`, (channels, count).

        Returns
        -------
        float32
            What to multiply the values with for full scale 1.0.
        """
        shard = int(self._shard[clip])
        self._handles.read(shard, row, out, begin)
        factor: np.float32 = self._factor[shard][row]
        return factor

    def query(self, clip: int) -> NDArray[np.float32] | None:
        """A clip's query signal, or None where it has none: float32, shape (channels, samples)."""
        clip = self._place(clip)
        row = int(self.query_row[clip])
        return None if row < 0 else self.audio_row(clip, row)

    def close(self) -> None:
        """Close this process's files; a later read opens them again."""
        self._handles.close()

    def _place(self, clip: int) -> int:
        if -len(self) <= clip < len(self):
            return clip % len(self)
        # Iteration by number needs IndexError.
        raise IndexError(f"clip {clip} of {len(self)} clips in {self.folder} ({', '.join(self.splits)})")


def scaled(
    stored: NDArray[Any], factor: np.float32, out: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Stored values times their factor, as float32 of the same shape."""
    if out is None:
        out = np.empty(stored.shape, np.float32)
    np.copyto(out, stored)  # np.multiply converts piece by piece, which takes twice as long as both steps
    out *= factor
    return out


def require_split(folder: Path, index: Index, split: str) -> None:
    """Raise :class:`~slakh_hier.errors.InputError` when a set has no such split."""
    if split not in index.splits:
        raise InputError(f"{folder}: has no split {split!r}: {did_you_mean(split, index.splits)}")
