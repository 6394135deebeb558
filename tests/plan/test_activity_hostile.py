"""Untrusted activity files: refused with the reason, quickly, in little memory, and nothing else is opened."""

from __future__ import annotations

import os
import shutil
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from slakh_hier.errors import InputError, PlanError
from slakh_hier.plan import measure_activity
from slakh_hier.plan.activity_file import ActivityFile
from slakh_hier.slakh import Catalog

TRACK = "Track00002"
Change = Callable[[h5py.File, h5py.Group, Path], Any]


def member(name: str, **options: Any) -> Change:
    """Put another data set in a member's place, equal in all but ``options``."""

    def change(file: h5py.File, group: h5py.Group, folder: Path) -> None:
        old = group[name]
        kept = {
            "data": old[...], "dtype": old.dtype, "chunks": old.chunks, "fletcher32": True, "shuffle": old.shuffle,
            "compression": old.compression,
        } | options  # fmt: skip
        del group[name]
        group.create_dataset(name, **kept)

    return change


def declared(name: str, rows: int, chunk: int = 16) -> Change:
    """A data set that says to be long and stores nothing."""

    def change(file: h5py.File, group: h5py.Group, folder: Path) -> None:
        shape = (rows, *group[name].shape[1:])
        dtype = group[name].dtype
        del group[name]
        options = {"compression": "gzip", "shuffle": True} if dtype.kind == "f" else {}
        group.create_dataset(name, shape, dtype, chunks=(chunk, *shape[1:]), fletcher32=True, **options)

    return change


def linked(name: str, link: Callable[[h5py.File, Path], Any]) -> Change:
    def change(file: h5py.File, group: h5py.Group, folder: Path) -> None:
        target = link(file, folder)
        del file[name]
        file[name] = target

    return change


def external_storage(file: h5py.File, group: h5py.Group, folder: Path) -> None:
    (folder / "secret").write_bytes(bytes(10**6))
    shape = group["sums_mid"].shape
    del group["sums_mid"]
    group.create_dataset(
        "sums_mid", shape, "f8", external=[(str(folder / "secret"), 0, 8 * shape[0] * shape[1])]
    )


def virtual(file: h5py.File, group: h5py.Group, folder: Path) -> None:
    shape = group["sums_mid"].shape
    os.mkfifo(folder / "pipe.h5")  # opening it would hang
    layout = h5py.VirtualLayout(shape, "f8")
    layout[...] = h5py.VirtualSource(str(folder / "pipe.h5"), "x", shape)
    del group["sums_mid"]
    group.create_virtual_dataset("sums_mid", layout)


