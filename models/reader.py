"""A thread that reads ahead, beside which the network works."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from slakh_hier.models.data import Key
from slakh_hier.models.stored import Batch

AHEAD = 2
"""Batches that are read before they are asked for: one is enough for even steps, the second evens out the disk."""


class KeyBatches(Iterable[list[Key]], Sized, Protocol):
    """The examples of each batch."""


class Reader:
    """Batches that a thread reads: the loader of a training or evaluation.

    One thread is enough. A clip takes it half a millisecond, during nearly all of which Python's lock is free, and
    what it read need not be sent to another process, which would take longer than reading it. HDF5 reads for one thread
    of a process at a time, so that more would not be faster.

    Parameters
    ----------
    read
        Reads a batch: :meth:`ClipDataset.batch <slakh_hier.models.data.ClipDataset.batch>`, or for a GPU
        :meth:`ClipDataset.stored <slakh_hier.models.data.ClipDataset.stored>`.
    batches
        The examples of each batch; iterated again by every iteration.
    """

    def __init__(self, read: Callable[[Sequence[Key]], Batch], batches: KeyBatches):
        self.read, self.batches = read, batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        pool = ThreadPoolExecutor(1, thread_name_prefix="reader")
        waiting: deque[Future[Batch]] = deque()
        try:
            for keys in self.batches:
                waiting.append(pool.submit(self.read, keys))
                if len(waiting) > AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)
