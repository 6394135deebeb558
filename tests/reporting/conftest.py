"""A shard set with hostile names and every state, and a run that was never trained but evaluated for real."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from slakh_hier.files import publish, publish_json
from slakh_hier.hierarchy import Column
from slakh_hier.shards.format import ABSENT, SILENT, ShardHeader
from slakh_hier.shards.index import Index, MaskRecord, NodeRecord, write_index
from slakh_hier.shards.mask import Mask
from slakh_hier.shards.write import ShardBuilder

SI_SDR = {"si_sdr": {"heading": "SI-SDR", "unit": "dB"}}
RATE, SECONDS, SAMPLES = 8000, 1.0, 8000
EVIL = "<script>window.hacked = 1<"
QUOTES = "\"'><img src=x onerror=alert(1)>${x}"
COLUMNS = (
    Column("mix", 3, -1),
    Column(EVIL, 2, 0),
    Column("winds", 2, 0),
    Column(QUOTES, 1, 1),
    Column("$\\alpha_{x$".replace("\\", ""), 1, 1),
    Column("flutes", 1, 2),
)
TRACK = "</script><script>window.hacked = 2</script>&amp;"


def tone(clip: int, leaf: int) -> NDArray[np.float32]:
    """Stereo, (channels, samples); each leaf has its own place between left and right."""
    time = np.arange(SAMPLES) / RATE
    mono = 0.25 * np.exp(-time) * np.sin(2 * np.pi * (200 + 90 * clip + 400 * leaf) * time)
    return np.stack([mono, (1.2 - 0.2 * leaf) * mono]).astype(np.float32)


@pytest.fixture(scope="session")
def hostile_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6 training and 3 test clips with queries; flutes are silent in clip 1 and absent from clip 2 of each split."""
    folder = tmp_path_factory.mktemp("hostile") / "shards"
    folder.mkdir()
    mask = Mask.parse("leaf:50")
    records = []
    for split, count in (("train", 6), ("test", 3)):
        table = pd.DataFrame(
            {
                "track": [f"{TRACK}{clip}" for clip in range(count)],
                "song": [f"{clip:032x}" for clip in range(count)],
                "target": [QUOTES] * count,
                "start": [0.5 * clip for clip in range(count)],
                "query_track": [TRACK] * count,
                "query_start": [0.0] * count,
            }
        )
        header = ShardHeader(RATE, 2, SECONDS, SAMPLES, "float32", split, 0, COLUMNS, "a" * 64)
        builder = ShardBuilder(header, table)
        for clip in range(count):
            leaves = {leaf: tone(clip, leaf) for leaf in (3, 4, 5)}
            if clip in (1, 2):
                del leaves[5]
            one = leaves[3] + leaves[4]
            signals = {0: one + leaves.get(5, 0), 1: one, 3: leaves[3], 4: leaves[4]}
            for column, signal in signals.items():
                level = float(10 * np.log10(np.mean(signal.astype(float) ** 2)))
                builder.set(clip, column, builder.add_signal(signal.astype(np.float32)), level)
            row = builder.add_signal(leaves[5]) if 5 in leaves else SILENT if clip == 1 else ABSENT
            for column in (2, 5):  # the parent of a single child shares its row
                builder.set(clip, column, row, {SILENT: -np.inf, ABSENT: np.nan}.get(row, -17.0))
            builder.set_query(clip, builder.add_signal(tone(clip + 20, 3)))
        available = np.ones((count, len(COLUMNS)), bool)
        if split == "train":
            available[:3, 3:] = False
        image = builder.finish({mask: available})
        publish(folder / f"{split}-00000.h5", image)
        records.append(builder.record(f"{split}-00000.h5", image))
    index = Index(
        tool_version="0",
        plan_digest="a" * 64,
        hierarchy_digest="b" * 64,
        sample_rate=RATE,
        channels=2,
        clip_seconds=SECONDS,
        samples=SAMPLES,
        dtype="float32",
        parameters={"salience_db": -30.0, "hierarchy": {"name": EVIL}},
        nodes=[NodeRecord(name=c.name, level=c.level, parent=c.parent) for c in COLUMNS],
        splits=["train", "test"],
        shards=records,
        masks=[MaskRecord.of(mask)],
        failures=1,
    )
    write_index(folder, index)
    failure = {
        "split": "train",
        "track": TRACK,
        "start": 1.0,
        "target": EVIL,
        "stem": "S00",
        "reason": QUOTES,
    }
    (folder / "failures.jsonl").write_text(json.dumps(failure) + "\n")
    return folder


