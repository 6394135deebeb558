"""A small stereo shard set whose every sample follows from a formula."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest

from slakh_hier.files import publish, sha256
from slakh_hier.hierarchy import Column, parse_hierarchy
from slakh_hier.shards.format import ShardHeader
from slakh_hier.shards.index import Index, MaskRecord, NodeRecord, ShardRecord, write_index
from slakh_hier.shards.mask import Mask, availability, withheld
from slakh_hier.shards.write import ShardBuilder

TREE = """\
schema: 1
name: little
levels: 2
categories:
  violin: {programs: [40]}
  viola: {programs: [41]}
  cello: {programs: [42]}
  flute: {programs: [73]}
tree:
  strings:
    high_strings: [violin, viola]
    low_strings: [cello]
  winds:
    flutes: [flute]
unassigned: keep
"""
COLUMNS = parse_hierarchy(TREE, "little.yaml").columns()
LEAVES = ("high_strings", "low_strings", "flutes", "unassigned")
ABOVE = {"high_strings": ("strings",), "low_strings": ("strings",), "flutes": ("winds",), "unassigned": ()}
PLAN_DIGEST = "ab" * 32
RATE, CHANNELS, SECONDS, SAMPLES = 8000, 2, 0.25, 2000


def leaf(clip: int, name: str) -> np.ndarray | None:
    """A leaf's signal in a clip, float32 (channels, samples); None where the track has no such stem, zeros where it is silent."""
    place = LEAVES.index(name)
    if (clip + place) % 5 == 3:
        return None
    if (clip + place) % 7 == 5:
        return np.zeros((CHANNELS, SAMPLES), np.float32)
    time, channel = np.arange(SAMPLES) / RATE, np.arange(CHANNELS)[:, None]
    gain = 0.8 if clip % 4 == 1 else 0.2  # some mixtures exceed full scale
    return (gain * np.sin(2 * np.pi * (100 + 37 * clip + 211 * place) * time + place + 2 * channel)).astype(
        np.float32
    )


def node(clip: int, name: str) -> np.ndarray | None:
    """Any node's signal: the sum of its leaves, in float64."""
    below = [x for x in LEAVES if name in (x, "mix") or name in ABOVE[x]]
    present = [signal for x in below if (signal := leaf(clip, x)) is not None]
    return np.sum(present, axis=0, dtype=np.float64).astype(np.float32) if present else None


def query(clip: int) -> np.ndarray | None:
    """Every third clip has no query."""
    time, channel = np.arange(SAMPLES) / RATE, np.arange(CHANNELS)[:, None]
    if clip % 3 == 2:
        return None
    return (0.3 * np.cos(2 * np.pi * (50 + clip) * time + channel)).astype(np.float32)


def clip_rows(numbers: Sequence[int]) -> pd.DataFrame:
    """The clip table of clips with these numbers (numbers are unique in the set)."""
    with_query = {number for number in numbers if query(number) is not None}
    return pd.DataFrame(
        {
            "track": [f"Track{number:05d}" for number in numbers],
            "song": [f"{number:032x}" for number in numbers],
            "target": "high_strings",
            "start": [2.5 * number for number in numbers],
            "query_track": [f"Träck{number + 1:05d}" if number in with_query else None for number in numbers],
            "query_start": [5.0 * number if number in with_query else np.nan for number in numbers],
        }
    )


