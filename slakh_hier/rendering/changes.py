"""Whether the stems of a data set have changed since a folder was rendered from it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from slakh_hier.errors import InputError, SlakhHierError, SlakhHierWarning
from slakh_hier.output.folder import OutputFolder, place_of
from slakh_hier.plan.folder import CATALOG_NAME, open_catalog
from slakh_hier.slakh import Catalog
from slakh_hier.slakh.catalog_file import read_rows
from slakh_hier.slakh.frame import StemRow, stem_rows_of

FOLLOWS: Final = frozenset({"plan", "catalog"})
"""Settings that follow from the stems."""
_AUDIO: Final = ("frames", "sample_rate", "channels", "content")
_ALSO: Final = ("path", "size", "mtime_ns", "status", "why")
"""Columns that may change with the audio of a stem."""


def must_start_again(folder: OutputFolder, catalog: Catalog) -> bool:
    """Whether a folder holds a rendering of the same data set and with the same settings, of whose stems some have changed.

    Warns
    -----
    SlakhHierWarning
        So it is; with the first stem.

    Raises
    ------
    InputError
        The stems are those of another data set, which lies elsewhere; the first that differs is named.
    """
    record = folder.noted()
    if record is None or _others(record["settings"]) != _others(folder.settings):
        return False
    changed = _changed(folder.path, catalog)
    if not changed:
        return False
    what = f"{len(changed)} of {len(catalog.frame)} stems differ, {changed[0]} first"
    if record.get("data_set") != place_of(catalog.root)["data_set"]:
        raise InputError(
            f"{folder.path}: was rendered from another data set: {what}. Choose another folder, or start from scratch with "
            "--overwrite"
        )
    warnings.warn(
        f"{folder.path}: the data set has changed since it was rendered ({what}); it is rendered again",
        SlakhHierWarning,
        stacklevel=3,
    )
    return True


def _others(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in FOLLOWS}


def _changed(folder: Path, catalog: Catalog) -> list[str]:
    """Stems whose audio is another than when the folder was rendered; none where something else differs too."""
    try:
        with open_catalog(folder) as file:
            before = {(row.track, row.stem): row for row in read_rows(file, str(folder / CATALOG_NAME))}
    except (OSError, SlakhHierError):
        return []
    now = {(row.track, row.stem): row for row in stem_rows_of(catalog.frame)}
    if before.keys() != now.keys():
        return []
    changed = []
    for key, row in now.items():
        old = before[key]
        audio = any(getattr(old, name) != getattr(row, name) for name in _AUDIO)
        may = {*_AUDIO, *_ALSO} if audio else {"path", "size", "mtime_ns", "why"}
        if any(getattr(old, name) != getattr(row, name) for name in StemRow._fields if name not in may):
            return []
        if audio:
            changed.append("/".join(key))
    return changed
