"""Whether the workers of a cluster see the folders of a run: asked before any work, by doing it.

Workers on other machines read the data set and write results themselves, so that both must lie on a shared file
system, under the same names everywhere.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slakh_hier.errors import InputError
from slakh_hier.version import VERSION

_NAMES = 1000
"""Of a folder's entries, so many are compared."""


@dataclass(frozen=True)
class SharedFolders:
    """What workers must see as this process does: files and folders to read, one folder to write into."""

    reads: Sequence[Path]
    writes: Path


def check_workers(client: Any, scheduler: str, shared: SharedFolders, patience: float = 10) -> None:
    """Ask every worker of a Dask client to read what is to be read, and to find and write files in the output folder.

    Parameters
    ----------
    client
        A connected ``distributed.Client``.
    patience
        Seconds to wait for the first worker.

    Raises
    ------
    InputError
        There is no worker, or one sees other folders or has another version of this package. Nothing is left behind.
    """
    try:
        client.wait_for_workers(1, timeout=patience)
    except TimeoutError:
        raise InputError(
            f"the Dask scheduler at {scheduler} has no worker; start some with: dask worker {scheduler}"
        ) from None
    token = secrets.token_hex(8)
    writes = shared.writes.resolve()
    reads = {str(path.resolve()): _fingerprint(path) for path in shared.reads}
    probe = writes / f".tmp-probe-{token}"
    try:
        probe.write_text(token)
        answers = client.run(look, reads, str(probe), token, on_error="return")
    finally:
        probe.unlink(missing_ok=True)
    for worker, answer in answers.items():
        if isinstance(answer, Exception):
            answer = f"cannot run slakh-hier ({type(answer).__name__}: {answer}); install it there"
        elif answer["version"] != VERSION:
            answer = f"has slakh-hier {answer['version']}, here it is {VERSION}; install the same everywhere"
        else:
            answer = answer["fault"]
        if answer:
            raise InputError(f"the Dask worker {worker} {answer}. Nothing was done")


def look(reads: dict[str, str], probe: str, token: str) -> dict[str, str]:
    """Runs in a worker: its version, and what is wrong with its view of the folders (nothing: an empty text)."""
    return {"version": VERSION, "fault": _fault(reads, Path(probe), token)}


def _fault(reads: dict[str, str], probe: Path, token: str) -> str:
    advice = "; workers need the same folders under the same names: a shared file system"
    for name, wanted in reads.items():
        try:
            if _fingerprint(Path(name)) != wanted:
                return f"sees other content in {name} than this machine{advice}"
        except OSError as error:
            return f"cannot read {name} ({error.strerror}){advice}"
    try:
        if probe.read_text() != token:
            return f"sees other content in {probe.parent} than this machine{advice}"
    except OSError:
        return f"does not see what this machine writes into {probe.parent}{advice}"
    mine = probe.with_name(f"{probe.name}-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        mine.write_text(token)
    except OSError as error:
        return f"cannot write into {probe.parent} ({error.strerror})"
    finally:
        mine.unlink(missing_ok=True)
    return ""


def _fingerprint(path: Path) -> str:
    """The same for the same file or folder, as far as size and names tell."""
    about = [str(path.stat().st_size)] if path.is_file() else sorted(os.listdir(path))[:_NAMES]
    return hashlib.sha256("\0".join(about).encode(errors="surrogateescape")).hexdigest()
