"""The files of a plan, in a folder of its own or beside the shards: their names, and how they are read.

Such a folder may be untrusted: links in it are not followed, and no file is read without limit.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import AbstractContextManager
from io import BufferedReader
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import pandas as pd

from slakh_hier import safe_yaml
from slakh_hier.csv_text import guarded_frame, unguarded_frame
from slakh_hier.errors import PlanError, SlakhHierError
from slakh_hier.hierarchy import Hierarchy, parse_hierarchy
from slakh_hier.plain_files import open_limited, read_plain

SCHEMA: Final = 3
PLAN_NAME: Final = "plan.yaml"
CLIPS_NAME: Final = "clips.csv"
CATALOG_NAME: Final = "catalog.csv"
HIERARCHY_NAME: Final = "hierarchy.yaml"
MAX_PLAN_BYTES: Final = 16 << 20
"""Of plan.yaml, which has one entry per node and split: large trees make long plans, still far below this."""
MAX_TABLE_BYTES: Final = 512 << 20
"""Of clips.csv and catalog.csv: some 100 bytes a clip, 200 a stem."""
FixedName = Literal["plan.yaml", "clips.csv"]
FIXED: Final[dict[FixedName, int]] = {PLAN_NAME: MAX_PLAN_BYTES, CLIPS_NAME: MAX_TABLE_BYTES}
"""The files in which any change is a fault (a catalog also holds times of its files, a tree comments)."""
_CLIPS: Final = 4096
"""Clips that are there as text at a time."""


def read_document(folder: Path) -> dict[str, Any]:
    """The contents of a folder's ``plan.yaml``.

    Raises
    ------
    PlanError
        It is missing, damaged or of another schema.
    """
    path = folder / PLAN_NAME
    try:
        document = safe_yaml.load(read_plain(path, MAX_PLAN_BYTES), str(path), max_bytes=MAX_PLAN_BYTES)
    except OSError as error:
        raise PlanError(f"{path}: {error.strerror}; make a plan with slakh-hier plan") from error
    except SlakhHierError as error:
        raise PlanError(f"{path}: is damaged: {error}") from error
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise PlanError(f"{path}: is not a plan of schema {SCHEMA}; recreate it with slakh-hier plan")
    return document


def read_tree(folder: Path) -> Hierarchy:
    """The tree of ``hierarchy.yaml``; OSError, UnicodeDecodeError and HierarchyError where it cannot be read."""
    path = folder / HIERARCHY_NAME
    return parse_hierarchy(read_plain(path, safe_yaml.MAX_BYTES).decode(), str(path))


def read_clips(folder: Path) -> pd.DataFrame:
    """The table of ``clips.csv``; OSError, ValueError and KeyError where it cannot be read."""
    data = read_plain(folder / CLIPS_NAME, MAX_TABLE_BYTES)
    table = unguarded_frame(pd.read_csv(io.BytesIO(data), dtype=str, keep_default_na=False))
    for name in table.columns:
        if name in ("start", "query_start") or name.startswith("mix_si_sdr"):
            table[name] = [float(cell) if cell else np.nan for cell in table[name]]
    table["draw"] = table["draw"].astype(int)
    return table


def clip_lines(clips: pd.DataFrame) -> Iterator[bytes]:
    """The content of ``clips.csv``, part by part."""
    for first in range(0, max(1, len(clips)), _CLIPS):
        part = guarded_frame(clips.iloc[first : first + _CLIPS])
        yield part.to_csv(index=False, header=first == 0, lineterminator="\n").encode()


def fixed_digest(folder: Path, name: FixedName) -> str:
    """Sha256 (hex) of one of the files in which any change is a fault. OSError where it cannot be read."""
    with open_limited(folder / name, FIXED[name]) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def open_catalog(folder: Path) -> AbstractContextManager[BufferedReader]:
    """``catalog.csv``, open for reading. OSError where it cannot be read."""
    return open_limited(folder / CATALOG_NAME, MAX_TABLE_BYTES)
