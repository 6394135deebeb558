"""How the C library hands out memory: keep what was freed, where large arrays come and go all the time."""

from __future__ import annotations

import ctypes
import sys
from functools import cache

TRIM_THRESHOLD, MMAP_MAX, ARENA_MAX = -1, -4, -8  # of glibc's malloc.h, with M_ before
KEPT_BYTES = 256 << 20


@cache
def keep_freed_memory() -> bool:
    """Let this process keep up to 256 MB of freed memory instead of giving each array back to the system.

    glibc gives large arrays back as soon as they are freed, and the system hands out every page again, zeroed: a third
    of a small network's training step, a tenth of rendering, more than half of reading stereo batches. A threshold for what
    is given back would not do: glibc takes 32 MB at most, and a shard or a batch is larger. Threads share one store, since
    one of their own gives everything back as soon as it is empty. Called once by whatever processes many such arrays.

    Returns
    -------
    bool
        Whether the C library took it: False with another one than glibc, where nothing is changed.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all(mallopt(*it) for it in ((TRIM_THRESHOLD, KEPT_BYTES), (MMAP_MAX, 0), (ARENA_MAX, 1)))
