"""One address of files, through fsspec: each is copied whole, with a limit of bytes and of patience."""

from __future__ import annotations

import os
import queue
import threading
import time
from pathlib import Path
from typing import Any, Final, NoReturn

from slakh_hier.caches import CACHE_VARIABLE, cache_folder
from slakh_hier.errors import FaultError, InputError, MissingExtraError, ShardError
from slakh_hier.files import file_sha256, sync_folder, temporary_file
from slakh_hier.plain_files import FULL
from slakh_hier.shards.index import INDEX_NAME, MAX_INDEX_BYTES

PATIENCE_SECONDS: Final = 30.0
"""So long may fewer than :data:`LEAST_BYTES` come, the connection and the answer included: a server that accepts and
never answers, or that drips, would hold up a training for ever."""
LEAST_BYTES: Final = 32 << 10
POLL_SECONDS: Final = 0.05
DENIED: Final = (401, 403)


class Store:
    """Files below one address.

    Parameters
    ----------
    url
        Of any kind that fsspec knows, without a slash at its end.

    Raises
    ------
    MissingExtraError
        fsspec is not installed.
    InputError
        The address is of no known kind, or its kind needs a package that is not installed.
    """

    def __init__(self, url: str):
        self.url = url
        try:
            import fsspec
        except ImportError as error:
            raise MissingExtraError("fsspec", "remote") from error
        try:
            self._system, self._root = fsspec.core.url_to_fs(url, **_options(url))
        except ImportError as error:  # such as "Install s3fs to access S3"
            raise InputError(f"{url}: {error} (for s3://, pip install 'slakh-hier[s3]')") from error
        except (ValueError, OSError) as error:
            raise InputError(f"{url}: {error}") from error

    def read_index(self, folder: Path) -> bytes:
        """The bytes of ``index.json``, by way of a temporary file in ``folder``.

        Raises
        ------
        InputError
            There is none, or access is denied.
        ShardError
            It is larger than an index may be.
        FaultError
            It cannot be fetched, or the server is too slow (:data:`PATIENCE_SECONDS`).
        """
        with temporary_file(folder) as (_, temporary):
            try:
                count = self._copy(INDEX_NAME, temporary, MAX_INDEX_BYTES)
            except FileNotFoundError:
                raise InputError(f"{self.url}: holds no finished set of shards (no {INDEX_NAME})") from None
            if count > MAX_INDEX_BYTES:
                raise ShardError(f"{self.url}/{INDEX_NAME}: has more than {MAX_INDEX_BYTES} bytes")
            return temporary.read_bytes()

    def fetch(self, file: str, target: Path, size: int, digest: str) -> None:
        """Fetch a file whole, or not at all.

        Raises
        ------
        InputError
            Access is denied.
        ShardError
            It is not there, or not the file of this size and sha256.
        FaultError
            It cannot be fetched, the server is too slow (:data:`PATIENCE_SECONDS`), or the disk is full.
        """
        with temporary_file(target.parent) as (handle, temporary):
            try:
                count = self._copy(file, temporary, size)
            except FileNotFoundError:
                raise ShardError(f"{self.url}/{file}: is not there, but the index lists it") from None
            if count != size or file_sha256(temporary) != digest:
                what = "sha256 differs" if count == size else f"{count} bytes or more instead of {size}"
                raise ShardError(
                    f"{self.url}/{file}: is not the file that the index lists ({what}). Nothing was kept of it; put the set "
                    "there again from a copy that `slakh-hier verify --full` finds whole"
                )
            os.fsync(handle)
            os.replace(temporary, target)
        sync_folder(target.parent)

    def _copy(self, file: str, target: Path, most: int) -> int:
        """Copy a file to ``target`` and return its bytes; it is stopped where they are more than ``most``.

        The storage's own library works in a thread, since few have time-outs that hold; raises ``FileNotFoundError``
        where there is no such file, else as :meth:`fetch`.
        """
        from fsspec.callbacks import Callback

        stopped = threading.Event()
        answers: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
        reported = 0  # bytes that came, where the library says so: some lie in a buffer yet

        def step(size: int | None, value: int) -> None:
            nonlocal reported
            reported = value
            if stopped.is_set():
                raise TimeoutError("nobody waits for it any more")

        def work() -> None:
            path = f"{self._root.rstrip('/')}/{file}"
            try:
                self._system.get_file(path, str(target), callback=Callback(hooks={"step": step}))
            except Exception as error:  # noqa: BLE001 (every kind of storage has errors of its own)
                answers.put(error)
            else:
                answers.put(None)

        threading.Thread(target=work, name=f"fetch {file}", daemon=True).start()
        mark, since = 0, time.monotonic()
        try:
            while (count := max(reported, target.stat().st_size)) <= most:
                try:
                    if (error := answers.get(timeout=POLL_SECONDS)) is not None:
                        self._explain(error, file, target)
                    return target.stat().st_size
                except queue.Empty:
                    now = time.monotonic()
                if count - mark >= LEAST_BYTES:
                    mark, since = count, now
                elif now - since > PATIENCE_SECONDS:
                    came = f"only {count - mark:,} bytes came" if count else "no answer came"
                    raise FaultError(
                        f"{self.url}/{file}: {came} in {PATIENCE_SECONDS:g} s. Try again when the server answers: what is "
                        "fetched is kept"
                    )
            return count
        finally:
            stopped.set()

    def _explain(self, error: Exception, file: str, target: Path) -> NoReturn:
        """Raise one kind of error for whatever went wrong on the way."""
        if _is_absence(error):
            raise FileNotFoundError(file) from error
        cause = error.__cause__ or error
        why = f"{type(cause).__name__}: {' '.join(str(cause).split())}"
        if _is_denied(error):
            raise InputError(
                f"{self.url}/{file}: access is denied ({why}). Check the address and your credentials "
                "(for s3:// AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY or a profile)"
            ) from error
        if isinstance(error, OSError) and error.errno in FULL - {None}:
            raise FaultError(
                f"cannot write {target.parent}: {error.strerror}. Free disk space in the cache ({cache_folder()}), or set "
                f"{CACHE_VARIABLE} to another place"
            ) from error
        raise FaultError(
            f"{self.url}/{file}: cannot be fetched ({why}). Try again: what is fetched is kept"
        ) from error


def _options(url: str) -> dict[str, Any]:
    """Options of the library for such addresses: aiohttp else ends every copy after five minutes."""
    if not url.startswith(("http://", "https://")):
        return {}
    try:
        from aiohttp import ClientTimeout
    except ImportError:
        return {}  # fsspec says what is missing
    later = 2 * PATIENCE_SECONDS  # ends the thread that nobody waits for any more
    return {"client_kwargs": {"timeout": ClientTimeout(total=None, sock_connect=later, sock_read=later)}}


def _is_absence(error: Exception) -> bool:
    """Whether the file is not there; fsspec says so too when no connection comes about, with another cause."""
    cause = error.__cause__
    known = cause is None or isinstance(cause, FileNotFoundError) or _status(cause) == 404
    return isinstance(error, FileNotFoundError) and known


def _is_denied(error: BaseException) -> bool:
    """Whether the storage wants other credentials; without any, boto has an error of its own."""
    named = type(error).__name__ in ("NoCredentialsError", "PartialCredentialsError")
    cause = error.__cause__
    return (
        named
        or isinstance(error, PermissionError)
        or _status(error) in DENIED
        or (cause is not None and _is_denied(cause))
    )


def _status(error: BaseException) -> int:
    """The HTTP status that an error tells of; 0 for others."""
    response = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    return int(getattr(error, "status", 0) or 0)
