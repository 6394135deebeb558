"""What a scan found, kept for the next one: metadata, headers and deep checks, by the stamp of each file.

The file has a line for the digest of all others, one for what it is, and one per track: its path and its facts in JSON, with
a tab between them. Facts stay packed until their track is looked at: as objects they take five times the memory.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from slakh_hier.caches import ABANDONED_SECONDS, cache_folder, warn_without_cache
from slakh_hier.errors import FaultError
from slakh_hier.files import publish, remove_temporaries, sha256
from slakh_hier.slakh.metadata import StemEntry, TrackMetadata
from slakh_hier.slakh.tracks import FileFacts, Stamp, TrackFacts

FORMAT = 6
"""Counts up whenever what is kept, or the way it is found, changes: older files are then not used."""


def scan_cache(root: Path) -> Path:
    """The file that keeps the scan of the data set ``root`` (resolved)."""
    return cache_folder() / f"scan-{sha256(os.fsencode(root))[:16]}.json"


def load_facts(root: Path) -> dict[str, bytes]:
    """What the last scan of ``root`` found, by the track's path and packed; empty where it cannot be used."""
    facts: dict[str, bytes] = {}
    try:
        with open(scan_cache(root), "rb") as file:
            digest, head, seen = file.readline(), file.readline(), hashlib.sha256()
            seen.update(head)
            if head != _head(root):
                return {}
            for line in file:
                seen.update(line)
                path, _, packed = line.partition(b"\t")
                facts[json.loads(path)] = packed
    except (OSError, ValueError, TypeError, RecursionError):
        return {}
    return facts if digest == seen.hexdigest().encode() + b"\n" else {}


def save_facts(root: Path, facts: Mapping[str, bytes]) -> None:
    """Keep packed ``facts`` for the next scan; where that is not possible, a warning says so."""
    path, digest = scan_cache(root), hashlib.sha256()
    for line in _lines(root, facts):
        digest.update(line)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_temporaries(path.parent, older_than=ABANDONED_SECONDS)
        publish(path, chain([digest.hexdigest().encode() + b"\n"], _lines(root, facts)))
    except (OSError, FaultError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        warn_without_cache(getattr(cause, "strerror", None) or str(error))


def pack(facts: TrackFacts) -> bytes:
    """Facts as a line of the file, without what listing the folder shows."""
    metadata = facts.metadata
    content = [
        facts.metadata_stamp,
        _packed(metadata) if metadata else None,
        facts.midi_stamp,
        facts.midi_md5,
        {name: _trimmed(file) for name, file in facts.files.items()},
    ]
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


def _packed(metadata: TrackMetadata) -> list[Any]:
    stems = {stem: _trimmed(entry) for stem, entry in metadata.stems.items()}
    return [metadata.uuid, stems, metadata.unusable, metadata.artist]


def _trimmed(entry: StemEntry | FileFacts) -> list[Any]:
    """Without the last values that are as by default: of a million stems they would be 30 MB."""
    values: list[Any] = list(entry)
    defaults = list(entry._field_defaults.values())
    while defaults and values[-1] == defaults[-1]:
        values.pop()
        defaults.pop()
    return values


def unpack(packed: bytes) -> TrackFacts | None:
    """What :func:`pack` packed; None where it is something else."""
    try:
        return _facts(*json.loads(packed))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None


def _lines(root: Path, facts: Mapping[str, bytes]) -> Iterator[bytes]:
    """The file, but for its first line."""
    yield _head(root)
    for path, packed in facts.items():
        yield b"%b\t%b" % (json.dumps(path).encode(), packed)


def _head(root: Path) -> bytes:
    return json.dumps({"format": FORMAT, "root": str(root)}).encode() + b"\n"


def _facts(stamp: Any, metadata: Any, midi_stamp: Any, midi_md5: Any, files: Any) -> TrackFacts:
    read = None
    if metadata is not None:
        uuid, stems, unusable, artist = metadata
        read = TrackMetadata(
            uuid, {stem: StemEntry(*entry) for stem, entry in stems.items()}, unusable, artist
        )
    return TrackFacts(
        metadata_stamp=Stamp(*stamp) if stamp else None,
        metadata=read,
        error="",
        midi_stamp=Stamp(*midi_stamp) if midi_stamp else None,
        midi_md5=midi_md5,
        files={name: FileFacts(Stamp(*stamp), *rest) for name, (stamp, *rest) in files.items()},
    )
