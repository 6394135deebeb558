"""Batches as the shards hold them, and what they mean: a GPU makes its signals itself.

A row that several nodes share is read and sent to it once, as 16-bit integers: less than half of what the signals have.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

Batch = dict[str, Any]


def signals_of(stored: Batch) -> Batch:
    """Make a batch of what :meth:`~slakh_hier.models.data.ClipDataset.stored` read, on the GPU that holds it.

    | key of ``stored`` | type | shape | meaning |
    |---|---|---|---|
    | rows | int16 or float32 | (rows + 1, channels, samples) | each row once, as it is stored; the last is silence |
    | factors | float32 | (rows + 1,) | what to multiply a row with |
    | place | int64 | (clips, 1 + levels) | which row: the mixture's, then finest first; -1: silence |
    | place, with remixing | int64 | (clips, levels + 1, 2) | two rows of each part, finest first, then the rest; the part is their difference |
    | available | bool | (clips, levels) | |
    | weights | float32 | (clips, levels) | what each term of the loss counts; only where they differ |
    | gains | float32 | (clips, levels + 1) | see :func:`change_gains`; only with augmentation |
    | query_rows | as rows | (clips, channels, query samples) | QBE only |
    | query_factors | float32 | (clips,) | QBE only |
    | clip | int64 | (clips,) | |
    | id | list of str | | |

    Returns
    -------
    dict
        ``signals``, float32, (clips, 1 + levels, channels, samples): the mixture, then the sources, finest first, zeros
        where withheld, silent or absent; ``query``, float32, (clips, channels, query samples); and ``available``, ``weights``, ``clip``,
        ``id``.
    """
    place = stored["place"]
    batch = finished(stored["rows"][place] * stored["factors"][place][..., None, None], stored)
    if "query_rows" in stored:
        batch["query"] = stored["query_rows"] * stored["query_factors"][:, None, None]
    return batch


def finished(picked: Tensor, about: Batch) -> Batch:
    """The batch of what was picked from the rows: the signals, or with remixing the two rows of each part."""
    batch: Batch = {name: about[name] for name in ("available", "weights", "clip", "id") if name in about}
    batch["signals"] = picked if picked.ndim == 4 else _sums_of(picked, about["available"])
    if "gains" in about:
        change_gains(batch["signals"], about["available"], about["gains"])
    return batch


def _sums_of(parts: Tensor, available: Tensor) -> Tensor:
    """Signals of parts, (clips, levels + 1, 2, channels, samples) to (clips, 1 + levels, channels, samples), by sums."""
    sums = (parts[:, :, 0] - parts[:, :, 1]).cumsum(1)
    sources = sums[:, :-1] * available[..., None, None]  # what is withheld has no part of its own
    return torch.cat((sums[:, -1:], sources), 1)


def change_gains(signals: Tensor, available: Tensor, gains: Tensor) -> None:
    """Scale the parts of mixtures, in place, and build sources and mixtures again, so that the levels stay nested.

    The parts are the finest node, what each available level adds to the one below it, and the rest of the mixture.
    Withheld levels give no part: their audio is not known in training.

    Parameters
    ----------
    signals
        float32, (clips, 1 + levels, channels, samples), the mixture, then the sources, finest first.
    available
        bool, (clips, levels).
    gains
        float32, (clips, levels + 1), linear; the last one belongs to the rest.
    """
    below_old = below_new = torch.zeros_like(signals[:, 0])
    gains = gains[..., None, None]
    for level in range(available.shape[1]):
        there = available[:, level, None, None]
        old = signals[:, 1 + level].clone()
        new = below_new + gains[:, level] * (old - below_old)
        below_old, below_new = torch.where(there, old, below_old), torch.where(there, new, below_new)
        signals[:, 1 + level] = torch.where(there, new, old)
    signals[:, 0] = below_new + gains[:, -1] * (signals[:, 0] - below_old)
