"""What a command makes one by one (tracks, shards): in parallel, each complete or not there, and kept by the next run.

A hidden note says what an item was made from and what its files are. The note of a track lies in its folder and appears with it;
that of a single file lies in a hidden folder beside it. An item whose note and files are as they were is kept.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from pydantic import TypeAdapter

from slakh_hier import safe_yaml
from slakh_hier.errors import TextError
from slakh_hier.files import (
    cannot_write,
    file_sha256,
    make_own_folder,
    publish,
    publish_folder,
    sha256,
    temporary_folder,
)
from slakh_hier.output import METADATA
from slakh_hier.output.folder import Target
from slakh_hier.parallel import Backend, run
from slakh_hier.plain_files import parse_json, read_plain, stat_below
from slakh_hier.progress import Wanted, Worth, shown
from slakh_hier.shared_folders import SharedFolders
from slakh_hier.wording import shortened

R = TypeVar("R")
TRACK_NOTE: Final = ".made.json"
FILE_NOTES: Final = ".made"
_MAX_NOTE: Final = 16 << 20
"""130 bytes for each file of a track, of which metadata of 1 MiB can name thousands."""


@dataclass(frozen=True)
class Made(Generic[R]):
    """What became of an item."""

    record: R
    """What the command says of it: a dataclass of JSON values, which its note keeps."""
    kept: bool = False
    """It was finished before."""
    repaired: str | None = None
    """Why a finished item was made again; None where it was new, or is kept."""


def make_track(
    target: Target,
    place: str,
    digest: str,
    kind: type[R],
    fill: Callable[[Path], R],
    *,
    hashed: bool = True,
) -> Made[R]:
    """Make one track below the output folder, unless it is there already; it appears complete or not at all.

    Parameters
    ----------
    place
        Its folder below the output folder.
    digest
        Of all that it is made from.
    kind
        The record's dataclass.
    fill
        Writes the track's files into a temporary folder; its errors are passed on.
    hashed
        Note the sha256 of the files; else their sizes alone.

    Raises
    ------
    FaultError
        The disk is full, or the run has ended.
    """
    out = Path(target.folder)
    found = _finished(out / place, out / place / TRACK_NOTE, digest, kind)
    if isinstance(found, Made):
        return found
    try:
        with temporary_folder(out, Path(place).name) as folder:
            record = fill(folder)
            names = sorted(
                path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
            )
            note = _note(digest, record, {name: _facts(folder, name, hashed) for name in names})
            (folder / TRACK_NOTE).write_text(note, encoding="utf-8")
            publish_folder(folder, out / place, owner=target.owner)
    except OSError as error:
        raise cannot_write(out / place, error) from error
    return Made(record, repaired=found)


def make_file(
    target: Target,
    name: str,
    digest: str,
    kind: type[R],
    make: Callable[[], R],
    *,
    sha256_of: Callable[[R], str],
    keep: Callable[[R], bool],
) -> Made[R]:
    """Make one file of the output folder, unless it is there already.

    Parameters
    ----------
    make
        Publishes the file, and returns its record.
    sha256_of
        The file's sha256 (hex), out of its record.
    keep
        Whether a finished file with this record need not be made again.
    """
    out = Path(target.folder)
    path = file_note(out, name)
    make_own_folder(path.parent)
    found = _finished(out, path, digest, kind)
    if isinstance(found, Made) and keep(found.record):
        return found
    record = make()
    files = {name: {"bytes": (out / name).stat().st_size, "sha256": sha256_of(record)}}
    publish(path, _note(digest, record, files).encode(), owner=target.owner)
    return Made(record, repaired=found if isinstance(found, str) else None)


def file_note(folder: Path, name: str) -> Path:
    """Where the note of a file lies that :func:`make_file` made."""
    return folder / FILE_NOTES / f"{name}.json"


def finished_tracks(folder: Path) -> Iterator[Path]:
    """Tracks below an output folder, or in split folders there, that have a note."""
    for note in (*folder.glob(f"*/{TRACK_NOTE}"), *folder.glob(f"*/*/{TRACK_NOTE}")):
        yield note.parent


def noted_digest(track: Path) -> str | None:
    """Of what a finished track was made; None where its note is gone or damaged."""
    try:
        return str(_read_note(track / TRACK_NOTE)["digest"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def digest_of(*values: Any) -> str:
    """sha256 (hex) of values as JSON. Equal values have equal digests: the command line's 20.0 is Python's 20."""
    return sha256(json.dumps(_plain(values), sort_keys=True, separators=(",", ":"), default=str).encode())


def _plain(value: Any) -> Any:
    """The value with whole numbers as integers."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True)
