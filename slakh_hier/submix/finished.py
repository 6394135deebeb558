"""Which tracks are finished: a hidden note in a track's folder says what it was made from and what its files are."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from slakh_hier.files import file_sha256, sha256
from slakh_hier.plain_files import read_plain, stat_below

NOTE = ".submix.json"
_MAX_NOTE = 16 << 20
"""Of a copy, 130 bytes for each of a track's stems and MIDI files, of which metadata of 1 MiB can name thousands."""


def digest_of(value: Any) -> str:
    """sha256 (hex) of a value's JSON: of all that a track is made from."""
    return sha256(json.dumps(value, sort_keys=True, separators=(",", ":"), default=str).encode())


def write_note(folder: Path, digest: str, record: dict[str, Any], files: Iterable[str]) -> None:
    """Note that the folder is finished: with this digest, this record, and these files as they are now."""
    there = {
        file: {"bytes": (folder / file).stat().st_size, "sha256": file_sha256(folder / file)}
        for file in files
    }
    text = json.dumps({"digest": digest, "record": record, "files": there}, indent=1, ensure_ascii=False)
    (folder / NOTE).write_text(text + "\n", encoding="utf-8")


def finished_record(folder: Path, digest: str) -> dict[str, Any] | None:
    """The record of a finished track; None where the digest is another, or a file is gone or changed.

    The note may be a stranger's: nothing outside of the folder is read, and neither are links and pipes.
    """
    try:
        note = json.loads(read_plain(folder / NOTE, _MAX_NOTE))
        if note["digest"] != digest:
            return None
        for name, entry in note["files"].items():
            if stat_below(folder, name).st_size != entry["bytes"]:
                return None
            if file_sha256(folder / name) != entry["sha256"]:
                return None
        return dict(note["record"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
