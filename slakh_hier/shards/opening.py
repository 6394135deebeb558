"""Opening an HDF5 file that may be damaged or hostile: it is what the index promises, or it is refused.

Everything is compared with the schema before a value is read (what HDF5 may be made to do: see
:mod:`slakh_hier.plain_hdf5`), which takes a few milliseconds.
This does not protect against flaws of the HDF5 library itself: see docs/shard-format.md on security.
"""

from __future__ import annotations

import errno
import math
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
from h5py import h5z

from slakh_hier.errors import ShardError, SlakhHierError
from slakh_hier.plain_hdf5 import (
    NotPlainError,
    attributes,
    check_group,
    chunks_of,
    filters_of,
    is_type,
    open_dataset,
)
from slakh_hier.shards.format import (
    FLETCHER32_BYTES,
    FORMAT_VERSION,
    MASK_FILE_ATTRIBUTES,
    MASK_FORMAT,
    MAX_STRING,
    SHARD_ATTRIBUTES,
    SHARD_FORMAT,
    Dataset,
    Size,
    mask_table,
    schema,
)
from slakh_hier.shards.index import MASK_FOLDER, Index, MaskRecord, ShardRecord, other_version

ADVICE: Final = (
    "Do not use it: slakh-hier verify lists all damage, and the same slakh-hier render command makes the file "
    "again (or fetch it again from its source)"
)


class RefusedError(ShardError):
    """A file of a set that must not be used: which, why, and what to do."""

    def __init__(self, path: Path, reason: str, advice: str = ADVICE):
        self.path, self.reason, self.advice = path, reason, advice
        super().__init__(f"{path}: {reason}. {advice}")

    def __reduce__(self) -> tuple[type[RefusedError], tuple[Path, str, str]]:
        return type(self), (self.path, self.reason, self.advice)  # pickled by workers


CACHE_BYTES: Final = 1 << 20
"""Of rows that HDF5 keeps for an open file. It reads each once, and its own 8 MB would be 1 GB for 128 open files."""


@dataclass(frozen=True)
class ExpectedFile:
    """What a file must be: its size, its root attributes (None: any value) and its datasets."""

    path: Path
    bytes: int
    attributes: Mapping[str, Any]
    datasets: Sequence[Dataset]


def expected_shard(folder: Path, index: Index, shard: ShardRecord) -> ExpectedFile:
    """What the index says of a shard."""
    sizes: dict[Size, int] = {
        "clips": shard.clips,
        "rows": shard.rows,
        "nodes": len(index.nodes),
        "channels": index.channels,
        "samples": index.samples,
    }
    rendered = [mask.name for mask in index.masks if mask.file is None]
    known = {
        "format": SHARD_FORMAT,
        "sample_rate": index.sample_rate,
        "channels": index.channels,
        "clip_seconds": index.clip_seconds,
        "split": shard.split,
        "first_clip": shard.first_clip,
    }
    attributes = _attributes(SHARD_ATTRIBUTES, index, known)
    return ExpectedFile(folder / shard.file, shard.bytes, attributes, schema(sizes, index.dtype, rendered))


def expected_mask(folder: Path, index: Index, mask: MaskRecord) -> ExpectedFile:
    """What the index says of a mask file."""
    assert mask.file is not None
    assert mask.bytes is not None
    dataset = mask_table(mask.name).sized({"clips": index.clips, "nodes": len(index.nodes)})
    attributes = _attributes(MASK_FILE_ATTRIBUTES, index, {"format": MASK_FORMAT})
    return ExpectedFile(folder / mask.file, mask.bytes, attributes, (dataset,))


def _attributes(declared: Mapping[str, type], index: Index, known: Mapping[str, Any]) -> dict[str, Any]:
    known = {**known, "format_version": FORMAT_VERSION, "plan_digest": index.plan_digest}
    return {name: known.get(name) for name in declared}


def open_checked(expected: ExpectedFile) -> h5py.File:
    """Open a file for reading, without locking, and compare everything but its values with what is expected.

    Raises
    ------
    ShardError
        The file is not there or is not what is expected; the message names it and the reason.
    """
    check_file(expected)
    with damage(expected.path):
        file = open_again(expected.path)
        try:
            _check_attributes(file, expected)
            _check_members(file, expected)
        except BaseException:
            file.close()
            raise
    return file


def open_again(path: Path) -> h5py.File:
    """Open a file that was checked before. Shards are written once, so that no lock is needed."""
    try:
        return h5py.File(path, "r", locking=False, rdcc_nbytes=CACHE_BYTES)
    except OSError as error:
        if "locking flag" not in str(error):
            raise
        # This process has the file open through plain h5py, and HDF5 wants one way of locking for both.
        return h5py.File(path, "r", locking="best-effort", rdcc_nbytes=CACHE_BYTES)


