"""The folder that a command writes: whose it is, with which settings, and how it is resumed or started from scratch.

``COMMAND.json`` in it holds the settings. It is written before anything else, so that a run that was stopped is known, and a
folder that holds something else is never touched.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from slakh_hier.errors import InputError
from slakh_hier.files import (
    make_folder,
    publish,
    publish_json,
    remove_temporaries,
    require_free,
    sha256,
)
from slakh_hier.locks import Owner, folder_lock
from slakh_hier.plain_files import REMOVE_IT, parse_json, read_plain
from slakh_hier.version import VERSION
from slakh_hier.wording import shortened, some

FAILURES_NAME: Final = "failures.jsonl"
FORMAT_VERSION: Final = 1
ADVICE: Final = "Give the same input and settings to resume it, choose another folder, or start from scratch with --overwrite"
_MAX_RECORD: Final = 128 << 20
_MAX_FAILURES: Final = 64 << 20


class Target(NamedTuple):
    """Where a worker publishes, and the run it does so for; small, since it is pickled."""

    folder: str
    owner: Owner


@dataclass(frozen=True)
class OutputFolder:
    """A folder that one command makes, with the settings of this run."""

    path: Path
    """The folder, which need not exist."""
    command: str
    """The command that makes it; names its record."""
    settings: Mapping[str, Any]
    """What decides its content, as JSON values. A folder of other settings is refused with the difference."""
    items: Callable[[Path], Iterable[Path]]
    """Lists what finished items a folder holds: what starting from scratch removes, in this order."""
    about: Mapping[str, Any] = field(default_factory=dict)
    """What else the record holds; not compared."""
    beside: Collection[str] = ()
    """Names of files that the command writes beside its items and may find there."""
    reads: Sequence[Path] = ()
    """Folders and files that are only read: nothing is written inside them."""
    advice: str = ADVICE
    """What to do about a folder of other settings."""

    @property
    def record(self) -> Path:
        return self.path / f"{self.command}.json"

    def noted(self) -> dict[str, Any] | None:
        """The whole record; None where there is none. Raises as :meth:`check`."""
        try:
            return self._read_record()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def check(self, *, update: bool = False, overwrite: bool = False) -> None:
        """Raise :class:`InputError` for a folder that holds something else or, with the difference, was made with other settings.

        Nothing is changed. ``update`` and ``overwrite`` accept other settings.
        """
        place = self.path.resolve()
        for read in (path.resolve() for path in self.reads):
            if place == read or read in place.parents:
                raise InputError(f"{self.path} lies inside {read}, which is only read; choose another folder")
        there = self._settings_there()
        if there is not None and not (update or overwrite):
            refuse_other(self.path, self.command, there, self.settings, self.advice)

    @contextmanager
    def claimed(
        self,
        prepare: Callable[[], tuple[int, str] | None],
        *,
        part: tuple[int, int] | None = None,
        scheduler: str | None = None,
        update: bool = False,
        overwrite: bool = False,
    ) -> Iterator[Target]:
        """Hold the folder's lock, with the record written and what killed runs and workers left behind removed.

        Parameters
        ----------
        prepare
            Called when the folder is held and before anything is written: may refuse it too. Returns the bytes that will be
            written, and for what; None where that is not known.
        part
            ``(i, n)``: part of a job array; the others may be at work.
        scheduler
            See :func:`slakh_hier.parallel.run`.
        update
            Accept other settings, for a command that replaces what follows from them.
        overwrite
            Remove what an earlier run made first.

        Raises
        ------
        InputError
            The folder holds something else or was made with other settings; nothing is changed.
        LockedError
            Another run is writing into it.
        FaultError
            There is not enough free disk space; nothing was made.
        """
        if part is not None and not 1 <= part[0] <= part[1]:
            raise InputError(f"a part is written I/N with I from 1 to N, not {part[0]}/{part[1]}")
        if part is not None and overwrite:
            raise InputError(
                "a part cannot start from scratch; remove the folder before the parts are started"
            )
        self.check(update=update, overwrite=overwrite)
        make_folder(self.path)
        with folder_lock(self.path, part=part) as owner:
            if part is None:
                remove_temporaries(self.path)
            try:
                self.check(
                    update=update, overwrite=overwrite
                )  # again: another run may have begun it in between
                if overwrite:
                    self._clear()
                if (room := prepare()) is not None:
                    require_free(self.path, *room)
                self._write_record()
                yield Target(str(self.path.resolve()), owner.of_workers(scheduler))
            finally:
                if part is None:
                    remove_temporaries(self.path)

    def _settings_there(self) -> dict[str, Any] | None:
        """The settings that the folder was made with; None where it is empty or not there."""
        try:
            record = self._read_record()
        except (FileNotFoundError, NotADirectoryError):
            refuse_strange(self.path, self.record.name, f"it was not made by {self.command}", self.beside)
            return None
        return dict(record["settings"])

    def _read_record(self) -> dict[str, Any]:
        try:
            record = parse_json(read_plain(self.record, _MAX_RECORD))
            if (record["format"], record["format_version"]) != (self._format, FORMAT_VERSION):
                raise InputError(
                    f"{self.record}: written by another version of slakh-hier; choose another folder"
                )
            dict(record["settings"])
            return dict(record)
        except (FileNotFoundError, NotADirectoryError):
            raise
        except (OSError, ValueError, KeyError, TypeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise InputError(f"{self.record} cannot be read ({reason}); choose another folder") from error

    def _write_record(self) -> None:
        content = {
            "format": self._format,
            "format_version": FORMAT_VERSION,
            "settings": _plain(self.settings),
            **_plain(self.about),
        }
        with suppress(FileNotFoundError):
            there = self._read_record()
            if {**there, **content} == there:
                return
        publish_json(self.record, {**content, "tool_version": VERSION})

    @property
    def _format(self) -> str:
        return f"slakh-hier {self.command}"

    def _clear(self) -> None:
        """Remove what an earlier run made, and nothing else; the record last, by which the folder is known."""
        for path in self.items(self.path):
            if path.parent.resolve().is_relative_to(self.path.resolve()):  # else behind a link
                remove_made(path)
                if path.parent != self.path and not any(path.parent.iterdir()):
                    path.parent.rmdir()
        for name in (*self.beside, FAILURES_NAME, self.record.name):
            remove_made(self.path / name)


def place_of(root: Path) -> dict[str, str]:
    """For the ``about`` of a folder: which data set it was made from, by its place, without giving that away."""
    return {"data_set": sha256(os.fsencode(root.resolve()))[:16]}


def refuse_strange(folder: Path, record: str, what: str, beside: Collection[str] = ()) -> None:
    """Raise :class:`InputError` where a folder without its record holds anything but ``beside`` and hidden files."""
    names = sorted(child.name for child in folder.iterdir()) if folder.is_dir() else []
    others = [name for name in names if name not in beside and not name.startswith(".")]
    if others:
        raise InputError(
            f"{folder} holds {some(others, most=3)} and no {record}: {what}. Choose an empty or new folder"
        )


def refuse_other(
    folder: Path, command: str, there: Mapping[str, Any], here: Mapping[str, Any], advice: str = ADVICE
) -> None:
    """Raise :class:`InputError` with the difference where a folder was made by ``command`` with other settings.

    Parameters
    ----------
    there, here
        Nested settings of the folder and of this run.
    """
    old, new = _flat(_plain(there)), _flat(_plain(here))
    differing = [name for name in dict.fromkeys((*old, *new)) if old.get(name) != new.get(name)]
    if not differing:
        return
    differing.sort(
        key=lambda name: any(map(_is_digest, (old.get(name), new.get(name))))
    )  # they say the least
    rows = [("", "in the folder", "now")]
    rows += [(name, _shown(old.get(name)), _shown(new.get(name))) for name in differing]
    wide = [max(len(row[column]) for row in rows) for column in range(2)]
    table = [f"  {name:{wide[0]}}  {before:{wide[1]}}  {now}" for name, before, now in rows]
    what = f"{folder}: made by {command} with other settings; nothing was changed. The difference:"
    raise InputError("\n".join([what, *table, advice]))


def _is_digest(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def remove_made(path: Path) -> None:
    """Remove a file or folder of an earlier run; of a link the link, and not what lies behind it."""
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise InputError(
            f"{path}: cannot be removed to start from scratch: {error.strerror}. Remove it yourself, or choose another folder"
        ) from error


def write_failures(folder: Path, failures: Iterable[Mapping[str, Any]]) -> None:
    """Publish what was left out, one JSON object per line; without any there is no file."""
    path = folder / FAILURES_NAME
    lines = [json.dumps(failure, ensure_ascii=False) + "\n" for failure in failures]
    if path.is_dir() and not path.is_symlink():
        raise InputError(f"{path}: is a folder. {REMOVE_IT}")
    if lines:
        publish(path, "".join(lines).encode())
    else:
        path.unlink(missing_ok=True)


def read_failures(folder: Path) -> list[dict[str, Any]]:
    """What a run left out.

    Raises
    ------
    InputError
        Something else has the file's name, or it cannot be read.
    ValueError
        A line is damaged.
    """
    path = folder / FAILURES_NAME
    try:
        text = read_plain(path, _MAX_FAILURES).decode(errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{path}: cannot be used: {error.strerror}. {REMOVE_IT}") from error
    # Not splitlines, which also takes characters of a text for the end of a line.
    return [_failure(line, f"{path}:{number}") for number, line in enumerate(text.split("\n"), 1) if line]


def _failure(line: str, place: str) -> dict[str, Any]:
    """One line of an untrusted file, whose texts are shown."""
    try:
        failure = parse_json(line)
    except ValueError as error:
        raise ValueError(f"{place}: is damaged: {error}") from None
    if problem := _odd(failure):
        raise ValueError(f"{place}: {problem}")
    return dict(failure)


def _odd(failure: Any) -> str | None:
    """What is not a text where it must be."""
    if not isinstance(failure, dict) or not isinstance(failure.get("reason"), str):
        return "is not a JSON object with a reason"
    kinds = {"start": int | float}
    odd = (name for name, value in failure.items() if not isinstance(value, kinds.get(name, str)))
    return next((f"{name} is {_shown(failure[name])}" for name in odd), None)


def _plain(value: Any) -> Any:
    """As it is read back from JSON."""
    return json.loads(json.dumps(value))


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {name: value}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= _flat(item, f"{name}.{key}" if name else str(key))
    return flat


def _shown(value: Any) -> str:
    """A value in a line; of a digest its beginning, which is enough to tell two apart."""
    if value is None:
        return "nothing"
    return f"{value[:12]}..." if _is_digest(value) else shortened(str(value), 32)
