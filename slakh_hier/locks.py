"""Who writes into a folder: one run at a time, or the parts of a job array; and whether that run still owns it.

flock, as in the package filelock, but the file also names its holder: a refused run says who it is, and a worker of another
machine sees whether the run that gave it a task has ended.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from slakh_hier.errors import FaultError, InputError, LockedError, SlakhHierWarning
from slakh_hier.plain_files import REMOVE_IT, open_plain, read_plain, remedy

LOCK_NAME = ".lock"


@dataclass(frozen=True)
class Owner:
    """The run that a worker writes for, as :func:`folder_lock` gives it out: small, since it is sent along.

    A worker can outlive a killed run: joblib's do, and a cluster finishes a task whose client is gone.
    """

    lock: str
    holder: str
    """``lock`` and ``holder``: its lock file, and what stands there as long as no other run has taken the folder."""
    pid: int | None
    """The process that gives the tasks; None where workers are not its children."""

    def of_workers(self, scheduler: str | None) -> Owner:
        """As it is to be sent to workers: those of a scheduler elsewhere are not children of this process."""
        return self if scheduler is None else replace(self, pid=None)

    def check(self) -> None:
        """Raise :class:`FaultError` when the run has ended, or another one has taken its folder."""
        alive = self.pid is None or self.pid in (os.getppid(), os.getpid())
        if not alive or _holder(Path(self.lock)) != self.holder:
            raise FaultError(
                f"{Path(self.lock).parent}: the run that asked for this has ended; nothing was written"
            )


@contextmanager
def folder_lock(folder: Path, *, part: tuple[int, int] | None = None) -> Iterator[Owner]:
    """Hold the folder's lock; a second writer is refused at once, naming the first.

    The lock is the kernel's (flock), so that it is gone with the process that held it, however it died. On
    network file systems without flock it is best effort.

    Parameters
    ----------
    part
        ``(i, n)``: a part of a job array. Parts stand beside each other, but not beside a run of the whole, nor
        beside the same part.

    Returns
    -------
    Owner
        What workers need to know whether the folder is still this run's.

    Raises
    ------
    LockedError
        Another process holds it.
    InputError
        The folder cannot be written to, or something else has the lock's name (a link is not followed).
    """
    with ExitStack() as stack:
        holder = stack.enter_context(_locked(folder, LOCK_NAME, shared=part is not None, sign=True))
        name = LOCK_NAME
        if part is not None:
            name = f"{LOCK_NAME}-{part[0]}"
            holder = stack.enter_context(_locked(folder, name, sign=True))
        else:
            # Of parts that have ended, some of whose workers may not have.
            for path in folder.glob(f"{LOCK_NAME}-*"):
                path.unlink(missing_ok=True)
        yield Owner(str((folder / name).resolve()), holder, os.getpid())


def refuse_locked(folder: Path, *, part: tuple[int, int] | None = None) -> None:
    """Refuse what :func:`folder_lock` would refuse, before long preparations; nothing is made, and nothing held."""
    names = [LOCK_NAME] if part is None else [LOCK_NAME, f"{LOCK_NAME}-{part[0]}"]
    for name in names:
        if os.path.lexists(folder / name):
            with _locked(folder, name, shared=part is not None and name == LOCK_NAME):
                pass


@contextmanager
def _locked(folder: Path, name: str, *, shared: bool = False, sign: bool = False) -> Iterator[str]:
    """Hold one lock file; signed, it says from now on who held it last: the value is that text."""
    path = folder / name
    try:
        handle = open_plain(path, os.O_RDWR | os.O_CREAT)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) or not os.path.lexists(path):
            raise InputError(
                f"{folder}: cannot be written to ({error.strerror}); {remedy(folder, error)}"
            ) from error
        raise InputError(f"{path}: {error.strerror}. {REMOVE_IT}") from error
    _held.add(handle)
    try:
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(path).partition(", run ")[0] or "another process"
            raise LockedError(f"{folder}: {holder} is writing here. Wait for it to end, or stop it") from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                raise FaultError(f"{folder}: cannot be locked: {error.strerror}") from error
            warnings.warn(
                f"{folder}: its file system has no locks ({error.strerror}); see that no other run writes there",
                SlakhHierWarning,
                stacklevel=5,
            )
        if sign:
            text = f"process {os.getpid()} on {os.uname().nodename}, run {secrets.token_hex(8)}\n"
            with suppress(OSError):  # on a full disk the lock is good without it
                os.ftruncate(handle, 0)
                os.pwrite(handle, text.encode(), 0)
        yield _holder(path)
    finally:
        if handle in _held:
            _held.discard(handle)
            os.close(handle)


def _holder(path: Path) -> str:
    """What a lock file says of who holds it, or held it last; nothing where it is gone."""
    try:
        return read_plain(path, 1000).decode(errors="replace").strip()
    except OSError:
        return ""


_held: set[int] = set()
"""Locks of this process."""


def _let_go() -> None:
    """Runs in a forked child: a lock that it inherits would be held for as long as it outlives its parent."""
    while _held:
        os.close(_held.pop())


os.register_at_fork(after_in_child=_let_go)
