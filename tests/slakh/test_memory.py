"""What a stem of the catalog costs in memory, by the slope between two data sets: no constant, no clock, no other process."""

from __future__ import annotations

import gc
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from slakh_hier.hierarchy import load_hierarchy
from slakh_hier.slakh import Catalog, scan
from slakh_hier.testing.instruments import INSTRUMENTS

TRACKS = (60, 240)
STEMS = 11
TRIES = 2
"""The least of so many counts: tables of the interpreter's own may grow in between."""


@pytest.fixture(scope="module")
def roots(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two data sets in which all but the paths is as in Slakh2100, which has 11 stems a track."""
    folder = tmp_path_factory.mktemp("memory")
    soundfile.write(folder / "stem.flac", np.arange(800, dtype=np.int16), 8000)
    audio = (folder / "stem.flac").read_bytes()
    instruments = list(INSTRUMENTS.values())
    for tracks in TRACKS:
        for number in range(tracks):
            place = folder / f"{tracks}" / "train" / f"Track{number:05d}"
            (place / "stems").mkdir(parents=True)
            stems = {}
            for i in range(STEMS):
                kind = instruments[(number + 5 * i) % len(instruments)]
                stems[f"S{i:02d}"] = {
                    "plugin_name": kind.patch,
                    "program_num": kind.program,
                    "is_drum": kind.is_drum,
                    "midi_program_name": kind.midi_program_name,
                    "inst_class": kind.inst_class,
                }
                (place / "stems" / f"S{i:02d}.flac").write_bytes(audio)
            content = {"UUID": f"{number:032x}", "stems": stems}
            (place / "metadata.yaml").write_text(json.dumps(content))
    return [folder / f"{tracks}" for tracks in TRACKS]


def bytes_a_stem(work: Callable[[int], Any]) -> tuple[float, float]:
    """Bytes that each further stem takes while ``work`` runs, and that its result keeps."""
    counts = []
    for size in range(len(TRACKS)):
        work(size)
        found = []
        for _ in range(TRIES):
            gc.collect()
            tracemalloc.start()
            result = work(size)
            peak = tracemalloc.get_traced_memory()[1]
            gc.collect()
            found.append((peak, tracemalloc.get_traced_memory()[0]))
            tracemalloc.stop()
            del result
        counts.append(np.min(found, axis=0))
    peak, held = (counts[1] - counts[0]) / (STEMS * (TRACKS[1] - TRACKS[0]))
    return float(peak), float(held)


# 120 bytes for 15 columns of texts, 50 for numbers, 80 for the text of the path and 80 of the content, and what is kept a track.
HELD = 390


@pytest.mark.parametrize(("cache", "most"), [(False, 600), (True, 780)])
def test_scan(roots, tree, tmp_path, monkeypatch, cache, most):
    monkeypatch.setenv("SLAKH_HIER_CACHE", str(tmp_path))
    peak, held = bytes_a_stem(lambda size: scan(roots[size], tree, cache=cache, jobs=1))
    assert held < HELD
    assert peak < most  # from the cache: its lines besides


def test_saved_and_read(roots, tree, tmp_path):
    catalogs = [scan(root, tree, cache=False) for root in roots]
    paths = [tmp_path / root.name for root in roots]
    for catalog, path in zip(catalogs, paths, strict=True):
        catalog.save(path)
    peak, held = bytes_a_stem(lambda size: Catalog.load(paths[size], roots[size], tree))
    assert held < HELD
    assert peak < 560
    band = load_hierarchy("band")
    assert bytes_a_stem(lambda size: catalogs[size].with_hierarchy(band))[0] < 250  # the texts are shared
    assert bytes_a_stem(lambda size: catalogs[size].save(tmp_path / "again"))[0] < 60
    assert bytes_a_stem(lambda size: Catalog.digest.func(catalogs[size]))[0] < 60
    assert bytes_a_stem(lambda size: catalogs[size].usable_by_track)[1] < 40  # a copy of the rows: 160
