"""Opening files of an untrusted folder: no links, no pipes, no more bytes than are sensible.

A link there would let whoever made the folder choose what is read, and where is written; opening a pipe waits for
ever. Errors are ``OSError`` whose ``strerror`` says what was found; callers add the file's name and what to do.
"""

from __future__ import annotations

import errno
import json
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path, PurePosixPath
from typing import Any, Final

REMOVE_IT = "Remove it if you do not know it, and run the same command again"
"""What to do about something else under the name of a slakh-hier file."""
MAX_DEPTH: Final = 64
"""Of JSON; what is nested deeper than Python's own limit, or near it, cannot be compared or shown either."""


def open_plain(path: Path, flags: int = os.O_RDONLY, *, links: bool = False) -> int:
    """Open a regular file and return the handle; never waiting for another process.

    Parameters
    ----------
    flags
        As for ``os.open``; with ``O_CREAT`` a new file has the permissions that the umask leaves.
    links
        Follow a symbolic link, as to the weights of another run: for reading what does not decide what is read next.

    Raises
    ------
    OSError
        It is not there (``FileNotFoundError``), is not a regular file, or cannot be opened.
    """
    try:
        handle = os.open(path, flags | (0 if links else os.O_NOFOLLOW) | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "is a symbolic link, which is not followed here", str(path)) from None
        if error.errno in (errno.ENXIO, errno.EOPNOTSUPP):  # a pipe that nobody reads, or a socket
            raise OSError(error.errno, "is not a regular file", str(path)) from None
        raise
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
    except BaseException:
        os.close(handle)
        raise
    return handle


def read_plain(path: Path, max_bytes: int, *, links: bool = False) -> bytes:
    """The bytes of a regular file of at most ``max_bytes``; ``links`` as for :func:`open_plain`.

    Raises
    ------
    OSError
        As for :func:`open_plain`, or it is larger.
    """
    with open_limited(path, max_bytes, links=links) as file:
        return file.read(os.fstat(file.fileno()).st_size)


@contextmanager
def open_limited(path: Path, max_bytes: int, *, links: bool = False) -> Iterator[BufferedReader]:
    """A regular file of at most ``max_bytes``, open for reading; raises as :func:`read_plain`."""
    with open(open_plain(path, links=links), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > max_bytes:
            raise OSError(errno.EFBIG, f"has {size} bytes; at most {max_bytes} are read", str(path))
        yield file


def parse_json(data: bytes | str) -> Any:
    """The value of an untrusted JSON text.

    Raises
    ------
    ValueError
        It is damaged, nested deeper than :data:`MAX_DEPTH`, or holds numbers that are not finite.
    """
    try:
        value = json.loads(data, parse_float=_finite, parse_constant=_finite)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            if isinstance(outer, dict | list)
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return value
    raise ValueError(_TOO_DEEP)


_TOO_DEEP: Final = f"is nested deeper than {MAX_DEPTH} levels"


def _finite(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(f"holds {text[:20]}, which is not a finite number")
    return number


def remedy(path: Path, error: OSError) -> str:
    """What to do about a path that the system refuses to write."""
    first = _REMEDIES.get(error.errno, "")
    if error.errno == errno.EROFS:
        place = path.absolute()
        mount = next(folder for folder in (place, *place.parents) if os.path.ismount(folder))
        first = f"{mount} is mounted read-only: choose another place, or mount it for writing, and "
    return f"{first}run the same command again"


_ROOM: Final = "free disk space and "
_RIGHTS: Final = "give yourself the right to write there, or choose another place, and "
_REMEDIES: Final = {
    None: _ROOM,  # as of libsndfile, which does not say why
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: "free disk space, or raise the limit on the size of files (ulimit -f), and ",
    errno.EACCES: _RIGHTS,
    errno.EPERM: _RIGHTS,
    errno.ENAMETOOLONG: "choose a shorter path and ",
}
FULL: Final = frozenset({None, errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Errors that free space would cure."""


def stat_below(folder: Path, name: str) -> os.stat_result:
    """What ``lstat`` says of a regular file that a note in ``folder`` names; nothing is opened.

    Raises
    ------
    OSError
        The name points outside the folder or is not a file name, a folder on the way is a link, the file is not there
        (``FileNotFoundError``), or it is not a regular file.
    """
    parts = PurePosixPath(name).parts
    try:
        name.encode()
        if not parts or name.startswith("/") or ".." in parts or "\0" in name:
            raise ValueError
    except ValueError:
        raise OSError(errno.EINVAL, "is not the name of a file in this folder", name) from None
    path = folder
    for part in parts:
        path = path / part
        about = os.lstat(path)
        if stat.S_ISLNK(about.st_mode):
            raise OSError(errno.ELOOP, "is a symbolic link, which is not followed here", str(path))
    if not stat.S_ISREG(about.st_mode):  # opening a pipe waits for ever
        raise OSError(errno.EINVAL, "is not a regular file", str(path))
    return about
