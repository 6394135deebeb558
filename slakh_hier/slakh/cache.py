"""What a scan found, kept for the next one: metadata, headers and deep checks, by size and time of each file."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from slakh_hier.errors import FaultError, SlakhHierWarning
from slakh_hier.files import (
    ABANDONED_SECONDS,
    CACHE_VARIABLE,
    cache_folder,
    publish,
    remove_temporaries,
    sha256,
)
from slakh_hier.slakh.metadata import StemEntry, TrackMetadata
from slakh_hier.slakh.tracks import FileFacts, Stamp, TrackFacts

FORMAT = 2
"""Counts up whenever what is kept, or the way it is found, changes: older files are then not used."""


def scan_cache(root: Path) -> Path:
    """The file that keeps the scan of the data set ``root`` (resolved)."""
    return cache_folder() / f"scan-{sha256(os.fsencode(root))[:16]}.json"


def load_facts(root: Path) -> dict[str, TrackFacts]:
    """What the last scan of ``root`` found, by the track's path; empty where it cannot be used."""
    try:
        digest, _, body = scan_cache(root).read_bytes().partition(b"\n")
        if digest.decode() != sha256(body):
            return {}
        content = json.loads(body)
        if content["format"] != FORMAT or content["root"] != str(root):
            return {}
        return {path: _unpack(*packed) for path, packed in content["tracks"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def save_facts(root: Path, facts: Mapping[str, TrackFacts]) -> None:
    """Keep ``facts`` for the next scan; where that is not possible, a warning says so."""
    content = {
        "format": FORMAT,
        "root": str(root),
        "tracks": {path: _pack(track) for path, track in facts.items()},
    }
    path, body = scan_cache(root), json.dumps(content, separators=(",", ":")).encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        remove_temporaries(path.parent, older_than=ABANDONED_SECONDS)
        publish(path, sha256(body).encode() + b"\n" + body)
    except (OSError, FaultError) as error:
        warnings.warn(
            f"the scan cannot be kept for the next time ({error}); {CACHE_VARIABLE} names another folder",
            SlakhHierWarning,
            stacklevel=3,
        )


def _pack(facts: TrackFacts) -> list[Any]:
    metadata = facts.metadata
    return [
        facts.metadata_stamp,
        [metadata.uuid, metadata.stems, metadata.unusable] if metadata else None,
        facts.midi_stamp,
        facts.midi_md5,
        facts.files,
    ]


def _unpack(stamp: Any, metadata: Any, midi_stamp: Any, midi_md5: Any, files: Any) -> TrackFacts:
    read = None
    if metadata is not None:
        uuid, stems, unusable = metadata
        read = TrackMetadata(uuid, {stem: StemEntry(*entry) for stem, entry in stems.items()}, unusable)
    return TrackFacts(
        metadata_stamp=Stamp(*stamp) if stamp else None,
        metadata=read,
        error="",
        midi_stamp=Stamp(*midi_stamp) if midi_stamp else None,
        midi_md5=midi_md5,
        files={name: FileFacts(*values) for name, values in files.items()},
    )
