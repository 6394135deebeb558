"""Shard sets in object storage or on a web server: whole files in a local cache, verified before they are used.

Clips are read from many places of a shard, row by row, over and over in a training. So a shard is fetched once as a
whole (some 64 MB, one request), its sha256 is compared with the one that ``index.json`` lists, and it is read from
the local disk from then on. The cache holds each file under its sha256, and for every state of a set a folder of hard
links to them: a mask that is added to the set fetches no shard again.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from slakh_hier.caches import ABANDONED_SECONDS, cache_folder
from slakh_hier.errors import ShardError
from slakh_hier.files import (
    TEMPORARY_PREFIX,
    cannot_write,
    make_folder,
    publish,
    remove_temporaries,
    require_free,
    sha256,
)
from slakh_hier.paths import StrPath
from slakh_hier.progress import Wanted, shown
from slakh_hier.shards.index import INDEX_NAME, Index, read_index
from slakh_hier.shards.store import Store


def is_url(folder: StrPath) -> bool:
    """Whether a set is named by an address (``s3://...``) and not by a folder."""
    return isinstance(folder, str) and "://" in folder


def local_set(folder: StrPath, split: str | None = None, *, progress: Wanted = None) -> Path:
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
    store = Store(url)
    sets = make_folder(cache_folder() / "shards")
    data = store.read_index(sets)
    here = make_folder(sets / f"{sha256(url.encode())[:16]}-{sha256(data)[:16]}")
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
    for place in {sets, objects, here, *((here / file).parent for file, _, _ in wanted)}:
        remove_temporaries(place, older_than=ABANDONED_SECONDS)
    absent = sum(size for _, size, digest in missing if not _is_there(objects / digest, size))
    require_free(objects, absent, f"fetching {url}")
    with shown(progress).stage("fetching shards", absent / 1e6, "MB") as advance:
        for file, size, digest in missing:
            if not _is_there(objects / digest, size):
                store.fetch(file, objects / digest, size, digest)
                advance(size / 1e6)
            _link(objects / digest, here / file)
    return here


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
        raise cannot_write(target, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