class Outcome(Generic[R]):
    """What came of all items, by their names, in the order of the tasks."""

    made: dict[str, Made[R]]
    failures: dict[str, Exception]
    """Items that were left out, with the error."""

    @property
    def records(self) -> list[R]:
        return [item.record for item in self.made.values()]

    @property
    def kept(self) -> int:
        return sum(item.kept for item in self.made.values())

    @property
    def repaired(self) -> dict[str, str]:
        """Why items that were there were made again."""
        return {name: item.repaired for name, item in self.made.items() if item.repaired}


def make_all(
    make: Callable[..., Made[R]],
    tasks: Mapping[str, tuple[Any, ...]],
    target: Target,
    *,
    reads: Sequence[Path],
    stage: tuple[str, str],
    left_out: tuple[type[Exception], ...] = (),
    amounts: Mapping[str, float] | None = None,
    worth: Worth | None = None,
    jobs: int | None = None,
    backend: Backend = "loky",
    scheduler: str | None = None,
    progress: Wanted = None,
) -> Outcome[R]:
    """Make all items in parallel.

    Parameters
    ----------
    make
        Called with the arguments of a task.
    reads
        Folders that workers on other machines must see.
    stage
        What the progress is called, and its unit.
    left_out
        Errors that cost an item and do not stop the run.
    amounts
        Units of progress per item; None: one each. ``worth`` as for :meth:`slakh_hier.progress.Progress.stage`.

    Raises
    ------
    SlakhHierError
        Any other error of an item, or a fault of :func:`slakh_hier.parallel.run`. Finished items are kept.
    """
    made: dict[str, Made[R]] = {}
    failures: dict[str, Exception] = {}
    total = sum(amounts.values()) if amounts is not None else len(tasks)
    shared = SharedFolders(reads, Path(target.folder))
    results = run(make, tasks, jobs=jobs, backend=backend, scheduler=scheduler, shared=shared)
    with closing(results), shown(progress).stage(stage[0], total, stage[1], worth=worth) as advance:
        for result in results:
            if isinstance(result.error, left_out):
                failures[result.id] = _bare(result.error)
            else:
                made[result.id] = result.unwrap()
            advance(1 if amounts is None else amounts[result.id])
    return Outcome(
        {name: made[name] for name in tasks if name in made},
        {name: failures[name] for name in tasks if name in failures},
    )


def _bare(error: Exception) -> Exception:
    """An error without the frames, and all they hold, of the task that raised it."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def _finished(folder: Path, note: Path, digest: str, kind: type[R]) -> Made[R] | str | None:
    """The item as it is kept; else why a finished one cannot be kept, or None for one that is not there or is another.

    The note may be untrusted: nothing outside of the folder is read, and neither are links and pipes.
    """
    try:
        content = _read_note(note)
        if content["digest"] != digest:
            return None
        if set(content["record"]) != {item.name for item in fields(kind)}:  # type: ignore[arg-type]
            raise ValueError
        record: R = TypeAdapter(kind).validate_json(json.dumps(content["record"]), strict=True)
        files = dict(content["files"])
    except FileNotFoundError:
        return (
            f"{note.name}, the note of its files, is gone"
            if folder.is_dir() and note.parent == folder
            else None
        )
    except (OSError, ValueError, KeyError, TypeError):
        return f"{note.name}, the note of its files, is damaged"
    for name, facts in files.items():
        if damage := _damage(folder, name, facts):
            shown = shortened(name, 80)
            return f"{shown if shown.isprintable() else ascii(shown)} {damage}"
    return Made(record, kept=True)


def _damage(folder: Path, name: str, facts: Any) -> str | None:
    """What a note's file is not as it was, in words."""
    try:
        size = stat_below(folder, name).st_size
        if "keys" in facts:
            return None if set(facts["keys"]) <= set(_metadata(folder / name)) else "is cut short"
        if size != facts["bytes"]:
            return f"has {size} bytes, not {facts['bytes']}"
        if facts["sha256"] not in (None, file_sha256(folder / name)):
            return "has changed"
    except FileNotFoundError:
        return "is gone"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, TextError) as error:
        return getattr(error, "strerror", None) or "is damaged"
    return None


def _note(digest: str, record: Any, files: dict[str, dict[str, Any]]) -> str:
    content = {
        "digest": digest,
        "record": TypeAdapter(type(record)).dump_python(record, mode="json"),
        "files": files,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def _facts(folder: Path, name: str, hashed: bool) -> dict[str, Any]:
    """What is noted of a file; of the metadata, which people may fix by hand, that it is whole."""
    if name == METADATA:
        return {"keys": sorted(_metadata(folder / name))}
    path = folder / name
    return {"bytes": path.stat().st_size, "sha256": file_sha256(path) if hashed else None}


def _metadata(path: Path) -> Any:
    return safe_yaml.load(read_plain(path, safe_yaml.MAX_BYTES), path.name)


def _read_note(path: Path) -> dict[str, Any]:
    return dict(parse_json(read_plain(path, _MAX_NOTE)))
