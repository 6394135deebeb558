"""What a rendering has finished so far: how a run that was stopped goes on.

The journal is a hidden file of JSON lines beside the shards: first the parameters, then one line a finished shard
with its size and sha256. A shard counts as finished when its line and its bytes agree; a line that was cut off by a
kill is passed over, and its shard is rendered again. When all is done, ``index.json`` takes its place.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pydantic import ValidationError

from slakh_hier.errors import FaultError, InputError
from slakh_hier.files import file_sha256
from slakh_hier.plain_files import open_plain, read_plain
from slakh_hier.plan.folder import CATALOG_NAME, CLIPS_NAME, HIERARCHY_NAME, PLAN_NAME
from slakh_hier.plan.layout import SPLITS
from slakh_hier.rendering.task import Failure, ShardDone
from slakh_hier.shards.index import INDEX_NAME, MASK_FOLDER, ShardRecord
from slakh_hier.slakh.broken import FAILURES_NAME

JOURNAL_PREFIX = ".journal"
MAX_JOURNAL_BYTES = 64 << 20


class Journal:
    """The journal of one writer: the run itself, or one part of a job array.

    Raises
    ------
    InputError
        Something else has the journal's name, or it cannot be written to.
    """

    def __init__(self, folder: Path, parameters: dict[str, Any], part: int | None = None):
        self._path = folder / (JOURNAL_PREFIX if part is None else f"{JOURNAL_PREFIX}-{part}")
        try:
            handle = open_plain(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        except OSError as error:
            raise _unusable(self._path, error) from error
        self._file = open(handle, "ab", buffering=0)  # noqa: SIM115
        # The newline keeps a line that a kill cut off from swallowing this one.
        self._line({"parameters": parameters}, "\n")

    def add(self, done: ShardDone) -> None:
        """Note a finished shard."""
        self._line(
            {"shard": done.record.model_dump(mode="json"), "failures": [asdict(f) for f in done.failures]}
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _line(self, value: dict[str, Any], before: str = "") -> None:
        line = f"{before}{json.dumps(value, ensure_ascii=False)}\n".encode()
        try:
            if (written := self._file.write(line)) != len(line):
                raise OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes were written")
        except OSError as error:
            free = shutil.disk_usage(self._path.parent).free
            raise FaultError(
                f"cannot write {self._path} ({free / 1e6:.1f} MB free): {error.strerror}. Finished shards are kept; make room and run the same "
                "command again"
            ) from error


def read_journals(folder: Path, parameters: dict[str, Any]) -> dict[str, ShardDone]:
    """Finished shards by file name, of all writers; their bytes are not yet looked at.

    Raises
    ------
    InputError
        The folder was begun with other parameters (the message gives the difference), or a journal cannot be read.
    """
    found: dict[str, ShardDone] = {}
    for path in journal_files(folder):
        try:
            text = read_plain(path, MAX_JOURNAL_BYTES).decode(errors="replace")
        except OSError as error:
            raise _unusable(path, error) from error
        for line in text.splitlines():
            try:
                entry = json.loads(line)
                if "parameters" in entry:
                    refuse_other(folder, entry["parameters"], parameters)
                    continue
                record = ShardRecord.model_validate(entry["shard"])
                found[record.file] = ShardDone(record, [Failure(**failure) for failure in entry["failures"]])
            except (ValueError, TypeError, KeyError, ValidationError):
                continue
    return found


def journal_files(folder: Path) -> list[Path]:
    """The journals of all writers, and whatever else has such a name."""
    return sorted(folder.glob(f"{JOURNAL_PREFIX}*"))


def intact(folder: Path, record: ShardRecord) -> bool:
    """Whether a shard's file has the size and sha256 of its record."""
    path = folder / record.file
    return (
        path.is_file()
        and not path.is_symlink()
        and path.stat().st_size == record.bytes
        and file_sha256(path) == record.sha256
    )


def refuse_other(folder: Path, there: dict[str, Any], here: dict[str, Any]) -> None:
    """Raise with the difference when a folder was made with other parameters."""
    there = json.loads(json.dumps(there))
    here = json.loads(json.dumps(here))
    if there == here:
        return
    old, new = _flat(there), _flat(here)
    lines = [
        f"  {name}: {_show(old.get(name))} in the folder, {_show(new.get(name))} now"
        for name in dict.fromkeys((*old, *new))
        if old.get(name) != new.get(name)
    ]
    raise InputError(
        f"{folder}: holds shards of another plan; nothing was changed. The difference:\n"
        + "\n".join(lines)
        + "\nChoose another folder, or start this one again with --overwrite"
    )


def clear(folder: Path) -> None:
    """Remove an earlier rendering, the index first: what is left is never taken for a finished set.

    Of a link it is the link that goes, not what lies behind it.
    """
    names = (INDEX_NAME, PLAN_NAME, CLIPS_NAME, CATALOG_NAME, HIERARCHY_NAME, FAILURES_NAME)
    shards = [path for split in SPLITS for path in folder.glob(f"{split}-[0-9][0-9][0-9][0-9][0-9].h5")]
    masks = folder / MASK_FOLDER
    for path in (*(folder / name for name in names), *journal_files(folder), *shards, masks):
        try:
            if path == masks and path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(
                f"{path}: cannot be removed to start again: {error.strerror}. Remove it yourself, or choose another folder"
            ) from error


def _unusable(path: Path, error: OSError) -> InputError:
    return InputError(
        f"{path}: the journal of finished shards cannot be used: {error.strerror}. Remove it and run the same command "
        "again: a shard that no journal lists is rendered again"
    )


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {name: value}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat.update(_flat(item, f"{name}.{key}" if name else str(key)))
    return flat


def _show(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 70 else text[:67] + "..."
