"""Whether a track that was made is as it was: a hidden note in its folder lists its audio and MIDI.

A rerun looks at sizes and headers, which takes a millisecond a track. It finds what was deleted, cut or exchanged, and
not samples that changed in place: ``scan --deep`` does.
"""

from __future__ import annotations

import json
import stat
from dataclasses import asdict
from pathlib import Path
from typing import Any

from slakh_hier.plain_files import read_plain
from slakh_hier.slakh.headers import HeaderError, read_header
from slakh_hier.slakh.layout import METADATA
from slakh_hier.slakh.tracks import SUFFIXES

NOTE = ".files.json"
_MAX_NOTE = 1 << 20


def write_note(track: Path) -> None:
    """Note all files below ``track`` but the metadata, which people may mend by hand."""
    files = sorted(path for path in track.rglob("*") if path.is_file() and path.name not in (METADATA, NOTE))
    there = {path.relative_to(track).as_posix(): _facts(path) for path in files}
    (track / NOTE).write_text(json.dumps(there, indent=1) + "\n", encoding="utf-8")


def damage(track: Path) -> str | None:
    """What is not as :func:`write_note` found it, in words; None where everything is. Without a note: that there is none."""
    try:
        noted = dict(json.loads(read_plain(track / NOTE, _MAX_NOTE)))
    except (OSError, ValueError, TypeError, RecursionError):
        return f"{NOTE}, the list of its files, is gone or damaged"
    for name, facts in noted.items():
        try:
            if _facts(track / name) != facts:
                return f"{name} has another size or header than it had"
        except FileNotFoundError:
            return f"{name} is gone"
        except (OSError, HeaderError) as error:
            return f"{name}: {getattr(error, 'strerror', None) or error}"
    return None


def _facts(path: Path) -> dict[str, Any]:
    about = path.stat()
    if not stat.S_ISREG(about.st_mode):  # opening a pipe waits for ever
        raise HeaderError("is not a regular file")
    header = asdict(read_header(path)) if path.suffix.lower() in SUFFIXES else {}
    return {"bytes": about.st_size, **header}