def check_file(expected: ExpectedFile) -> os.stat_result:
    """Compare what can be known without opening: a regular file inside the folder, of the right size."""
    path = expected.path
    try:
        about = path.lstat()
        if path.parent.name == MASK_FOLDER and path.parent.is_symlink():
            raise RefusedError(path.parent, "is a link, and links are not followed out of the folder")
    except OSError as error:
        reason = (
            "is not there" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        )
        raise RefusedError(path, f"{reason}, but the index lists it") from None
    if not stat.S_ISREG(about.st_mode):
        raise RefusedError(path, f"is {_kind(about.st_mode)}, not a regular file")
    if about.st_size != expected.bytes:
        raise RefusedError(path, f"has {about.st_size} bytes, but the index says {expected.bytes}")
    return about


@contextmanager
def damage(path: Path, what: str = "") -> Iterator[None]:
    """Turn whatever the HDF5 library says about a broken file into a :class:`ShardError` that names it."""
    try:
        yield
    except SlakhHierError:
        raise
    except NotPlainError as error:
        raise RefusedError(path, f"{what}{error}") from error
    except (
        Exception
    ) as error:  # the library has no error class of its own: OSError, KeyError, ValueError, ...
        if (advice := _no_damage(error)) is not None:
            raise RefusedError(path, f"cannot be opened: {os.strerror(error.errno)}", advice) from error  # type: ignore[attr-defined]
        raise RefusedError(path, f"{what}is damaged or not an HDF5 file: {first_line(error)}") from error


def _no_damage(error: Exception) -> str | None:
    """What to do about an error that says nothing of the file itself; None for all others."""
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.EMFILE, errno.ENFILE):
        return "Let the process open more files (ulimit -n), or give open_shards a smaller max_open"
    if number in (errno.EACCES, errno.EPERM):
        return "Give yourself the right to read it"
    return None


def _check_attributes(file: h5py.File, expected: ExpectedFile) -> None:
    found, path = attributes(file), expected.path
    if found.get("format") != expected.attributes["format"]:
        raise RefusedError(
            path, f"is not a {expected.attributes['format']} file (format {found.get('format')!r})"
        )
    version = found.get("format_version")
    if isinstance(version, int) and version != FORMAT_VERSION:
        raise RefusedError(path, *other_version(version))
    if missing := sorted(expected.attributes.keys() ^ found.keys()):
        raise RefusedError(path, f"attribute {missing[0]} is missing or does not belong there")
    for name, value in expected.attributes.items():
        if value is not None and found[name] != value:
            raise RefusedError(
                path,
                f"is a file of another set or place: {name} is {found[name]!r}, but the index says {value!r}",
            )


def _check_members(file: h5py.File, expected: ExpectedFile) -> None:
    groups: dict[str, set[str]] = {"": set()}
    for dataset in expected.datasets:
        folder, _, name = dataset.path.rpartition("/")
        groups[""].add(folder or name)
        groups.setdefault(folder, set()).add(name)
    for folder, names in groups.items():
        check_group(file.id, folder or "/", names)
    stored = sum(_check_dataset(file, dataset, expected.path) for dataset in expected.datasets)
    if stored > expected.bytes:
        raise RefusedError(expected.path, f"declares {stored} bytes of data, more than it has")


def _check_dataset(file: h5py.File, expected: Dataset, path: Path) -> int:
    """Compare one dataset with the schema; returns the bytes it stores."""
    where = f"/{expected.path}"
    found = open_dataset(file.id, expected.path, where)
    if (filters := filters_of(found)) != [h5z.FILTER_FLETCHER32]:
        raise RefusedError(path, f"{where} has filters {filters}; only the checksum fletcher32 is allowed")
    dtype = None if expected.field == "S" else np.dtype(expected.field)
    kind, creation = found.get_type(), found.get_create_plist()
    if not is_type(kind, dtype, MAX_STRING):
        name = "fixed-length string" if dtype is None else expected.field
        raise RefusedError(path, f"{where} does not have type {name}")
    if found.shape != expected.shape or creation.get_chunk() != expected.chunk:
        raise RefusedError(
            path,
            f"{where} has shape {found.shape} in chunks of {creation.get_chunk()}, "
            f"but the index says {expected.shape} in chunks of {expected.chunk}",
        )
    chunk = math.prod(expected.chunk) * kind.get_size() + FLETCHER32_BYTES
    stored: int = chunks_of(expected.shape, expected.chunk) * chunk
    if (there := found.get_storage_size()) != stored:
        raise RefusedError(path, f"{where} stores {there} bytes instead of {stored}: parts of it are missing")
    return stored


def _kind(mode: int) -> str:
    for test, name in (
        (stat.S_ISLNK, "a symbolic link"),
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
    ):
        if test(mode):
            return name
    return "a special file"


def first_line(error: Exception) -> str:
    """What an exception says, cut to a line that fits into a message."""
    return (str(error).splitlines() or [type(error).__name__])[0][:300]
