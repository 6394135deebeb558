"""Untrusted shards: whatever a file is, it is refused with its name and the reason, quickly, in little memory.

In every case index.json agrees with the file's size and sha256, as an attacker would have it.
"""

from __future__ import annotations

import io
import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5a, h5d, h5p, h5s, h5t, h5z

from slakh_hier.errors import ShardError
from slakh_hier.shards import open_shards
from slakh_hier.shards.export import export_clip
from slakh_hier.shards.mask import Mask
from slakh_hier.shards.mask_files import add_mask
from slakh_hier.shards.verify import verify

Change = Callable[[h5py.File, Path], None]


def replaced(path: str, **options: Any) -> Change:
    """Put another data set in a member's place; by default equal in all but ``options``."""

    def change(file: h5py.File, folder: Path) -> None:
        old = file[path]
        values = options.pop("data", old[...])
        kept = {"chunks": old.chunks, "fletcher32": True, "dtype": old.dtype} | options
        del file[path]
        file.create_dataset(path, data=values, **kept)

    return change


def linked(path: str, link: Callable[[h5py.File, Path], Any]) -> Change:
    def change(file: h5py.File, folder: Path) -> None:
        target = link(file, folder)
        del file[path]
        file[path] = target

    return change


def external_storage(file: h5py.File, folder: Path) -> None:
    shape = file["scale"].shape
    del file["scale"]
    file.create_dataset("scale", shape, "f4", external=[(str(folder / "secret"), 0, 4 * shape[0])])


def virtual(file: h5py.File, folder: Path) -> None:
    shape, dtype = file["audio"].shape, file["audio"].dtype
    with h5py.File(folder.parent / "other.h5", "w") as other:
        other["audio"] = file["audio"][...]
    layout = h5py.VirtualLayout(shape, dtype)
    layout[...] = h5py.VirtualSource(str(folder.parent / "other.h5"), "audio", shape)
    del file["audio"]
    file.create_virtual_dataset("audio", layout)


def unlimited_virtual(file: h5py.File, folder: Path) -> None:
    """Asking for the shape of such a data set opens its source."""
    length = file["audio"].shape[1]
    source = folder.parent / "pipe.h5"
    os.mkfifo(source)  # opening it would hang
    layout = h5py.VirtualLayout((1, length), "i2", maxshape=(None, length))
    from_ = h5py.VirtualSource(str(source), "audio", (1, length), maxshape=(None, length))
    layout[h5s_unlimited()] = from_[h5s_unlimited()]
    del file["audio"]
    file.create_virtual_dataset("audio", layout)


def h5s_unlimited() -> tuple[slice, slice]:
    return slice(0, h5s.UNLIMITED), slice(None)


def cycle(file: h5py.File, folder: Path) -> None:
    del file["clip/song"]
    file["clip/song"] = file["/"]


def same_object_twice(file: h5py.File, folder: Path) -> None:
    del file["clip/query_start"]
    file["clip/query_start"] = file["clip/start"]


def unknown_filter(file: h5py.File, folder: Path) -> None:
    values = file["scale"][...]
    del file["scale"]
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_chunk(values.shape)
    creation.set_filter(40_000, h5z.FLAG_OPTIONAL, ())
    h5d.create(file.id, b"scale", h5t.NATIVE_FLOAT, h5s.create_simple(values.shape), creation)
    file["scale"][...] = values


def array_type(file: h5py.File, folder: Path) -> None:
    del file["query_row"]
    creation = h5p.create(h5p.DATASET_CREATE)
    creation.set_chunk((4,))
    creation.set_fletcher32()
    h5d.create(
        file.id, b"query_row", h5t.array_create(h5t.NATIVE_INT32, (2,)), h5s.create_simple((4,)), creation
    )


def renamed_group(file: h5py.File, folder: Path) -> None:
    file["clips"] = file["clip"]
    del file["clip"]


def committed_type(file: h5py.File, folder: Path) -> None:
    del file["scale"]
    file["scale"] = np.dtype("f4")


def attribute(name: str, value: Any) -> Change:
    def change(file: h5py.File, folder: Path) -> None:
        del file.attrs[name]
        if value is not None:
            file.attrs[name] = value

    return change


