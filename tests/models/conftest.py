"""A small shard set by hand: every state, several songs, masks, and formulas for every sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray

from slakh_hier.files import publish
from slakh_hier.hierarchy import parse_hierarchy
from slakh_hier.models.config import Config
from slakh_hier.models.config_file import load_config
from slakh_hier.shards.format import ABSENT, SILENT, ShardHeader
from slakh_hier.shards.index import Index, MaskRecord, NodeRecord, write_index
from slakh_hier.shards.mask import Mask
from slakh_hier.shards.write import ShardBuilder

RATE, SECONDS, SAMPLES = 4000, 0.5, 2000
TREE = """\
schema: 1
name: band
levels: 3
tree:
  strings:
    guitars:
      clean: {match: {programs: [27]}}
      dirty: {match: {programs: [30]}}
  drums_3:
    drums_2:
      drums_1: {match: {drums: true}}
unassigned: drop
"""
COLUMNS = parse_hierarchy(TREE, "band.yaml").columns()
LEAVES = {"clean": ("clean", "guitars", "strings"), "dirty": ("dirty", "guitars", "strings")}
LEAVES["drums_1"] = ("drums_1", "drums_2", "drums_3")
ON, OFF, GONE = "on", "off", "gone"
Stems = Mapping[str, str]


def stem(leaf: str, clip: int, song: int, channels: int = 1) -> NDArray[np.float32]:
    """One stem of a clip, (channels, samples); each leaf has a place of its own between left and right."""
    mono = one_channel(leaf, clip, song)
    if channels == 1:
        return mono[None]
    left = 0.3 + 0.5 * list(LEAVES).index(leaf)
    return np.stack([left * mono, (1.6 - left) * np.roll(mono, 3)])


def one_channel(leaf: str, clip: int, song: int) -> NDArray[np.float32]:
    """Tones for guitars (clean low, dirty high), bursts of noise for drums."""
    t = np.arange(SAMPLES) / RATE
    if leaf == "drums_1":
        noise = np.random.default_rng((song, clip)).standard_normal(SAMPLES)
        return (0.15 * noise * (np.sin(2 * np.pi * 4 * t + clip) > 0.3)).astype(np.float32)
    base = {"clean": 150, "dirty": 700}[leaf] * (1 + 0.07 * song)
    wave = sum(np.sin(2 * np.pi * base * k * t + clip * k) / k for k in (1, 2, 3))
    return (0.15 * wave * (1 + 0.5 * np.sin(2 * np.pi * 3 * t + clip))).astype(np.float32)


def write_shards(
    folder: Path,
    splits: Mapping[str, Sequence[tuple[str, Stems]]],
    *,
    queries: bool = True,
    masks: Sequence[str] = (),
    songs: int = 3,
    channels: int = 1,
    dtype: Literal["int16", "float32"] = "float32",
    change: Callable[[str, int, str, NDArray[np.float32]], NDArray[np.float32]] | None = None,
) -> Path:
    """Write a finished set; ``splits`` gives (target, state of each leaf) for each clip; a leaf left out sounds.

    Clip i of a split is of song i modulo ``songs``. ``change(split, clip, leaf, stem)`` alters stems.
    """
    folder.mkdir(parents=True)
    parsed = [Mask.parse(text) for text in masks]
    records = []
    for split, clips in splits.items():
        # Songs of different splits differ.
        numbers = [10 * list(splits).index(split) + i % songs for i in range(len(clips))]
        table = pd.DataFrame(
            {
                "track": [f"Track{n:05d}" for n in numbers],
                "song": [f"{n:032x}" for n in numbers],
                "target": [target for target, _ in clips],
                "start": [SECONDS * i for i in range(len(clips))],
                "query_track": [f"Track{n + 1:05d}" if queries else "" for n in numbers],
                "query_start": [0.0 if queries else np.nan] * len(clips),
            }
        )
        header = ShardHeader(RATE, channels, SECONDS, SAMPLES, dtype, split, 0, COLUMNS, "a" * 64)
        builder = ShardBuilder(header, table)
        for i, (target, states) in enumerate(clips):
            signals = {}
            for leaf in LEAVES:
                signal = stem(leaf, i, numbers[i], channels)
                signals[leaf] = change(split, i, leaf, signal) if change else signal
            _add_clip(builder, i, signals, states)
            if queries:
                below = [leaf for leaf, path in LEAVES.items() if target in path]
                parts = [stem(leaf, i + 100, numbers[i] + 1, channels) for leaf in below]
                builder.set_query(i, builder.add_signal(np.sum(parts, axis=0)))
        withheld = {r: _availability(r, split, len(clips)) for r in parsed}
        image = builder.finish(withheld)
        name = f"{split}-00000.h5"
        publish(folder / name, image)
        records.append(builder.record(name, image))
    write_index(
        folder,
        Index(
            tool_version="0",
            plan_digest="a" * 64,
            hierarchy_digest="b" * 64,
            sample_rate=RATE,
            channels=channels,
            clip_seconds=SECONDS,
            samples=SAMPLES,
            dtype=dtype,
            parameters={"salience_db": -30.0},
            nodes=[NodeRecord(name=c.name, level=c.level, parent=c.parent) for c in COLUMNS],
            splits=list(splits),
            shards=records,
            masks=[MaskRecord.of(r) for r in parsed],
        ),
    )
    return folder


def _availability(mask: Mask, split: str, clips: int) -> NDArray[np.bool_]:
    """Withhold the first clips of the training split, as many as the percentage says."""
    available = np.ones((clips, len(COLUMNS)), bool)
    if split == "train":
        first = slice(0, round(clips * mask.percent / 100))
        for place, column in enumerate(COLUMNS):
            if mask.kind == "all" or column.level <= 1:
                available[first, place] = False
    return available


def _add_clip(
    builder: ShardBuilder, clip: int, signals: Mapping[str, NDArray[np.float32]], states: Stems
) -> None:
    rows: dict[tuple[str, ...], int] = {}
    for place, column in enumerate(COLUMNS):
        below = [leaf for leaf in LEAVES if column.level == 4 or column.name in LEAVES[leaf]]
        there = [leaf for leaf in below if states.get(leaf, ON) != GONE]
        sounding = tuple(leaf for leaf in there if states.get(leaf, ON) == ON)
        if not there:
            builder.set(clip, place, ABSENT, float("nan"))
        elif not sounding:
            builder.set(clip, place, SILENT, float("-inf"))
        else:
            signal = np.sum([signals[leaf] for leaf in sounding], axis=0, dtype=np.float32)
            if sounding not in rows:
                rows[sounding] = builder.add_signal(signal)
            builder.set(clip, place, rows[sounding], float(10 * np.log10(np.mean(signal.astype(float) ** 2))))


CLEAN: tuple[str, Stems] = ("clean", {})


@pytest.fixture(scope="session")
def shard_writer() -> Callable[..., Path]:
    """:func:`write_shards`; test modules cannot import it from here."""
    return write_shards


@pytest.fixture(scope="session")
def guitar_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One path: 8 training, 4 validation, 4 test clips; masks leaf-50 and all-50; one clip without clean guitar."""
    gone: tuple[str, Stems] = ("clean", {"clean": GONE})
    silent: tuple[str, Stems] = ("clean", {"clean": OFF})
    return write_shards(
        tmp_path_factory.mktemp("shards") / "guitar",
        {"train": [CLEAN] * 8 + [gone], "validation": [CLEAN] * 4, "test": [CLEAN] * 4 + [gone, silent]},
        masks=("leaf:50", "all:50"),
    )


