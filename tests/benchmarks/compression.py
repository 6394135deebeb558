"""Size and speed of shards' rows under HDF5's compressions: what shards would gain or lose by each.

    python tests/benchmarks/compression.py [--data SLAKH] [--clips 24] [--seconds 120] [--rounds 3]

The rows of a rendered set (every node with queries, int16) are written to HDF5 files, one chunk a row with fletcher32, and
read back row by row: none (the product), gzip with shuffle, lzf with shuffle, and Blosc (lz4, zstd with bit shuffle) where
hdf5plugin is installed. CSV on stdout, CPU milliseconds a row of 10 s; the last line is the bytes with gzip 1 over those without.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from harness import cpu_seconds, in_turns, planned, read_options, report, workspace
from numpy.typing import NDArray

from slakh_hier.rendering import render


def main() -> None:
    options = read_options(__doc__, data=Path, clips=24, seconds=120.0, rounds=3)
    with workspace() as work:
        plan = planned(work, options)
        render(plan, work / "out", jobs=1)
        rows = np.concatenate([h5py.File(path)["audio"][:] for path in sorted((work / "out").glob("*.h5"))])
        runs: dict[str, Callable[[], Any]] = {}
        for what, filters in kinds().items():
            runs[f"write, {what}"] = writing(work / f"{what}.h5", rows, filters)
            runs[f"read, {what}"] = reading(work / f"{what}.h5", len(rows))
        medians = in_turns(runs, options.rounds, cpu_seconds)
        sizes = {what: (work / f"{what}.h5").stat().st_size for what in kinds()}
    report(
        {what: 1000 * seconds / len(rows) for what, seconds in medians.items()},
        "cpu_ms_per_row",
        sizes["gzip 1"] / sizes["none"],
        **{f"bytes_{what.replace(' ', '_')}": size / sizes["none"] for what, size in sizes.items()},
    )


def kinds() -> dict[str, Mapping[str, Any]]:
    """Options of h5py's create_dataset by name."""
    found: dict[str, Mapping[str, Any]] = {
        "none": {},
        "gzip 1": {"compression": "gzip", "compression_opts": 1, "shuffle": True},
        "lzf": {"compression": "lzf", "shuffle": True},
    }
    try:
        import hdf5plugin
    except ImportError:
        return found
    for name in ("lz4", "zstd"):
        found[f"blosc {name}"] = dict(
            hdf5plugin.Blosc(cname=name, clevel=3, shuffle=hdf5plugin.Blosc.BITSHUFFLE)
        )
    return found


def writing(path: Path, rows: NDArray[np.int16], filters: Mapping[str, Any]) -> Callable[[], None]:
    def write() -> None:
        with h5py.File(path, "w", libver=("v110", "v110")) as file:
            audio = file.create_dataset(
                "audio", rows.shape, rows.dtype, chunks=(1, *rows.shape[1:]), fletcher32=True, **filters
            )
            for index, row in enumerate(rows):
                audio[index] = row

    return write


def reading(path: Path, rows: int) -> Callable[[], None]:
    def read() -> None:
        with h5py.File(path) as file:
            audio = file["audio"]
            for index in range(rows):
                audio[index]

    return read


if __name__ == "__main__":
    main()
