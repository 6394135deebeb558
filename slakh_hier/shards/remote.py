"""Shard sets in object storage or on a web server: whole files in a local cache, verified before they are used.

Clips are read from many places of a shard, row by row, over and over in a training. So a shard is fetched once as a
whole (some 64 MB, one request), its sha256 is compared with the one that ``index.json`` lists, and it is read from
the local disk from then on. The cache holds each file under its sha256, and for every state of a set a folder of hard
links to them: a mask that is added to the set fetches no shard again.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from typing import Any

from slakh_hier.errors import FaultError, InputError, MissingExtraError, ShardError, SlakhHierError
from slakh_hier.files import (
    ABANDONED_SECONDS,
    TEMPORARY_PREFIX,
    cache_folder,
    make_folder,
    publish,
    remove_temporaries,
    require_free,
    sync_folder,
    temporary_file,
)
from slakh_hier.progress import Progress, Silent
from slakh_hier.shards.index import INDEX_NAME, MAX_INDEX_BYTES, Index, read_index

BLOCK = 4 << 20


def is_url(folder: str | PathLike[str]) -> bool:
    """Whether a set is named by an address (``s3://...``) and not by a folder."""
    return isinstance(folder, str) and "://" in folder


def local_set(
    folder: str | PathLike[str], split: str | None = None, *, progress: Progress | None = None
) -> Path:
    """The folder of a set on this machine; one named by an address is fetched into the cache first.

    Parameters
    ----------
    folder
        A folder (returned as it is), or an address that fsspec knows: ``https://``, ``s3://``, ``gs://``, ``memory://``.
    split
        Fetch only this split's shards; None: all. The masks' files always come too.

    Raises
    ------
    MissingExtraError
        fsspec, or what it needs for such an address, is not installed.
    InputError
        Nothing of ours is there, or the address is of no known kind.
    ShardError
        The index is damaged, or a file is not the one it lists.
    FaultError
        The connection failed or the disk is full; what was fetched is kept.
    """
    if not is_url(folder):
        return Path(folder)
    url = str(folder).rstrip("/")
    store = _Store(url)
    data = store.read_index()
    sets = make_folder(cache_folder() / "shards")
    name = hashlib.sha256(url.encode()).hexdigest()[:16], hashlib.sha256(data).hexdigest()[:16]
    here = make_folder(sets / "-".join(name))
    index = _index(here, data, url)
    wanted = [
        (shard.file, shard.bytes, shard.sha256) for shard in index.shards if split in (None, shard.split)
    ]
    wanted += [
        (mask.file, mask.bytes, mask.sha256)
        for mask in index.masks
        if mask.file and mask.bytes and mask.sha256
    ]
    missing = [entry for entry in wanted if not _is_there(here / entry[0], entry[1])]
    objects = make_folder(sets / "objects")
    for place in {objects, here, *((here / file).parent for file, _, _ in wanted)}:
        remove_temporaries(place, older_than=ABANDONED_SECONDS)
    absent = sum(size for _, size, digest in missing if not _is_there(objects / digest, size))
    require_free(objects, absent, f"fetching {url}")
    with (progress or Silent()).stage("fetching shards", absent / 1e6, "MB") as advance:
        for file, size, digest in missing:
            if not _is_there(objects / digest, size):
                store.fetch(file, objects / digest, size, digest)
                advance(size / 1e6)
            _link(objects / digest, here / file)
    return here


class _Store:
    """One address, through fsspec."""

    def __init__(self, url: str):
        self.url = url
        try:
            import fsspec
        except ImportError as error:
            raise MissingExtraError("fsspec", "remote") from error
        try:
            self._system, self._root = fsspec.core.url_to_fs(url)
        except ImportError as error:  # such as "Install s3fs to access S3"
            raise InputError(f"{url}: {error}; with pip, for example: pip install s3fs") from error
        except (ValueError, OSError) as error:
            raise InputError(f"{url}: {error}") from error

    def read_index(self) -> bytes:
        try:
            with self._opened(INDEX_NAME) as file:
                data: bytes = file.read(MAX_INDEX_BYTES + 1)
        except FileNotFoundError:
            raise InputError(f"{self.url}: holds no finished set of shards (no {INDEX_NAME})") from None
        if len(data) > MAX_INDEX_BYTES:
            raise ShardError(f"{self.url}/{INDEX_NAME}: has more than {MAX_INDEX_BYTES} bytes")
        return data

    def fetch(self, file: str, target: Path, size: int, digest: str) -> None:
        """Fetch a file whole, or not at all: never more bytes than the index lists."""
        found, count = hashlib.sha256(), 0
        try:
            with temporary_file(target.parent) as (handle, temporary):
                with self._opened(file) as source, open(handle, "wb", closefd=False) as copy:
                    while block := source.read(BLOCK):
                        count += len(block)
                        if count > size:
                            break
                        found.update(block)
                        _write(copy, block, target)
                if count != size or found.hexdigest() != digest:
                    what = "sha256 differs" if count == size else f"{count} bytes or more instead of {size}"
                    raise ShardError(
                        f"{self.url}/{file}: is not the file that the index lists ({what}). Nothing was kept of it; put "
                        "the set there again from a copy that `slakh-hier verify --full` finds whole"
                    )
                os.fsync(handle)
                os.replace(temporary, target)
            sync_folder(target.parent)
        except FileNotFoundError:
            raise ShardError(f"{self.url}/{file}: is not there, but the index lists it") from None

    @contextmanager
    def _opened(self, file: str) -> Iterator[Any]:
        """A file to read; what goes wrong on the way becomes one kind of error."""
        try:
            with self._system.open(f"{self._root.rstrip('/')}/{file}", "rb") as opened:
                yield opened
        except SlakhHierError:
            raise
        except Exception as error:  # every kind of storage has errors of its own
            if _is_absence(error):
                raise
            why = error.__cause__ or error
            raise FaultError(
                f"{self.url}/{file}: cannot be fetched ({type(why).__name__}: {why}). Try again: what is fetched is kept"
            ) from error


def _is_absence(error: Exception) -> bool:
    """Whether the file is not there; fsspec says so too when no connection comes about, with another cause."""
    cause = error.__cause__
    known = cause is None or isinstance(cause, FileNotFoundError) or getattr(cause, "status", 0) == 404
    return isinstance(error, FileNotFoundError) and known


def _write(copy: Any, block: bytes, target: Path) -> None:
    try:
        copy.write(block)
        copy.flush()
    except OSError as error:
        raise FaultError(
            f"cannot write {target}: {error.strerror}. Make room in the cache ({cache_folder()}), or set SLAKH_HIER_CACHE "
            "to another place"
        ) from error


def _index(here: Path, data: bytes, url: str) -> Index:
    """Check the index that was fetched, and put it into the set's folder."""
    if not (here / INDEX_NAME).is_file() or (here / INDEX_NAME).read_bytes() != data:
        publish(here / INDEX_NAME, data)
    try:
        return read_index(here)
    except ShardError as error:
        (here / INDEX_NAME).unlink(missing_ok=True)
        raise ShardError(f"{url}: {error}") from None


def _is_there(path: Path, size: int) -> bool:
    # Its content was compared when it was fetched, and every part of it carries a checksum.
    return path.is_file() and path.stat().st_size == size


def _link(source: Path, target: Path) -> None:
    """Give a fetched file its name in a set, in one step."""
    make_folder(target.parent)
    temporary = target.with_name(f"{TEMPORARY_PREFIX}{secrets.token_hex(8)}")
    try:
        os.link(source, temporary)
        os.replace(temporary, target)
    except OSError as error:
        raise FaultError(f"cannot write {target}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
