"""A thread that reads ahead, beside which the network works."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from slakh_hier.models.data import ClipDataset, Key
from slakh_hier.models.stored import Batch

AHEAD = 2
"""Batches that are read before they are asked for: one is enough for even steps, the second evens out the disk."""


class KeyBatches(Iterable[list[Key]], Sized, Protocol):
    """The examples of each batch."""


class Reader:
    """Batches of a data set as the shards hold them, read in a thread: the loader of a training or evaluation.

    One thread is enough. A clip takes it half a millisecond, during nearly all of which Python's lock is free, and
    what it read need not be sent to another process, which would take longer than reading it. HDF5 reads for one thread
    of a process at a time, so that more would not be faster.

    Parameters
    ----------
    dataset
        What is read.
    batches
        The examples of each batch; iterated again by every iteration.
    pinned
        Read into page-locked memory, for GPUs.
    """

    def __init__(self, dataset: ClipDataset, batches: KeyBatches, *, pinned: bool = False):
        self.dataset, self.batches, self.pinned = dataset, batches, pinned

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        pool = ThreadPoolExecutor(1, thread_name_prefix="reader")
        waiting: deque[Future[Batch]] = deque()
        try:
            for keys in self.batches:
                waiting.append(pool.submit(self.dataset.stored, keys, pinned=self.pinned))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
