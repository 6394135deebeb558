"""Files that are complete or not there: atomic publishing, digests, temporary files, free space."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import math
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from slakh_hier.errors import FaultError, InputError
from slakh_hier.locks import Owner
from slakh_hier.plain_files import FULL, open_plain, remedy

Bytes = bytes | bytearray | memoryview
TEMPORARY_PREFIX = ".tmp-"


def publish(path: Path, data: Bytes | Iterable[Bytes], *, owner: Owner | None = None) -> None:
    """Write ``data`` so that ``path`` is either complete, on disk and named, or untouched.

    The bytes go to a temporary name in the same folder, are fsynced and renamed; then the folder is fsynced. What a
    killed process left of the same file under such a name is removed first, unless ``owner`` is given: then the run that
    holds the folder's lock does that.

    Parameters
    ----------
    path
        The final name. An existing file is replaced.
    data
        The whole content, or parts of it that are made as they are written.
    owner
        In a worker: the run that gave the task. When that has ended, nothing is published. Its lock is read just before the
        renaming: a run that begins between the two, some microseconds, is not seen.

    Raises
    ------
    FaultError
        The disk is full, the file cannot be written, or ``owner`` has ended; the temporary file is removed.
    """
    with replacing([path], data, owner=owner) as (temporary,), open(temporary, "r+b") as file:
        file.writelines([data] if isinstance(data, Bytes) else data)


@contextmanager
def replacing(
    paths: Sequence[Path], data: object = None, *, owner: Owner | None = None
) -> Iterator[list[Path]]:
    """Empty files under temporary names, which get the names ``paths`` when the block ends well: see :func:`publish`.

    Parameters
    ----------
    data
        What will be written, where an error is to name its size.

    Raises
    ------
    FaultError
        An OSError came out of the block, or ``owner`` has ended; no file is replaced.
    """
    try:
        with ExitStack() as stack:
            files = []
            for path in paths:
                if owner is None:
                    _remove_abandoned(path)
                target = path.name if owner is None else None
                files.append(stack.enter_context(temporary_file(path.parent, target=target)))
            yield [temporary for _, temporary in files]
            for handle, _ in files:
                os.fsync(handle)
            if owner is not None:
                owner.check()
            for (handle, temporary), path in zip(files, paths, strict=True):
                os.replace(temporary, path)
                _unlock(handle)
            for folder in {path.parent for path in paths}:
                sync_folder(folder)
    except OSError as error:
        raise cannot_write(paths[0], error, data) from error


def cannot_write(path: Path, error: OSError, data: object = None) -> FaultError:
    """The error for ``path``, which the system refuses to write: how much was to be written, what is free, what to do."""
    room = ""
    if error.errno in FULL:
        size = f"{memoryview(data).nbytes / 1e6:.1f} MB, " if isinstance(data, Bytes) else ""
        place = next((folder for folder in path.absolute().parents if folder.is_dir()), Path("/"))
        room = f" ({size}{shutil.disk_usage(place).free / 1e6:.1f} MB free)"
    return FaultError(
        f"cannot write {path}{room}: {error.strerror or error}. What is finished is kept; {remedy(path, error)}"
    )


def publish_folder(folder: Path, target: Path, *, owner: Owner | None = None) -> None:
    """Rename a finished folder to ``target``, with all its files on disk; a folder of that name is replaced.

    Parameters
    ----------
    folder
        On the same file system as ``target``, under a name that starts with :data:`TEMPORARY_PREFIX`. What lies between
        the folder that holds it and ``target`` is not followed through links.
    owner
        As for :func:`publish`.

    Raises
    ------
    OSError
        A file cannot be synced or the folder not be renamed; ``folder`` is left to the caller.
    FaultError
        ``owner`` has ended; ``folder`` is left to the caller.
    InputError
        ``target``, or a folder on the way to it, is a symbolic link; ``folder`` is left to the caller.
    """
    if folder.parent in target.parents:
        for place in (target, *target.parents[: target.parents.index(folder.parent)]):
            refuse_link(place)
    folders = {folder}
    for path in folder.rglob("*"):
        if path.is_dir():
            folders.add(path)
            continue
        with open(path, "rb") as file:
            os.fsync(file.fileno())
    target.parent.mkdir(parents=True, exist_ok=True)
    for path in folders:
        sync_folder(path)
    if owner is not None:
        owner.check()
    replaced = folder.with_name(f"{folder.name}-replaced")
    shutil.rmtree(replaced, ignore_errors=True)
    try:
        _rename_over(folder, target, replaced)
    finally:
        shutil.rmtree(replaced, ignore_errors=True)
    sync_folder(target.parent)


def _rename_over(folder: Path, target: Path, replaced: Path) -> None:
    """Rename a folder onto one that may be there and hold files, which is not possible in one step."""
    attempts = 10
    for attempt in range(attempts):
        try:
            os.rename(folder, target)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST) or attempt == attempts - 1:
                raise
        shutil.rmtree(replaced, ignore_errors=True)
        with suppress(FileNotFoundError):  # Dask may run a task twice, and the other one was faster
            os.rename(target, replaced)


@contextmanager
def temporary_file(folder: Path, *, target: str | None = None) -> Iterator[tuple[int, Path]]:
    """A new file of a temporary name in ``folder``: its open handle and its path. Not renamed, it is gone afterwards.

    Parameters
    ----------
    target
        The name that it is to get. Then the temporary one tells it, and the file is locked as long as this process has
        it open, so that another process knows one that was left behind. None: who locks the folder cleans it.
    """
    # Not mkstemp: its files are private, and reading the umask to fix that is not safe with threads.
    path = folder / f"{_lead(target)}{secrets.token_hex(8)}"
    handle = -1
    try:  # before the file is made, since Ctrl-C can come while the system makes it
        while handle < 0:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            if target is not None and not _lock(handle, path):
                os.close(handle)
                handle = -1
        yield handle, path
    finally:
        path.unlink(missing_ok=True)
        if handle >= 0:
            os.close(handle)


def _lead(target: str | None) -> str:
    """How a temporary name for ``target`` begins."""
    if target is None:
        return TEMPORARY_PREFIX
    some = os.fsdecode(os.fsencode(target)[:200])  # a name has 255 bytes at most
    return f"{TEMPORARY_PREFIX}{some}-"


def _lock(handle: int, path: Path) -> bool:
    """Lock a new file; False where another process took it for an abandoned one before, and removed it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        return os.path.samestat(os.fstat(handle), path.lstat())
    except FileNotFoundError:
        return False
    except OSError:  # a file system without locks: nobody can find the file abandoned
        return True


