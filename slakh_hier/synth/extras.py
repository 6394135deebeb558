"""The optional libraries of the extra ``synth``, imported when they are needed."""

from __future__ import annotations

import importlib.util
from importlib import import_module
from pathlib import Path
from typing import Any

from slakh_hier.errors import MissingExtraError


def require(package: str) -> Any:
    """Import an optional package; a missing one is a :class:`MissingExtraError` that says how to install it."""
    try:
        return import_module(package)
    except ModuleNotFoundError as error:
        raise MissingExtraError(error.name or package, "synth") from error


def default_soundfont() -> Path:
    """TimGM6mb.sf2 inside the installed package pretty_midi (GPL-2, so it is used from there and not copied).

    Raises
    ------
    MissingExtraError
        pretty_midi is not installed.
    """
    # Found without importing it, which takes a second.
    found = importlib.util.find_spec("pretty_midi")
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = Path(folder) / "TimGM6mb.sf2"
        if path.is_file():
            return path
    raise MissingExtraError("pretty_midi (for its SoundFont; or give one with --soundfont)", "synth")
