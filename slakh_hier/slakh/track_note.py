"""Whether a track that was made is as it was: a hidden note in its folder lists its audio and MIDI.

A rerun looks at sizes and headers, which takes a millisecond per track. It finds what was deleted, cut or exchanged, and
not samples that changed in place: ``scan --deep`` does.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from slakh_hier.output import METADATA
from slakh_hier.plain_files import read_plain, stat_below
from slakh_hier.slakh.headers import HeaderError, read_header
from slakh_hier.slakh.tracks import SUFFIXES
from slakh_hier.wording import shortened

NOTE = ".files.json"
_MAX_NOTE = 1 << 20
_GONE = f"{NOTE}, the list of its files, is gone or damaged"


def write_note(track: Path) -> None:
    """Note all files below ``track`` but the metadata, which people may edit."""
    files = sorted(path for path in track.rglob("*") if path.is_file() and path.name not in (METADATA, NOTE))
    names = [path.relative_to(track).as_posix() for path in files]
    text = json.dumps({name: _facts(track, name) for name in names}, indent=1)
    (track / NOTE).write_text(text + "\n", encoding="utf-8")


def damage(track: Path) -> str | None:
    """What is not as :func:`write_note` found it, in words; None where everything is. Without a note: that there is none.

    The note may be untrusted: no file outside of the track is looked at, and no link is followed.
    """
    try:
        noted = json.loads(read_plain(track / NOTE, _MAX_NOTE))
    except (OSError, ValueError, RecursionError):
        return _GONE
    if not isinstance(noted, dict):
        return _GONE
    for name, facts in noted.items():
        shown = shortened(name, 80) if name.isprintable() else ascii(shortened(name, 80))
        try:
            if _facts(track, name) != facts:
                return f"{shown} has another size or header than it had"
        except FileNotFoundError:
            return f"{shown} is gone"
        except (OSError, HeaderError) as error:
            return f"{shown}: {getattr(error, 'strerror', None) or error}"
    return None


def _facts(track: Path, name: str) -> dict[str, Any]:
    about = stat_below(track, name)
    path = track / name
    header = asdict(read_header(path)) if path.suffix.lower() in SUFFIXES else {}
    return {"bytes": about.st_size, **header}