@pytest.fixture(scope="session")
def hostile_page(hostile_set: Path) -> bytes:
    """The page of the hostile set."""
    from slakh_hier.reporting.page import render_page
    from slakh_hier.reporting.shard_set import shard_report

    return render_page(shard_report(hostile_set))


@pytest.fixture(scope="session")
def make_run(small_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """``make_run(name, seed)``: a QBE run on the small set with fresh weights, evaluated on its test split."""
    pytest.importorskip("torch").set_num_threads(1)  # more would wait for each other beside other tests
    from slakh_hier.models.config_file import config_yaml, load_config
    from slakh_hier.models.evaluation import evaluate
    from slakh_hier.models.run_folder import CONFIG, DATA, METRICS
    from slakh_hier.models.separator import build_separator
    from slakh_hier.models.weights import About, save_weights
    from slakh_hier.shards.index import read_index

    index = read_index(small_set)

    def make(name: str, seed: int = 0, *, evaluated: bool = True) -> Path:
        folder = tmp_path_factory.mktemp("runs") / name
        folder.mkdir()
        config = load_config(
            "qbe",
            preset="tiny",
            settings=(
                "stft={window: 128, hop: 64}",
                "network={units: 8, embedding: 4}",
                f"training.seed={seed}",
            ),
        )
        separator = build_separator(config, 3)
        about = About(
            tool_version="0",
            levels=(1, 2, 3),
            names=("level_1", "level_2", "level_3"),
            node=None,
            sample_rate=index.sample_rate,
            channels=2,
            clip_seconds=index.clip_seconds,
            hierarchy_digest=index.hierarchy_digest,
            plan_digest=index.plan_digest,
            parameters=separator.parameter_count,
            epoch=2,
            step=10,
            loss=0.25,
            config=config,
        )
        save_weights(folder, separator.state_dict(), about)
        (folder / CONFIG).write_text(config_yaml(config))
        publish_json(folder / DATA, {"shards": str(small_set), "names": list(about.names)})
        (folder / METRICS).write_text(
            "epoch,step,train_loss,val_loss,lr\n1,5,0.5,0.4,0.01\n2,10,0.3,0.25,0.01\n"
        )
        if evaluated:
            evaluate(folder, small_set, jobs=1, device="cpu")
        return folder

    return make


@pytest.fixture(scope="session")
def run_folder(make_run: Callable[..., Path]) -> Path:
    return make_run("first")


@pytest.fixture(scope="session")
def other_run(make_run: Callable[..., Path]) -> Path:
    return make_run("<b>second", 1)


@pytest.fixture(scope="session")
def experiment_of_runs(run_folder: Path, other_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiment of one model with two seeds, evaluated for real, and one with ground truth withheld."""
    above = tmp_path_factory.mktemp("experiments")
    experiment = above / "levels"
    cells = []
    for seed, run in enumerate((run_folder, other_run, other_run)):
        name = f"runs/{'qbe-123' if seed < 2 else 'qbe-123-leaf-90'}/seed-{seed}"
        shutil.copytree(run, above / name)
        cells.append({"name": name.split("/")[1], "seed": seed, "run": name, "state": "done"})
    values = {"mixture": -8.0, "estimate": -2.0, "improvement": 6.0, "ci95": [5.0, 7.0], "median": 5.5}
    by_level = {key: {"metrics": {"si_sdr": values}} for key in ("1", "2", "3", "all")}
    claims = [{"claim": f"{EVIL} is no worse", "verdict": "holds", "why": QUOTES}]
    rows = [
        {"model": "one", "levels": 3, "name": "o", "seeds": 2, "trainings": ["qbe-123"], "cells": by_level},
        {"model": "less", "levels": 3, "name": "l", "seeds": 1, "trainings": ["qbe-123-leaf-90"], "cells": by_level, "mask": "leaf-90"},
    ]  # fmt: skip
    experiment.mkdir()
    tables = [{"title": "QBE", "rows": rows}]
    (experiment / "results.json").write_text(
        json.dumps(
            {"experiment": "levels", "metrics": SI_SDR, "claims": claims, "tables": tables, "cells": cells}
        )
    )
    return experiment


@pytest.fixture(scope="session")
def experiment_page(experiment_of_runs: Path) -> bytes:
    """The page of that experiment."""
    from slakh_hier.reporting.experiment import experiment_report
    from slakh_hier.reporting.page import render_page

    return render_page(experiment_report(experiment_of_runs))