@pytest.fixture(scope="session")
def any_shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Any path: targets in turn, with queries."""
    turn: list[tuple[str, Stems]] = [(leaf, {}) for leaf in LEAVES] * 3
    return write_shards(
        tmp_path_factory.mktemp("shards") / "any",
        {"train": [*turn, ("dirty", {"clean": GONE})], "validation": turn[:6], "test": turn[:6]},
        masks=("leaf:50",),
        songs=4,
    )


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, shard_writer: Callable[..., Path]) -> Sequence[Path]:
    """One set for each task, with all masks that the experiments need."""
    masks = ("leaf:50", "leaf:90", "all:50", "all:90")
    folder = tmp_path_factory.mktemp("both")
    turn = [("clean", {}), ("dirty", {}), ("drums_1", {})]
    return (
        shard_writer(
            folder / "guitar",
            {"train": [("clean", {})] * 10, "validation": [("clean", {})] * 4, "test": [("clean", {})] * 6},
            masks=masks,
            queries=False,
        ),
        shard_writer(
            folder / "any", {"train": turn * 4, "validation": turn, "test": turn * 2}, masks=masks, songs=4
        ),
    )


TINY: dict[str, Any] = {
    "stft": {"window": 128, "hop": 64},
    "network": {"layers": 1, "units": 8, "dropout": 0.2, "query_layers": 1, "embedding": 4},
    "optimizer": {"lr": 0.01},
    "training": {"epochs": 2, "batch_size": 4, "steps_per_epoch": 3},
    "hardware": {"accelerator": "cpu", "threads": 1},
}


@pytest.fixture
def tiny_config(tmp_path: Path) -> Callable[..., Config]:
    """``tiny_config(task, "key=value", ...)``: a network that trains in a moment."""
    import yaml

    file = tmp_path / "tiny-config.yaml"
    file.write_text(yaml.safe_dump(TINY))
    return lambda task, *settings: load_config(task, file, settings=settings)


@pytest.fixture(scope="session")
def guitar_run(guitar_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _trained("sss", guitar_shards, tmp_path_factory)


@pytest.fixture(scope="session")
def query_run(any_shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _trained("qbe", any_shards, tmp_path_factory)


def _trained(task: str, shards: Path, factory: pytest.TempPathFactory) -> Path:
    from slakh_hier.models.training import train

    settings = [
        "stft={window: 128, hop: 64}", "network={layers: 1, units: 8, query_layers: 1, embedding: 4}",
        "training={epochs: 1, batch_size: 4}", "hardware={accelerator: cpu, threads: 1}",
    ]  # fmt: skip
    torch.set_num_threads(1)
    run = factory.mktemp("runs") / task
    train(load_config(task, settings=settings), shards, run)  # type: ignore[arg-type]
    return run


@pytest.fixture(autouse=True)
def _on_the_cpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What every test but those of GPUs computes does not depend on whether the machine has one."""
    if request.path.name != "test_gpu.py":
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