def _unlock(handle: int) -> None:
    """A file that has its name is not ours alone; a process forked meanwhile would still hold its lock."""
    with suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_UN)


def _remove_abandoned(path: Path) -> None:
    """Remove what a killed process left of ``path`` under temporary names: files that no process has locked."""
    lead = _lead(path.name)
    with suppress(OSError):  # a folder that cannot be listed may still be written to
        for name in os.listdir(path.parent):
            if name.startswith(lead) and len(name) == len(lead) + 16:
                _remove_unlocked(path.with_name(name))


def _remove_unlocked(path: Path) -> None:
    with suppress(OSError):  # another process may hold it, rename it or remove it too
        handle = open_plain(path, os.O_RDWR)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        finally:
            os.close(handle)


@contextmanager
def temporary_folder(folder: Path, name: str) -> Iterator[Path]:
    """A new folder of a temporary name in ``folder``; not renamed, it is gone afterwards.

    No two have the same name, even when a worker of a killed run still works on what a new run makes again.
    """
    path = folder / f"{TEMPORARY_PREFIX}{name}-{secrets.token_hex(4)}"
    try:
        path.mkdir()
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def publish_json(path: Path, value: Any) -> None:
    """:func:`publish` a value as indented JSON with a final newline.

    Raises
    ------
    ValueError
        A number is not finite: JSON has no word for it, and other programs would refuse the file.
    """
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    publish(path, text.encode(errors="backslashreplace"))  # a path that is not UTF-8: JSON's own spelling


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` survive a power loss."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sha256(data: Bytes) -> str:
    """Hex digest of bytes in memory."""
    return hashlib.sha256(data).hexdigest()


def md5(data: Bytes) -> str:
    """Hex digest by which songs are known, as in Slakh's metadata; it protects nothing."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def file_sha256(path: Path) -> str:
    """Hex digest of a file, read in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def make_folder(path: Path) -> Path:
    """Create an output folder (and its parents); an error that names it where that is not possible."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be used as a folder: {error.strerror}") from error
    return path


def make_own_folder(path: Path) -> Path:
    """:func:`make_folder` below an untrusted folder: an error where it is a symbolic link."""
    return make_folder(refuse_link(path))


def refuse_link(path: Path) -> Path:
    """An error that names ``path`` where it is a symbolic link, else ``path``: something is to be written there."""
    if path.is_symlink():
        raise InputError(
            f"{path}: is a symbolic link; nothing is written through one below the folder you name. Remove it, or put what "
            "it leads to in its place"
        )
    return path


def remove_temporaries(folder: Path, *, older_than: float | None = None) -> list[Path]:
    """Remove what a killed run left behind. Without an age, call it only while holding the folder's lock.

    Parameters
    ----------
    older_than
        Seconds since the last write: what is younger may be another run's, where runs share a folder without a lock.
        Then only files are removed.

    Returns
    -------
    The files.
    """
    last_write = math.inf if older_than is None else time.time() - older_than
    removed = []
    for path in folder.glob(f"{TEMPORARY_PREFIX}*"):
        with suppress(FileNotFoundError):  # another run may remove it too
            about = path.lstat()
            if stat.S_ISDIR(about.st_mode):
                if older_than is None:
                    shutil.rmtree(path, ignore_errors=True)
            elif about.st_mtime < last_write:
                path.unlink()
                removed.append(path)
    return removed


def require_free(folder: Path, needed: int, what: str) -> None:
    """Raise before work starts when ``folder``'s file system has no room for ``needed`` bytes plus 5 %."""
    free = shutil.disk_usage(folder).free
    if free < needed * 1.05:
        raise FaultError(
            f"{folder}: {what} needs {_size(needed)}, but only {_size(free)} are free. Nothing was written; free "
            "disk space or choose another folder"
        )


def _size(count: int) -> str:
    return f"{count / 1e9:.2f} GB" if count >= 1e9 else f"{count / 1e6:.2f} MB"
