"""Small data sets written by hand, stem by stem, so that a test sees all that matters in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from slakh_hier.hierarchy import Hierarchy, load_hierarchy

WriteTrack = Callable[..., Path]
PIANO = {"plugin_name": "concert_grand.nkm", "program_num": 0, "is_drum": False, "inst_class": "Piano"}


@pytest.fixture(scope="session")
def tree() -> Hierarchy:
    return load_hierarchy("slakh34")


@pytest.fixture
def write_track(tmp_path: Path) -> WriteTrack:
    """write_track("train/Track00001", uuid=..., stems={"S00": {...}}, files=("S00.flac",)) -> the data set's root."""
    root = tmp_path / "slakh"

    def write(
        path: str,
        *,
        uuid: str | None = None,
        stems: Mapping[str, Any] | None = None,
        files: tuple[str, ...] = ("S00.flac",),
        midi: bytes | None = None,
        rate: int = 8000,
        frames: int = 800,
        text: str | None = None,
        **more: Any,
    ) -> Path:
        folder = root / path
        (folder / "stems").mkdir(parents=True)
        content = {"stems": {"S00": PIANO} if stems is None else dict(stems), **more}
        if uuid is not None:
            content["UUID"] = uuid
        # JSON is YAML; a YAML dumper would make aliases of the repeated stems.
        (folder / "metadata.yaml").write_text(json.dumps(content, indent=2) if text is None else text)
        for name in files:
            soundfile.write(
                folder / "stems" / name, np.arange(frames, dtype=np.int16), rate, subtype="PCM_16"
            )
        if midi is not None:
            (folder / "all_src.mid").write_bytes(midi)
        return root

    return write
