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
from slakh_hier.models.remix import NOTHING, Remix
from slakh_hier.models.selection import Selection
from slakh_hier.models.stored import Batch, signals_of
from slakh_hier.shards.format import ABSENT, SILENT
from slakh_hier.shards.read import ShardSet

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
        batch = signals_of(self.stored([Key(*key) if isinstance(key, tuple) else Key(0, key)]))
        signals = batch["signals"][0]
        item = {"mix": signals[0], "sources": signals[1:], "available": batch["available"][0]}
        item |= {"clip": int(batch["clip"][0]), "id": batch["id"][0]}
        if "query" in batch:
            item["query"] = batch["query"][0]
        return item

    def stored(self, keys: Sequence[Key], *, pinned: bool = False) -> Batch:
        """Several examples as the shards hold them, of which :func:`~slakh_hier.models.stored.signals_of` makes a batch.

        Parameters
        ----------
        pinned
            Read into page-locked memory, out of which a GPU copies by itself.
        """
        places = [key.place for key in keys]
        clips = self.selection.clips[places].tolist()
        reads: dict[Read, int] = {}
        place = [self._places(key, reads) for key in keys]
        signals = self._empty(len(reads) + 1, self.samples, pinned)
        signals[-1] = 0
        stored: Batch = {
            "rows": signals,
            "factors": self._fill(signals, list(reads)),
            "place": torch.tensor(place),
            "available": torch.from_numpy(self.selection.available[places]),
            "clip": torch.tensor(clips),
            "id": [self.ids[index] for index in places],
        }
        if self._weights is not None:
            stored["weights"] = torch.from_numpy(self._weights[places])
        if self.gain_db:
            drawn = [self._gains(key.epoch, clip) for key, clip in zip(keys, clips, strict=True)]
            stored["gains"] = torch.from_numpy(np.stack(drawn))
        if self.selection.query_column is not None:
            columns = self.selection.query_column[places].tolist()
            queries = [
                self._query(key.epoch, clip, column)
                for key, clip, column in zip(keys, clips, columns, strict=True)
            ]
            stored["query_rows"] = self._empty(len(keys), self.shards.samples, pinned)
            stored["query_factors"] = self._fill(stored["query_rows"], queries)
        return stored

    def _places(self, key: Key, reads: dict[Read, int]) -> list[int] | list[list[int]]:
        """Where an example's signals, or with remixing its parts, lie among the reads, which grow by what is missing."""

        def at(place: int, signal: int) -> int:
            row = int(self._rows[place, signal]) if signal != NOTHING else SILENT
            if row in (ABSENT, SILENT):
                return -1
            clip = int(self.selection.clips[place])
            # Nodes with one sounding child share a row.
            return reads.setdefault(Read(clip, row, self._begin(key.epoch, clip)), len(reads))

        if self._remix is None:
            return [at(key.place, signal) for signal in range(self._rows.shape[1])]
        rng = self._draw(REMIX, key.epoch, int(self.selection.clips[key.place]))
        return [
            [at(part.place, part.signal), at(part.place, part.less)]
            for part in self._remix.draw(key.place, rng)
        ]

    def _empty(self, rows: int, samples: int, pinned: bool) -> Tensor:
        dtype = torch.int16 if self.shards.dtype == np.int16 else torch.float32
        return torch.empty((rows, self.shards.channels, samples), dtype=dtype, pin_memory=pinned)

    def _fill(self, rows: Tensor, reads: Sequence[Read]) -> Tensor:
        """Read into the rows; returns the factor of each of them, 0 for those that no read is for."""
        factors = np.zeros(len(rows), np.float32)
        for number, (row, (clip, source, begin)) in enumerate(zip(rows.numpy(), reads, strict=False)):
            factors[number] = self.shards.read_stored(clip, source, row, begin)
        return torch.from_numpy(factors)

    def _query(self, epoch: int, clip: int, column: int) -> Read:
        if self._pools is not None:
            drawn = self._pools[column].draw(clip, self._draw(QUERY, epoch, clip))
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
