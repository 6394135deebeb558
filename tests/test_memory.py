"""Freed memory stays with the process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from slakh_hier.memory import keep_freed_memory

FAULTS = """
import resource, sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np
if sys.argv[1] == "keep":
    from slakh_hier.memory import keep_freed_memory
    assert keep_freed_memory()
def faults(batches):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(batches):
        batch = [np.ones(7_000_000) for _ in range(2)]
        del batch
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
def faults_again():
    faults(1)
    return faults(12)
with ThreadPoolExecutor(1) as pool:
    print(faults_again() if sys.argv[2] == "main" else pool.submit(faults_again).result())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
@pytest.mark.parametrize("thread", ["main", "another"])
def test_large_arrays_take_no_new_pages(thread: str) -> None:
    given_back, kept = (
        int(
            subprocess.run(
                [sys.executable, "-c", FAULTS, how, thread], capture_output=True, text=True, check=True
            ).stdout
        )
        for how in ("plain", "keep")
    )
    # 12 batches of two arrays of 56 MB are 330,000 pages; huge pages count as one.
    assert kept <= 10
    assert given_back > kept


def test_another_c_library_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory.__wrapped__() is False
