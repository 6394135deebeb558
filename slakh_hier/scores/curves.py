"""Tables that a run folder holds, read with checks and without PyTorch."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from slakh_hier.csv_text import unguarded_frame
from slakh_hier.errors import InputError
from slakh_hier.plain_files import open_plain


def read_curves(path: Path) -> pd.DataFrame:
    """``metrics.csv`` of a run; empty where it is not there or holds nothing yet."""
    return read_table(path) if path.exists() and path.stat().st_size else pd.DataFrame()


def read_table(path: Path) -> pd.DataFrame:
    """A CSV file of a run."""
    try:
        with open(open_plain(path, links=True), "rb") as file:
            return unguarded_frame(pd.read_csv(file))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as a table: {error}") from None