def long_track(file: h5py.File, group: h5py.Group, folder: Path) -> None:
    """Attributes and shapes that agree: a day of audio with 4096 stems in a few kB."""
    group.attrs["frames"], group.attrs["sample_rate"] = 24 * 3600 * 48_000, 48_000
    hops, stems = 24 * 3600 * 2, 4096
    for name, shape in (("sums_mid", (hops, stems)), ("gram_mid", (hops, stems * (stems + 1) // 2))):
        del group[name]
        group.create_dataset(
            name, shape, "f8", chunks=(1, shape[1]), fletcher32=True, shuffle=True, compression="gzip"
        )
    for name in ("stems", "broken", "content"):
        del group[name]
        group.create_dataset(name, data=np.zeros(stems, "S3"), chunks=(stems,), fletcher32=True)


def attribute(name: str, value: Any) -> Change:
    def change(file: h5py.File, group: h5py.Group, folder: Path) -> None:
        del group.attrs[name]
        if value is not None:
            group.attrs[name] = value

    return change


HOSTILE: dict[str, tuple[Change, str]] = {
    "external link": (linked(TRACK, lambda f, d: h5py.ExternalLink(str(d / "x.h5"), "/")), "is a link"),
    "soft link": (linked(TRACK, lambda f, d: h5py.SoftLink("/Track00001")), "is a link"),
    "another track's group": (linked(TRACK, lambda f, d: f["Track00001"]), "same object"),
    "external link of a member": (
        linked(f"{TRACK}/gram_mid", lambda f, d: h5py.ExternalLink(str(d / "x.h5"), "/gram_mid")), "gram_mid is a link"
    ),
    "cycle": (linked(f"{TRACK}/gram_mid", lambda f, d: f["/"]), "same object"),
    "external storage": (external_storage, "not stored in chunks inside"),
    "virtual data set": (virtual, "not stored in chunks inside"),
    "data set in the group's place": (linked(TRACK, lambda f, d: 1), "must have exactly the attributes"),
    "member missing": (lambda f, g, d: g.__delitem__("broken"), "must hold exactly .*otherwise: broken"),
    "member too many": (lambda f, g, d: g.__setitem__("more", 1), "must hold exactly"),
    "group in a data set's place": (
        lambda f, g, d: (g.__delitem__("gram_mid"), g.create_group("gram_mid"))[1], "gram_mid is not a dataset"
    ),
    "variable-length strings": (member("broken", dtype=h5py.string_dtype(), fletcher32=False), "type and filters"),
    "integers": (member("sums_mid", dtype="i8"), "type and filters"),
    "single precision": (member("gram_mid", dtype="f4"), "type and filters"),
    "big-endian": (member("gram_mid", dtype=">f8"), "type and filters"),
    "no checksum": (member("gram_mid", fletcher32=False), "type and filters"),
    "another filter": (member("gram_mid", compression="lzf"), "type and filters"),
    "gigantic strings": (member("stems", data=np.zeros(6, "S100000"), dtype="S100000", chunks=(6,)), "type and filters"),
    "no stem": (member("stems", data=np.zeros(0, "S3"), maxshape=(None,), chunks=(1,)), "stems has shape"),
    "gigantic number of stems": (declared("stems", 2**40), "stems has shape"),
    "gigantic number of hops": (declared("sums_mid", 2**40), "sums_mid has shape"),
    "chunks missing": (lambda f, g, d: declared("sums_mid", len(g["sums_mid"]))(f, g, d), "parts of it are missing"),
    "attributes that agree with gigantic shapes": (long_track, "parts of it are missing"),
    "attribute missing": (attribute("frames", None), "must have exactly the attributes"),
    "attribute of another type": (attribute("frames", "many"), "not a plain scalar"),
    "gigantic attribute": (attribute("key", np.bytes_(b"x" * 60_000)), "not a plain scalar"),
    "negative length": (attribute("frames", -5), "has 2 channels of -5 frames"),
    "sides that no channel has": (attribute("channels", 1), "must hold exactly"),
    "too many channels": (attribute("channels", 3), "has 3 channels"),
    "no rate": (attribute("sample_rate", 0), "at 0 Hz"),
    "infinite length": (attribute("frames", float("inf")), "must have exactly the attributes"),
}  # fmt: skip


def read_all(path: Path) -> None:
    with ActivityFile(path) as activity:
        for track in activity:
            activity.key(track)
            activity.read(track)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_content(name: str, small_activity: Path, tmp_path: Path) -> None:
    change, reason = HOSTILE[name]
    path = tmp_path / "activity.h5"
    shutil.copy(small_activity, path)
    with h5py.File(path, "r+") as file:
        change(file, file[TRACK], tmp_path)
    began = time.monotonic()
    tracemalloc.start()
    with pytest.raises(PlanError, match=rf"activity\.h5: Track0000[12] in it is damaged .*({reason})"):
        read_all(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.monotonic() - began < 5
    assert peak < 20e6
    with (
        pytest.raises(PlanError),
        ActivityFile(path) as activity,
        h5py.File(tmp_path / "copy.h5", "w") as copy,
    ):
        activity.copy(TRACK, copy)


def test_bombs_are_not_unpacked(small_activity: Path, tmp_path: Path) -> None:
    """One chunk of 100 bytes that says to be 240 MB."""
    path = tmp_path / "activity.h5"
    shutil.copy(small_activity, path)
    hops = 5_000_000
    with h5py.File(path, "r+") as file:
        group = file[TRACK]
        group.attrs["frames"], group.attrs["sample_rate"] = 500 * hops, 1000
        declared("sums_mid", hops, hops)(file, group, tmp_path)
        group["sums_mid"].id.write_direct_chunk((0, 0), bytes(100))
    with (
        pytest.raises(PlanError, match="sums_mid says to hold 240000000 bytes"),
        ActivityFile(path) as activity,
    ):
        activity.read(TRACK)


def test_a_file_of_another_grid_is_refused(small_activity: Path, tmp_path: Path) -> None:
    path = tmp_path / "activity.h5"
    shutil.copy(small_activity, path)
    with h5py.File(path, "r+") as file:
        file.attrs["hops_per_second"] = 4
    with pytest.raises(PlanError, match="is not an activity file of version 2"):
        ActivityFile(path)


@pytest.mark.timeout(20)
def test_a_pipe_is_not_opened(small_catalog: Catalog, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "activity.h5")
    with pytest.raises(InputError, match="is not a regular file"):
        measure_activity(small_catalog, tmp_path / "activity.h5", jobs=1)
