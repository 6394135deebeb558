"""Examples from shards, for training and evaluation."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from slakh_hier.models.queries import query_pools
from slakh_hier.models.selection import Selection
from slakh_hier.shards.read import ShardSet

Item = dict[str, Any]
QUERY, GAIN, CROP = range(3)
"""What is drawn, so that one draw does not depend on whether another one is made."""


class Key(NamedTuple):
    """Asks a :class:`ClipDataset` for an example of an epoch: the sampler's way to tell loader processes.

    Where an epoch goes round the clips several times, each round counts as an epoch of its own here.
    """

    epoch: int
    place: int


class ClipDataset(Dataset[Item]):
    """Examples of a selection: map-style, picklable, the same in any loader process.

    ``dataset[i]`` is an example of epoch 0, ``dataset[Key(epoch, i)]`` one of any epoch. What is drawn for it is
    a function of (seed, epoch, clip) alone.

    An example is a dict that torch's default collate turns into a batch:

    ========= ======== ================== ===============================================================
    key       type     shape              meaning
    ========= ======== ================== ===============================================================
    mix       float32  (samples,)         the mixture
    sources   float32  (levels, samples)  ground truth, leaf first; zeros where withheld, silent or absent
    available bool     (levels,)          False: ground truth withheld by the mask
    query     float32  (samples,)         QBE only: the target's finest node, alone, from another song
    clip      int                         number in the shard set
    id        str                         track, start and target, for messages
    ========= ======== ================== ===============================================================

    Parameters
    ----------
    shards, selection
        One split, and which of its clips.
    seed
        Of everything drawn.
    fresh_queries
        Draw a query for each example and epoch, where another song with available ground truth has one.
    gain_db
        Each part of the mixture (the leaf, what each level adds, the rest) gets a gain drawn uniformly from
        +-gain_db (dB).
    crop_seconds
        Random excerpt of mixture and sources (s), the whole where clips are shorter; the query stays whole.
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
    ):
        self.shards, self.selection, self.seed, self.gain_db = shards, selection, seed, gain_db
        self.samples = shards.samples
        if crop_seconds is not None:
            self.samples = min(shards.samples, max(1, round(crop_seconds * shards.sample_rate)))
        table = shards.clips
        names = zip(
            table["track"].to_numpy()[selection.clips].tolist(),
            table["start"].to_numpy()[selection.clips].tolist(),
            selection.columns[:, 0].tolist(),
            strict=True,
        )
        self.ids = [f"{track}@{start:g}s/{shards.nodes[column].name}" for track, start, column in names]
        self._pools = query_pools(shards, selection, mask) if fresh_queries else None

    def __len__(self) -> int:
        return len(self.selection)

    def __getitem__(self, key: int | Key) -> Item:
        epoch, index = key if isinstance(key, tuple) else (0, key)
        clip = int(self.selection.clips[index])
        available = self.selection.available[index]
        mix, sources = self._signals(clip, self.selection.columns[index], available)
        if self.gain_db:
            gains = 10 ** (
                self._draw(GAIN, epoch, clip).uniform(-self.gain_db, self.gain_db, len(sources) + 1) / 20
            )
            mix = change_gains(mix, sources, available, gains.astype(np.float32))
        if self.samples < self.shards.samples:
            begin = int(self._draw(CROP, epoch, clip).integers(self.shards.samples - self.samples + 1))
            mix, sources = mix[begin : begin + self.samples], sources[:, begin : begin + self.samples]
        item: Item = {
            "mix": torch.from_numpy(mix),
            "sources": torch.from_numpy(np.ascontiguousarray(sources)),
            "available": torch.from_numpy(available.copy()),
            "clip": clip,
            "id": self.ids[index],
        }
        if self.selection.query_column is not None:
            item["query"] = self._query(epoch, clip, int(self.selection.query_column[index]))
        return item

    def _signals(
        self, clip: int, columns: NDArray[np.int64], available: NDArray[np.bool_]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mixture and sources, each stored row read once (nodes with one sounding child share a row)."""
        rows = self.shards.row[clip]
        mix = self.shards.audio_row(clip, int(rows[0]))
        read = {int(rows[0]): mix}
        sources = np.zeros((len(columns), self.shards.samples), np.float32)
        for level, column in enumerate(columns):
            row = int(rows[column])
            if row >= 0 and available[level]:
                if row not in read:
                    read[row] = self.shards.audio_row(clip, row)
                sources[level] = read[row]
        return mix, sources

    def _query(self, epoch: int, clip: int, column: int) -> Tensor:
        if self._pools is not None:
            drawn = self._pools[column].draw(clip, self._draw(QUERY, epoch, clip))
            if drawn is not None:
                return torch.from_numpy(self.shards.audio(drawn, column))
        stored = self.shards.query(clip)
        assert stored is not None  # select_clips keeps clips with a query
        return torch.from_numpy(stored)

    def _draw(self, what: int, epoch: int, clip: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, epoch, clip, what))


def change_gains(
    mix: NDArray[np.float32],
    sources: NDArray[np.float32],
    available: NDArray[np.bool_],
    gains: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Scale the parts of a mixture and build sources and mixture again, so that the levels stay nested.

    The parts are the leaf, what each available level adds to the one below it, and the rest of the mixture.
    Withheld levels give no part: their audio is not known in training.

    Parameters
    ----------
    mix
        float32, (samples,).
    sources
        float32, (levels, samples), leaf first; changed in place.
    available
        bool, (levels,).
    gains
        float32, (levels + 1,), linear; the last one belongs to the rest.

    Returns
    -------
    array
        The new mixture.
    """
    below_old = np.zeros_like(mix)
    below_new = np.zeros_like(mix)
    for level in np.flatnonzero(available):
        old = sources[level].copy()
        sources[level] = below_new + gains[level] * (old - below_old)
        below_old, below_new = old, sources[level]
    changed: NDArray[np.float32] = below_new + gains[-1] * (mix - below_old)
    return changed