def thousands_of_attributes(file: h5py.File, folder: Path) -> None:
    for number in range(20_000):
        h5a.create(file.id, b"a%d" % number, h5t.NATIVE_INT8, h5s.create(h5s.SCALAR))


def values(path: str, change: Callable[[np.ndarray], None]) -> Change:
    def apply(file: h5py.File, folder: Path) -> None:
        data = file[path][...]
        change(data)
        file[path][...] = data

    return apply


def put(place: Any, value: Any) -> Callable[[np.ndarray], None]:
    return lambda data: data.__setitem__(place, value)


HOSTILE: dict[str, tuple[Change, str]] = {
    "external link": (linked("scale", lambda f, d: h5py.ExternalLink(str(d.parent / "x.h5"), "/s")), "/scale is a link"),
    "external link, group": (linked("clip", lambda f, d: h5py.ExternalLink("../x.h5", "/")), "/clip is a link"),
    "soft link loop": (linked("scale", lambda f, d: h5py.SoftLink("/scale")), "/scale is a link"),
    "soft link to a sibling": (linked("clip/song", lambda f, d: h5py.SoftLink("/clip/track")), "/clip/song is a link"),
    "external storage": (external_storage, "not stored in chunks inside"),
    "virtual data set": (virtual, "not stored in chunks inside"),
    "virtual data set that grows": (unlimited_virtual, "not stored in chunks inside"),
    "hard-link cycle": (cycle, "same object|/clip/song is not a dataset"),
    "hard link twice": (same_object_twice, "same object"),
    "variable-length strings": (replaced("clip/track", dtype=h5py.string_dtype(), fletcher32=False), "only the checksum"),
    "object references": (
        lambda f, d: replaced("query_row", data=np.array([f.ref] * 4, h5py.ref_dtype), dtype=h5py.ref_dtype)(f, d),
        "type int32",
    ),
    "variable-length rows": (
        lambda f, d: replaced(
            "query_row", data=np.array([np.arange(2)] * 4 + [0], object)[:4], dtype=h5py.vlen_dtype("i4"), fletcher32=False
        )(f, d),
        "only the checksum",
    ),
    "compound": (replaced("query_row", data=np.zeros(4, "i4,i4"), dtype="i4,i4"), "type int32"),
    "array type": (array_type, "type int32"),
    "big-endian": (replaced("row", dtype=">i4"), "type int32"),
    "wider": (replaced("rms", dtype="f8"), "type float32"),
    "wrong rank": (lambda f, d: replaced("row", data=f["row"][...].ravel(), chunks=(28,))(f, d), "has shape"),
    "one clip more": (
        lambda f, d: replaced("query_row", data=np.zeros(5, "i4"), chunks=(5,))(f, d), "has shape"
    ),
    "other chunks": (replaced("row", chunks=(1, 7)), "in chunks of"),
    "missing member": (lambda f, d: f.__delitem__("rms"), "must hold exactly .*otherwise: rms"),
    "missing mask": (lambda f, d: f.__delitem__("masks/leaf-50"), "/masks must hold"),
    "extra member": (lambda f, d: f.__setitem__("clip/extra", 1), "/clip must hold exactly"),
    "renamed member": (renamed_group, "must hold exactly .*otherwise: clip"),
    "type in a data set's place": (committed_type, "/scale is not a dataset"),
    "data set in a group's place": (
        lambda f, d: (f.__delitem__("clip"), f.__setitem__("clip", 1))[0], "/clip is not a group"
    ),
    "unknown filter": (unknown_filter, "only the checksum fletcher32"),
    "gzip bomb": (
        lambda f, d: replaced("audio", data=np.zeros_like(f["audio"][...]), compression="gzip")(f, d),
        "only the checksum fletcher32",
    ),
    "no checksum": (replaced("scale", fletcher32=False), "only the checksum fletcher32"),
    "contiguous": (replaced("scale", chunks=None, fletcher32=False), "not stored in chunks inside"),
    "chunks missing": (
        lambda f, d: (
            shape := f["audio"].shape,
            f.__delitem__("audio"),
            f.create_dataset("audio", shape, "i2", chunks=(1, *shape[1:]), fletcher32=True),
        )[1],
        "parts of it are missing",
    ),
    "newer version": (attribute("format_version", np.int32(7)), "version 7; this slakh-hier reads version 2. Update"),
    "older version": (attribute("format_version", np.int32(1)), "version 1; this slakh-hier reads version 2. Run the same"),
    "other format": (attribute("format", np.bytes_(b"something")), "is not a slakh-hier-shard file"),
    "attribute missing": (attribute("sample_rate", None), "attribute sample_rate is missing"),
    "other rate": (attribute("sample_rate", np.int32(44_100)), "sample_rate is 44100, but the index says 8000"),
    "variable-length attribute": (
        lambda f, d: f.attrs.create("split", "train", dtype=h5py.string_dtype()), "split is not a plain scalar"
    ),
    "huge attribute": (
        lambda f, d: f.attrs.create("split", b"t" * 60_000, dtype="S60000"), "split is not a plain scalar"
    ),
    "array attribute": (attribute("sample_rate", np.arange(9)), "sample_rate is not a plain scalar"),
    "row too high": (values("row", put((0, 0), 10_000)), "leads out of"),
    "row too low": (values("row", put((0, 0), -3)), "leads out of"),
    "query row too high": (values("query_row", put(0, 10_000)), "leads out of"),
    "scale is NaN": (values("scale", put(0, np.nan)), "not positive and finite"),
    "scale is zero": (values("scale", put(0, 0)), "not positive and finite"),
    "clips of another split": (values("clip/split", put(1, b"test")), "another split"),
    "text is no UTF-8": (values("clip/track", put(1, b"\xff\xfe")), "a table of it is damaged"),
    "text steers the terminal": (values("clip/track", put(1, b"\x1b[2J")), "control characters"),
    "other nodes": (values("node/name", put(2, b"horns")), "nodes are not those"),
    "other tree": (values("node/parent", put(6, 1)), "nodes are not those"),
    "thousands of attributes": (thousands_of_attributes, "/ has 20,0.. attributes; at most 64 are read"),
    "start is NaN": (values("clip/start", put(1, np.nan)), "a clip's start is not a time: mix in clip 1"),
    "start is infinite": (values("clip/start", put(1, np.inf)), "a clip's start is not a time"),
    "start is negative": (values("clip/start", put(1, -0.5)), "a clip's start is not a time"),
    "query without a place": (values("clip/query_start", put(0, np.nan)), "a query is there in part only"),
    "query without a row": (values("query_row", put(0, -1)), "a query is there in part only"),
    "query without a track": (values("clip/query_track", put(0, b"")), "a query is there in part only"),
    "rows shuffled": (values("row", lambda data: data.ravel().sort()), "a node (that|which) .* level: "),
    "silent with a level": (values("row", put((0, 0), -2)), "a node that is silent has a level: mix in clip 0"),
    "absent with a level": (values("row", put((0, 0), -1)), "a node that is absent has a level: mix in clip 0"),
    "sounding without a level": (values("rms", put((0, 0), np.nan)), "a node that sounds has no level: mix"),
    "infinite level": (values("rms", put((0, 0), np.inf)), "a node that sounds has no level: mix"),
}  # fmt: skip


