"""Examples from shards, for training and evaluation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from slakh_hier.models.queries import query_pools
from slakh_hier.models.remix import NOTHING, Part, Remix
from slakh_hier.models.selection import Selection
from slakh_hier.models.stored import Batch, finished
from slakh_hier.shards.format import ABSENT, SILENT
from slakh_hier.shards.read import ShardSet, scaled

Item = dict[str, Any]
QUERY, GAIN, CROP, REMIX = range(4)
"""What is drawn, so that one draw does not depend on whether another one is made."""


class Key(NamedTuple):
    """Asks a :class:`ClipDataset` for an example of an epoch.

    Where an epoch goes round the clips several times, each round counts as an epoch of its own here.
    """

    epoch: int
    place: int


class Read(NamedTuple):
    """A row of a clip's shard, from sample ``begin`` on."""

    clip: int
    row: int
    begin: int


class ClipDataset(Dataset[Item]):
    """Examples of a selection: map-style, picklable, the same in any thread or process.

    ``dataset[i]`` is an example of epoch 0, ``dataset[Key(epoch, i)]`` one of any epoch. What is drawn for it is
    a function of (seed, epoch, clip) alone.

    An example is a dict that torch's default collate turns into a batch:

    | key | type | shape | meaning |
    |---|---|---|---|
    | mix | float32 | (channels, samples) | the mixture |
    | sources | float32 | (levels, channels, samples) | ground truth, finest first; zeros where withheld, silent or absent |
    | available | bool | (levels,) | False: ground truth withheld by the mask, or the level lies below the target |
    | query | float32 | (channels, samples) | QBE only: the target, alone, from another song |
    | clip | int | | number in the shard set |
    | id | str | | track, start and target, for messages |

    Parameters
    ----------
    shards, selection
        One split, and which of its clips.
    seed
        Of everything drawn.
    fresh_queries
        Draw a query for each example and epoch, where another song with available ground truth has one.
    gain_db
        Each part of the mixture (the target, what each level adds, the rest) gets a gain drawn uniformly from
        +-gain_db (dB).
    crop_seconds
        Random excerpt of mixture and sources (s), the whole where clips are shorter; the query stays whole.
    remix
        Probability of a mixture whose parts come from several clips (:class:`~slakh_hier.models.remix.Remix`); gains come
        after it.
    weights
        float32, (clips, levels): what each term of the loss counts; None: all the same.
    """

    def __init__(
        self,
        shards: ShardSet,
        selection: Selection,
        *,
        seed: int = 0,
        fresh_queries: bool = False,
        gain_db: float = 0.0,
        crop_seconds: float | None = None,
        mask: str | None = None,
        remix: float = 0.0,
        weights: NDArray[np.float32] | None = None,
    ):
        self.shards, self.selection, self.seed, self.gain_db = shards, selection, seed, gain_db
        self.samples = shards.samples
        if crop_seconds is not None:
            self.samples = min(shards.samples, max(1, round(crop_seconds * shards.sample_rate)))
        table = shards.clips
        names = zip(
            table["track"].to_numpy()[selection.clips].tolist(),
            table["start"].to_numpy()[selection.clips].tolist(),
            selection.finest.tolist(),
            strict=True,
        )
        self.ids = [f"{track}@{start:g}s/{shards.nodes[column].name}" for track, start, column in names]
        # The row of each signal, the mixture first. What is withheld is not even read.
        wanted = np.column_stack([np.zeros(len(selection), np.int64), selection.columns])
        self._rows = shards.row[selection.clips[:, None], wanted]
        self._rows[:, 1:][~selection.available] = SILENT
        self._pools = query_pools(shards, selection, mask) if fresh_queries else None
        self._remix = Remix(selection, remix) if remix else None
        self._weights = weights

    def __len__(self) -> int:
        return len(self.selection)

    def __getitem__(self, key: int | Key) -> Item:
        batch = self.batch([Key(*key) if isinstance(key, tuple) else Key(0, key)])
        signals = batch["signals"][0]
        item = {"mix": signals[0], "sources": signals[1:], "available": batch["available"][0]}
        item |= {"clip": int(batch["clip"][0]), "id": batch["id"][0]}
        if "query" in batch:
            item["query"] = batch["query"][0]
        return item

    def batch(self, keys: Sequence[Key]) -> Batch:
        """Several examples as one batch, for a network on the CPU.

        Returns
        -------
        dict
            As that of :func:`~slakh_hier.models.stored.signals_of`.
        """
        reads, place = self._places(keys)
        batch = finished(self._signals(reads, place, self.samples), self._about(keys))
        if queries := self._queries(keys):
            batch["query"] = self._signals(queries, np.arange(len(keys)), self.shards.samples)
        return batch

    def stored(self, keys: Sequence[Key], *, pinned: bool = False) -> Batch:
        """Several examples as the shards hold them, of which :func:`~slakh_hier.models.stored.signals_of` makes a batch on a GPU.

        Parameters
        ----------
        pinned
            Read into page-locked memory, out of which a GPU copies by itself.
        """
        reads, place = self._places(keys)
        rows = self._empty(len(reads) + 1, self.samples, pinned)
        rows[-1] = 0
        stored = self._about(keys)
        stored |= {"rows": rows, "factors": self._fill(rows, reads), "place": torch.from_numpy(place)}
        if queries := self._queries(keys):
            stored["query_rows"] = self._empty(len(keys), self.shards.samples, pinned)
            stored["query_factors"] = self._fill(stored["query_rows"], queries)
        return stored

    def _about(self, keys: Sequence[Key]) -> Batch:
        """What a batch says beside its audio."""
        places = [key.place for key in keys]
        clips = self.selection.clips[places]
        about: Batch = {
            "available": torch.from_numpy(self.selection.available[places]),
            "clip": torch.from_numpy(clips),
            "id": [self.ids[index] for index in places],
        }
        if self._weights is not None:
            about["weights"] = torch.from_numpy(self._weights[places])
        if self.gain_db:
            drawn = [self._gains(key.epoch, clip) for key, clip in zip(keys, clips.tolist(), strict=True)]
            about["gains"] = torch.from_numpy(np.stack(drawn))
        return about

    def _places(self, keys: Sequence[Key]) -> tuple[list[Read], NDArray[np.int64]]:
        """What is read, each row once, and where among it the examples' signals, or with remixing their parts, lie."""
        reads: dict[Read, int] = {}

        def at(key: Key, place: int, signal: int) -> int:
            row = int(self._rows[place, signal]) if signal != NOTHING else SILENT
            if row in (ABSENT, SILENT):
                return -1
            clip = int(self.selection.clips[place])
            # Nodes with one sounding child share a row.
            return reads.setdefault(Read(clip, row, self._begin(key.epoch, clip)), len(reads))

        place: list[Any]
        if self._remix is None:
            place = [[at(key, key.place, signal) for signal in range(self._rows.shape[1])] for key in keys]
        else:
            place = [
                [
                    [at(key, part.place, part.signal), at(key, part.place, part.less)]
                    for part in self._parts(self._remix, key)
                ]
                for key in keys
            ]
        return list(reads), np.array(place, np.int64)

    def _parts(self, remix: Remix, key: Key) -> list[Part]:
        return remix.draw(key.place, self._draw(REMIX, key.epoch, int(self.selection.clips[key.place])))

    def _signals(self, reads: Sequence[Read], place: NDArray[np.int64], samples: int) -> Tensor:
        """float32, (place's shape, channels, samples).

        A row is converted as soon as it is read, in a buffer that stays in the processor's cache: half the time of reading all of a
        batch before, where that is larger than the cache.
        """
        signals = np.empty((place.size, self.shards.channels, samples), np.float32)
        signals[place.ravel() < 0] = 0
        row = np.empty(signals.shape[1:], self.shards.dtype)
        for number, read in enumerate(reads):
            factor = self.shards.read_stored(read.clip, read.row, row, read.begin)
            for signal in np.flatnonzero(place.ravel() == number).tolist():
                scaled(row, factor, signals[signal])
        return torch.from_numpy(signals.reshape(*place.shape, *row.shape))

    def _empty(self, rows: int, samples: int, pinned: bool) -> Tensor:
        dtype = torch.int16 if self.shards.dtype == np.int16 else torch.float32
        return torch.empty((rows, self.shards.channels, samples), dtype=dtype, pin_memory=pinned)

    def _fill(self, rows: Tensor, reads: Sequence[Read]) -> Tensor:
        """Read into the rows; returns the factor of each of them, 0 for those that no read is for."""
        factors = np.zeros(len(rows), np.float32)
        for number, (row, (clip, source, begin)) in enumerate(zip(rows.numpy(), reads, strict=False)):
            factors[number] = self.shards.read_stored(clip, source, row, begin)
        return torch.from_numpy(factors)

    def _queries(self, keys: Sequence[Key]) -> list[Read]:
        """The query of each example; nothing for SSS."""
        if self.selection.query_column is None:
            return []
        return [self._query(key, int(self.selection.query_column[key.place])) for key in keys]

    def _query(self, key: Key, column: int) -> Read:
        clip = int(self.selection.clips[key.place])
        if self._pools is not None:
            drawn = self._pools[column].draw(clip, self._draw(QUERY, key.epoch, clip))
            if drawn is not None:
                return Read(drawn, int(self.shards.row[drawn, column]), 0)
        return Read(clip, int(self.shards.query_row[clip]), 0)  # select_clips keeps clips with a query

    def _gains(self, epoch: int, clip: int) -> NDArray[np.float32]:
        drawn = self._draw(GAIN, epoch, clip).uniform(-self.gain_db, self.gain_db, self._rows.shape[1])
        return np.asarray(10 ** (drawn / 20), np.float32)

    def _begin(self, epoch: int, clip: int) -> int:
        spare = self.shards.samples - self.samples
        return int(self._draw(CROP, epoch, clip).integers(spare + 1)) if spare else 0

    def _draw(self, what: int, epoch: int, clip: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, epoch, clip, what))