@dataclass
class Made:
    """A set on disk and what it was made of. ``clips``: numbers of the formulas, in the set's order."""

    folder: Path
    index: Index
    clips: list[int] = field(default_factory=list)
    columns: tuple[Column, ...] = COLUMNS

    def file(self, number: int = 0) -> Path:
        return self.folder / self.index.shards[number].file

    def rewrite_index(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Change index.json as a person (or an attacker) could."""
        raw = json.loads((self.folder / "index.json").read_text())
        change(raw)
        (self.folder / "index.json").write_text(json.dumps(raw))

    def edit(self, number: int, change: Callable[[h5py.File], object]) -> None:
        """Change a shard with h5py; the index agrees in size and digest."""
        image = io.BytesIO(self.file(number).read_bytes())
        with h5py.File(image, "r+", libver=("v110", "v110")) as file:
            change(file)
        self.replace(number, image.getvalue())

    def replace(self, number: int, data: bytes) -> None:
        """Put other bytes in a shard's place, with an index that agrees in size and digest."""
        self.file(number).write_bytes(data)

        def change(raw: dict[str, Any]) -> None:
            raw["shards"][number] |= {"bytes": len(data), "sha256": sha256(data)}

        self.rewrite_index(change)


def build(
    numbers: Sequence[int],
    *,
    split: str = "train",
    first_clip: int = 0,
    dtype: str = "int16",
    columns: tuple[Column, ...] = COLUMNS,
    masks: dict[Mask, np.ndarray] | None = None,
    plan_digest: str = PLAN_DIGEST,
    signal: Callable[[int, str], np.ndarray | None] = node,
) -> tuple[bytes, int]:
    """The bytes of one shard and its number of rows."""
    header = ShardHeader(RATE, CHANNELS, SECONDS, SAMPLES, dtype, split, first_clip, columns, plan_digest)  # type: ignore[arg-type]
    builder = ShardBuilder(header, clip_rows(numbers))
    for place, number in enumerate(numbers):
        rows: dict[bytes, int] = {}
        for column, about in enumerate(columns):
            samples = signal(number, about.name)
            if samples is None:
                continue
            if not samples.any():
                builder.set(place, column, -2, -np.inf)
                continue
            key = samples.tobytes()
            if key not in rows:
                rows[key] = builder.add_signal(samples)
            builder.set(place, column, rows[key], 10 * np.log10(np.mean(samples.astype(np.float64) ** 2)))
        if (asked := query(number)) is not None:
            builder.set_query(place, builder.add_signal(asked))
    rows_made = builder.rows
    return bytes(builder.finish(masks)), rows_made


def make(
    folder: Path,
    *,
    splits: dict[str, list[list[int]]] | None = None,
    dtype: str = "int16",
    columns: tuple[Column, ...] = COLUMNS,
    masks: Sequence[str] = ("leaf:50", "all:50"),
    plan_digest: str = PLAN_DIGEST,
    signal: Callable[[int, str], np.ndarray | None] = node,
    left_out: Collection[int] = (),
) -> Made:
    """Write a finished set.

    ``splits`` gives the numbers of the clips of every shard, ``left_out`` those whose stems could not be read.
    """
    splits = (
        {"train": [[0, 1, 2, 3], [4, 5]], "validation": [[6, 7]], "test": []} if splits is None else splits
    )
    folder.mkdir(parents=True, exist_ok=True)
    everything = [(split, number) for split, shards in splits.items() for shard in shards for number in shard]
    table = clip_rows([number for _, number in everything]).assign(split=[split for split, _ in everything])
    whole = {m: availability(m, withheld(m, table), columns) for m in map(Mask.parse, masks)}
    records, done = [], 0
    for split, shards in splits.items():
        first = 0
        for place, numbers in enumerate(shards):
            kept = [number for number in numbers if number not in left_out]
            here = [done + place for place, number in enumerate(numbers) if number in kept]
            data, rows = build(
                kept,
                split=split,
                first_clip=first,
                dtype=dtype,
                columns=columns,
                masks={mask: values[here] for mask, values in whole.items()},
                plan_digest=plan_digest,
                signal=signal,
            )
            name = f"{split}-{place:05d}.h5"
            publish(folder / name, data)
            records.append(
                ShardRecord(
                    file=name,
                    split=split,
                    clips=len(kept),
                    rows=rows,
                    bytes=len(data),
                    sha256=sha256(data),
                    first_clip=first,
                )
            )
            first += len(numbers)
            done += len(numbers)
    (folder / "plan.yaml").write_text(f"digest: {plan_digest}\n")
    (folder / "hierarchy.yaml").write_text(TREE)
    index = Index(
        tool_version="0.1.0",
        plan_digest=plan_digest,
        hierarchy_digest=parse_hierarchy(TREE, "hierarchy.yaml").digest,
        plan_files={"plan.yaml": sha256((folder / "plan.yaml").read_bytes())},
        sample_rate=RATE,
        channels=CHANNELS,
        clip_seconds=SECONDS,
        samples=SAMPLES,
        dtype=dtype,  # type: ignore[arg-type]
        parameters={"seed": 588},
        nodes=[NodeRecord(name=c.name, level=c.level, parent=c.parent) for c in columns],
        splits=list(splits),
        shards=records,
        masks=[MaskRecord.of(mask) for mask in whole],
        failures=len(left_out),
    )
    write_index(folder, index)
    return Made(folder, index, [number for _, number in everything if number not in left_out], columns)


class Formula:
    """The functions above, for tests (a conftest cannot be imported by name)."""

    TREE, COLUMNS, LEAVES, PLAN_DIGEST, RATE, CHANNELS, SECONDS, SAMPLES = (
        TREE, COLUMNS, LEAVES, PLAN_DIGEST, RATE, CHANNELS, SECONDS, SAMPLES,
    )  # fmt: skip
    leaf, node, query = staticmethod(leaf), staticmethod(node), staticmethod(query)
    build, clip_rows = staticmethod(build), staticmethod(clip_rows)


@pytest.fixture(scope="session")
def formula() -> type[Formula]:
    return Formula


@pytest.fixture
def make_set(tmp_path: Path) -> Callable[..., Made]:
    """Write a set; keyword arguments as in :func:`make`."""

    def in_folder(name: str = "set", **options: Any) -> Made:
        return make(tmp_path / name, **options)

    return in_folder


@pytest.fixture(scope="session")
def shared_set(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A set for tests that only read."""
    return make(tmp_path_factory.mktemp("shards") / "set")