@pytest.fixture
def attack(make_set):
    """A function that changes the first shard of a set and expects it to be refused with a reason."""

    def run(change: Change, reason: str) -> None:
        made = make_set(splits={"train": [[0, 1, 2, 3]]})
        (made.folder / "secret").write_bytes(b"\0\0\x80?" * 100)
        made.edit(0, lambda file: change(file, made.folder))
        expect_refused(made, reason)

    return run


def expect_refused(made, reason):
    began = time.monotonic()
    tracemalloc.start()
    with pytest.raises(ShardError, match=reason) as caught:
        open_shards(made.folder)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert str(made.file()) in str(caught.value)
    assert time.monotonic() - began < 5
    assert peak < 20e6
    findings = verify(made.folder, full=True, jobs=1)
    assert any(finding.file == made.file().name for finding in findings)


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_content(attack, name):
    attack(*HOSTILE[name])


def test_a_signal_that_is_no_number_is_not_given_out(make_set, tmp_path):
    made = make_set(splits={"train": [[0, 1, 2, 3]]}, dtype="float32")
    made.edit(0, lambda file: file["audio"].__setitem__((0, 1, 7), np.nan))
    shards = open_shards(made.folder)
    clip, column = np.argwhere(shards.row == 0)[0]
    with pytest.raises(ShardError, match=r"train-00000\.h5: row 0 of /audio holds NaN or Inf"):
        shards.audio(clip, shards.nodes[column].name)
    with pytest.raises(ShardError, match="holds NaN or Inf"):
        export_clip(made.folder, int(clip), tmp_path / "out")


