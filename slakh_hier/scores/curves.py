"""The curves of a training, read without PyTorch."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from slakh_hier.csv_text import read_frame


def read_curves(path: Path) -> pd.DataFrame:
    """``metrics.csv`` of a run; empty where it is not there or holds nothing yet."""
    return read_frame(path) if path.exists() and path.stat().st_size else pd.DataFrame()
