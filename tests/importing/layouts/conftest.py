"""Tiny data sets in the layouts, one second long, to be changed by the test that asks for one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from slakh_hier.importing import ImportReport, import_data_set
from slakh_hier.testing import make_recordings


@pytest.fixture
def recordings(tmp_path: Path) -> Callable[[str], Path]:
    """recordings(layout) makes a data set of short songs, and returns its folder."""
    return lambda layout: make_recordings(tmp_path, layout, seconds=0.2, sample_rate=8000)


@pytest.fixture
def take(tmp_path: Path) -> Callable[..., ImportReport]:
    """take(layout, folder, ...) imports by links, into the folder ``data``."""

    def run(layout: str, folder: Path, out: str = "data", **options: Any) -> ImportReport:
        options = {"audio": "link", "jobs": 1, **options}
        return import_data_set(folder, tmp_path / out, layout=layout, **options)

    return run


@pytest.fixture
def metadata(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """metadata() reads what was imported: the metadata of each track, by the song's id, and its split."""

    def read(out: str = "data") -> dict[str, Any]:
        found = {}
        for path in (tmp_path / out).glob("*/*/metadata.yaml"):
            content = yaml.safe_load(path.read_text())
            found[content["import"]["id"]] = {**content, "split": path.parts[-3]}
        return found

    return read