def test_gigantic_shapes(make_set):
    made = make_set(splits={"train": [[0, 1, 2, 3]]})
    image = io.BytesIO(made.file().read_bytes())
    rows = 2**31 - 1
    with h5py.File(image, "r+", libver=("v110", "v110")) as file:
        for name, shape, chunk in (("audio", (rows, 2, 2000), (1, 2, 2000)), ("scale", (rows,), (2**20,))):
            dtype = file[name].dtype
            del file[name]
            file.create_dataset(name, shape, dtype, chunks=chunk, fletcher32=True)
        assert file["audio"].nbytes > 4e12
    made.replace(0, image.getvalue())
    expect_refused(made, "has shape")
    made.rewrite_index(lambda raw: raw["shards"][0].update(rows=rows))  # an index that agrees
    expect_refused(made, "parts of it are missing")


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("truncated", cut),
        ("empty", lambda data: b""),
        ("text", lambda data: b"version https://git-lfs.github.com/spec/v1\n" * 20),
        ("only the signature", lambda data: data[:8]),
        ("random", lambda data: data[:96] + np.random.default_rng(0).bytes(len(data) - 96)),
        ("zeroed", lambda data: data[:512] + bytes(len(data) - 512)),
    ],
)
def test_no_hdf5(make_set, name, content):
    made = make_set(splits={"train": [[0, 1, 2, 3]]})
    made.replace(0, content(made.file().read_bytes()))
    expect_refused(made, "damaged or not an HDF5 file")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: path.mkdir(), "is a folder"),
        (os.mkfifo, "is a pipe"),
        (lambda path: path.symlink_to(path.parent / "copy.h5"), "is a symbolic link"),
        (lambda path: path.symlink_to("/etc/passwd"), "is a symbolic link"),
        (lambda path: None, "is not there"),
    ],
)
def test_no_regular_file(make_set, make, reason):
    made = make_set(splits={"train": [[0, 1, 2, 3]]})
    made.file().rename(made.folder / "copy.h5")
    make(made.file())
    expect_refused(made, reason)


def test_the_good_one_opens(make_set):
    """The helper's detour through h5py alone does not make a file hostile."""
    made = make_set(splits={"train": [[0, 1, 2, 3]]})
    made.edit(0, lambda file: None)
    assert len(open_shards(made.folder)) == 4
    assert verify(made.folder, full=True, jobs=1) == []


def test_hostile_mask_file(make_set):
    made = make_set(splits={"train": [[0, 1, 2, 3]]})
    add_mask(made.folder, Mask("leaf", 25))
    path = made.folder / "masks" / "leaf-25.h5"
    good = path.read_bytes()
    image = io.BytesIO(good)
    with h5py.File(image, "r+") as file:
        del file["masks/leaf-25"]
        file["masks/leaf-25"] = h5py.ExternalLink("/tmp/other.h5", "/x")
    path.write_bytes(image.getvalue())

    def agree(raw):
        raw["masks"][-1]["bytes"] = path.stat().st_size

    made.rewrite_index(agree)
    shards = open_shards(made.folder)
    with pytest.raises(ShardError, match=r"leaf-25\.h5: /masks/leaf-25 is a link"):
        shards.mask("leaf-25")
    assert [f.file for f in verify(made.folder)] == ["masks/leaf-25.h5"]

    path.write_bytes(good)
    made.rewrite_index(lambda raw: raw["masks"][-1].update(bytes=len(good), sha256="0" * 64))
    with pytest.raises(ShardError, match="sha256 differs"):
        open_shards(made.folder).mask("leaf-25")

    (made.folder / "masks").rename(made.folder / "elsewhere")
    (made.folder / "masks").symlink_to("elsewhere")
    with pytest.raises(ShardError, match="links are not followed"):
        open_shards(made.folder).mask("leaf-25")
