"""The paper's experiments: grids, figures against slow second writings, verdicts, runs that are shared and resumed."""

from __future__ import annotations

import csv
import io
import itertools
import json
import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from slakh_hier.errors import InputError
from slakh_hier.files import file_sha256
from slakh_hier.models.config import Config
from slakh_hier.models.config_file import load_config
from slakh_hier.models.experiments import processes
from slakh_hier.models.experiments.cell import Cell, run_cell
from slakh_hier.models.experiments.grid import cell_config, cell_task, experiments, load_grid, masks_needed
from slakh_hier.models.experiments.results import FAILS, HOLDS, HOLLOW, UNSURE, results
from slakh_hier.models.experiments.run import list_cells, run_experiment
from slakh_hier.models.experiments.statistics import (
    difference,
    intervals,
    level_means,
    level_medians,
    resampled_means,
    share,
)
from slakh_hier.models.experiments.writing import flat_rows, markdown, pair_rows, write_results

PAPER = {  # experiment: (row, level) -> published improvement; read off the paper's tables
    "levels": {
        ("sss-single", "1"): -0.7,
        ("sss-multi", "all"): 3.9,
        ("qbe-single", "2"): 1.4,
        ("qbe-multi", "1"): 1.6,
    },
    "reduction": {
        ("sss-all-90", "all"): 0.1,
        ("sss-leaf-90", "1"): 3.7,
        ("qbe-leaf-50", "3"): 3.4,
        ("qbe-full", "1"): 1.6,
    },
}
Shards = Sequence[Path]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, shard_writer: Callable[..., Path]) -> Shards:
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


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration that trains in a moment."""
    path = tmp_path / "tiny.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "stft": {"window": 128, "hop": 64},
                "network": {"layers": 1, "units": 4, "query_layers": 1, "embedding": 4},
                "training": {"epochs": 1, "batch_size": 4, "steps_per_epoch": 2},
                "data": {"workers": 0},
                "hardware": {"accelerator": "cpu", "threads": 1},
            }
        )
    )
    return path


def digests(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): file_sha256(p) for p in sorted(folder.rglob("weights.safetensors"))}


# ---- grids ----


def test_the_grids_are_those_of_the_paper() -> None:
    expected = {
        "hc": {"sss-23", "sss-23-unconstrained", "sss-123", "sss-123-unconstrained"},
        "levels": {f"{task}-{levels}" for task in ("sss", "qbe") for levels in ("1", "2", "3", "123")},
        "reduction": {
            f"{task}-123{cut}"
            for task in ("sss", "qbe")
            for cut in ("", "-all-50", "-leaf-50", "-all-90", "-leaf-90")
        },
    }
    assert {name: set(load_grid(name).cells) for name in experiments()} == expected
    base = {task: load_config(task, preset="small") for task in ("sss", "qbe")}
    for cell in set().union(*expected.values()):
        config = cell_config(cell, base, 7)
        task, levels, *cut = cell.split("-")
        assert (config.task, config.training.seed, config.preset) == (task, 7, "small")
        assert config.levels == tuple(int(level) for level in levels)
        assert config.constraint == (cut != ["unconstrained"])
        assert config.data.mask == ("-".join(cut) if len(cut) == 2 else None)
    assert {r.name for r in masks_needed(load_grid("reduction").cells)["qbe"]} == {
        "all-50", "leaf-50", "all-90", "leaf-90",
    }  # fmt: skip
    assert masks_needed(load_grid("levels").cells) == {}


def test_published_figures_stand_beside_their_rows(tmp_path: Path) -> None:
    for name, figures in PAPER.items():
        found = results(name, load_grid(name), [])
        rows = {row["name"]: row for table in found["tables"] for row in table["rows"]}
        for (row, level), delta in figures.items():
            assert rows[row]["published"][level]["delta"] == delta
        assert all(row["cells"] is None for row in rows.values())
        assert {claim["verdict"] for claim in found["claims"]} == {UNSURE}
    assert all(
        row["published"] is None for t in results("hc", load_grid("hc"), [])["tables"] for row in t["rows"]
    )


def test_an_unknown_experiment_is_named() -> None:
    with pytest.raises(InputError, match=r"no experiment level; there are hc, levels, reduction"):
        load_grid("level")


# ---- statistics ----


def ragged(seeds: int, clips: int, levels: int, songs: int) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(3)
    values = generator.normal(2, 3, (seeds, clips, levels))
    values[0, 1, 0] = values[-1, 4, levels - 1] = np.nan
    return values, np.arange(clips) % songs


def test_means_are_those_of_plain_loops() -> None:
    values, _ = ragged(3, 10, 2, 4)
    expected = [
        np.mean([x for seed in values[:, :, level] for x in seed if not math.isnan(x)]) for level in range(2)
    ]
    assert level_means(values) == pytest.approx([*expected, np.mean(expected)])


def test_medians_are_those_of_plain_loops() -> None:
    values, _ = ragged(3, 10, 2, 4)
    pooled = [clip for seed in values for clip in seed]
    expected = [
        np.median([clip[level] for clip in pooled if not math.isnan(clip[level])]) for level in range(2)
    ]
    means = [np.mean([x for x in clip if not math.isnan(x)]) for clip in pooled]
    assert level_medians(values) == pytest.approx([*expected, np.median(means)])


def test_resampling_is_that_of_plain_loops() -> None:
    """The same draws, each written out as the lists of clips it stands for."""
    values, songs = ragged(3, 10, 2, 4)
    fast = resampled_means(values, songs, seed=5)
    generator = np.random.default_rng(5)
    drawn_songs = generator.multinomial(4, np.full(4, 0.25), size=len(fast))
    drawn_seeds = generator.multinomial(3, np.full(3, 1 / 3), size=len(fast))
    for place in (0, 17, len(fast) - 1):
        seeds = np.repeat(np.arange(3), drawn_seeds[place])
        chosen = [song for song in range(4) for _ in range(drawn_songs[place][song])]
        by_level = []
        for level in range(2):
            pool = [values[k, c, level] for k in seeds for s in chosen for c in range(10) if songs[c] == s]
            by_level.append(np.mean([x for x in pool if not math.isnan(x)]))
        assert fast[place] == pytest.approx([*by_level, np.mean(by_level)])


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    """Songs differ by 1 dB, clips by 0.5 dB: intervals over clips alone would cover far too seldom."""
    generator = np.random.default_rng(0)
    hits = 0
    for _ in range(60):
        songs = np.repeat(np.arange(30), 4)
        values = (generator.normal(0, 1, 30)[songs] + generator.normal(0, 0.5, 120))[None, :, None]
        low, high = intervals(values, songs)[0] or (0, 0)
        hits += low <= 0 <= high
    assert 51 <= hits <= 60


def test_p_is_that_of_all_sign_flips() -> None:
    values, songs = ragged(2, 12, 1, 6)
    other = np.random.default_rng(9).normal(0, 3, values.shape)
    found = difference(values, other, songs, 0)
    per_clip = np.nanmean(values - other, 0)[:, 0]
    sums = [sum(x for x, s in zip(per_clip, songs, strict=True) if s == song) for song in range(6)]
    flipped = [
        sum(f * x for f, x in zip(flips, sums, strict=True)) for flips in itertools.product((1, -1), repeat=6)
    ]
    one_sided = [
        np.mean([f <= sum(sums) + 1e-9 for f in flipped]),
        np.mean([f >= sum(sums) - 1e-9 for f in flipped]),
    ]
    assert found.p == pytest.approx(min(1, 2 * min(one_sided)))
    assert found.mean == pytest.approx(np.nanmean(values - other))
    assert found.ci95 is not None
    assert found.ci95[0] < found.mean < found.ci95[1]


def test_one_song_says_nothing_about_others() -> None:
    values, songs = ragged(1, 10, 2, 1)
    assert intervals(values, songs) == [None] * 3
    assert difference(values, values * 0, songs, 0).p is None
    assert share(values, values, songs, 0) == (1.0, None)


# ---- results ----


def finished(folder: Path, name: str, seed: int, base: dict[str, Config], deltas: np.ndarray) -> Cell:
    """A run folder as train and evaluate leave it, with these improvements: (clips, levels), two clips a song."""
    config = cell_config(name, base, seed)  # type: ignore[arg-type]
    cell = Cell(name, seed, config, folder, folder)
    (cell.run / "evaluation").mkdir(parents=True)
    (cell.run / "config.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    (cell.run / "weights.json").write_text('{"step": 3}')
    pd.DataFrame({"epoch": [config.training.epochs]}).to_csv(cell.run / "metrics.csv", index=False)
    assert config.levels is not None
    pd.DataFrame(
        [
            {
                "clip": clip,
                "song": f"{clip // 2:032d}",
                "level": level,
                "mix": -5.0,
                "si_sdr": d - 5,
                "delta": d,
            }
            for clip, row in enumerate(deltas)
            for level, d in zip(config.levels, row, strict=True)
        ]
    ).to_csv(cell.scores, index=False)
    cell.scores.with_suffix(".json").write_text(json.dumps({"step": 3, "plan_digest": "a" * 64}))
    return cell


@pytest.mark.parametrize(
    ("leaf", "verdicts"),
    [
        (lambda full, noise: 0.95 * full, (HOLDS, HOLDS)),
        (lambda full, noise: 0.3 * full, (FAILS, FAILS)),
        (lambda full, noise: 0.9 * full + 4 * noise, (UNSURE, UNSURE)),
    ],
)
def test_verdicts_follow_from_whole_intervals(
    leaf: Any, verdicts: tuple[str, str], both: Shards, tmp_path: Path
) -> None:
    (tmp_path / "index.json").write_bytes((both[0] / "index.json").read_bytes())
    generator = np.random.default_rng(1)
    full = generator.normal(4, 0.3, (40, 3))
    noise = generator.normal(0, 1, (20, 1)).repeat(2, 0)
    base = {task: load_config(task, preset="tiny") for task in ("sss", "qbe")}
    cells = [
        finished(tmp_path, "sss-123", 1, base, full),
        finished(tmp_path, "sss-123", 2, base, full + 0.1),
        finished(tmp_path, "sss-123-leaf-90", 1, base, leaf(full, noise)),
        finished(
            tmp_path, "sss-123-all-90", 1, base, np.where(leaf(full, noise) < 2, full, 0 * full + noise)
        ),
    ]
    found = results("reduction", load_grid("reduction"), cells)
    said = {claim["claim"]: claim for claim in found["claims"]}
    keeps = said["With 90 % of the leaves withheld SSS keeps at least 90 % of its improvement."]
    better = said["Removing 90 % of the clips costs SSS more than withholding 90 % of the leaves."]
    assert keeps["verdict"] == verdicts[0], keeps
    if verdicts[1] != UNSURE:
        assert better["verdict"] == verdicts[1], better
    row = found["tables"][0]["rows"][0]
    assert (row["name"], row["seeds"], row["songs"]) == ("sss-full", 2, 20)
    assert row["cells"]["2"]["delta"] == pytest.approx(full[:, 1].mean() + 0.05)
    assert row["cells"]["all"]["delta"] == pytest.approx(full.mean() + 0.05)
    assert row["cells"]["all"]["mix"] == -5
    assert "not run" in markdown(found)
    assert f"{full.mean() + 0.05:.1f} [" in markdown(found)
    flat = {(row["model"], row["level"]): row for row in flat_rows(found)}
    assert flat["SSS, all ground truth", "3"]["published_delta"] == 3.5


def test_a_difference_within_the_margin_is_no_loss(both: Shards, tmp_path: Path) -> None:
    (tmp_path / "index.json").write_bytes((both[0] / "index.json").read_bytes())
    base = {"sss": load_config("sss", preset="tiny")}
    free = np.random.default_rng(1).normal(4, 2, (40, 2))
    noise = np.random.default_rng(2).normal(0, 1, (20, 1)).repeat(2, 0)
    for seed, (shift, verdict) in enumerate(
        [(-0.1 + 0.01 * noise, HOLDS), (-1.0, FAILS), (0.1 + noise, UNSURE)]
    ):
        folder = tmp_path / str(seed)
        folder.mkdir()
        (folder / "index.json").write_bytes((both[0] / "index.json").read_bytes())
        cells = [
            finished(folder, "sss-23-unconstrained", 1, base, free),
            finished(folder, "sss-23", 1, base, free + shift),
        ]
        claim = results("hc", load_grid("hc"), cells)["claims"][0]
        assert claim["verdict"] == verdict, claim


def seeds_of(folder: Path, both: Shards, task: str, cells: dict[str, np.ndarray]) -> list[Cell]:
    """Finished cells with one seed, by name with their improvements."""
    folder.mkdir(exist_ok=True)
    (folder / "index.json").write_bytes((both[0] / "index.json").read_bytes())
    base = {task: load_config(task, preset="tiny")}  # type: ignore[arg-type]
    return [finished(folder, name, 1, base, deltas) for name, deltas in cells.items()]


@pytest.mark.parametrize(("single", "verdict"), [(-5.0, HOLLOW), (0.02, HOLLOW), (2.0, HOLDS)])
def test_no_worse_than_models_that_fail_says_little(
    single: float, verdict: str, both: Shards, tmp_path: Path
) -> None:
    songs = np.random.default_rng(1).normal(0, 1, (20, 1)).repeat(2, 0)
    cells = {f"qbe-{level}": single + songs for level in (1, 2, 3)}
    cells["qbe-123"] = single + songs.repeat(3, 1) + 1
    claim = results("levels", load_grid("levels"), seeds_of(tmp_path, both, "qbe", cells))["claims"][1]
    assert claim["verdict"] == verdict, claim
    assert ("does not surely improve on the mixture" in claim["why"]) == (verdict == HOLLOW)
    assert "p of no difference < 0.001" in claim["why"]


def test_the_rows_of_a_claim_are_compared_too(both: Shards, tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    cells = {
        name: shift + generator.normal(3, 1, (40, 3))
        for name, shift in (("sss-123", 1), ("sss-123-all-50", 0), ("sss-123-leaf-50", 0.5))
    }
    found = results("reduction", load_grid("reduction"), seeds_of(tmp_path, both, "sss", cells))
    pairs = [(pair["row"], pair["with"]) for pair in found["tables"][0]["comparisons"]]
    assert pairs == [("sss-all-50", "sss-full"), ("sss-leaf-50", "sss-full"), ("sss-leaf-50", "sss-all-50")]
    claimed = [row for row in pair_rows(found) if row["against"] == "SSS, 50 % of the clips removed"]
    gap = cells["sss-123-leaf-50"] - cells["sss-123-all-50"]
    assert claimed[-1]["difference"] == pytest.approx(gap.mean())
    assert claimed[-1]["difference_low"] < gap.mean() < claimed[-1]["difference_high"]
    said = next(claim["why"] for claim in found["claims"] if "50 % of the clips costs SSS" in claim["claim"])
    assert f"p of no difference {claimed[-1]['p']:.3f}" in said or "< 0.001" in said
    write_results(tmp_path, found)
    with open(tmp_path / "comparisons.csv", newline="") as table:
        assert [float(row["difference"]) for row in csv.DictReader(table)] == pytest.approx(
            [row["difference"] for row in pair_rows(found)]
        )


def test_a_level_without_clips_is_not_known_and_json_stays_json(both: Shards, tmp_path: Path) -> None:
    deltas = np.random.default_rng(1).normal(3, 1, (40, 3))
    deltas[:, 0] = np.nan  # the mixture is the node in every clip
    cells = {"sss-123": deltas, "sss-123-leaf-90": deltas - 0.1, "sss-123-all-90": deltas - 2}
    found = results("reduction", load_grid("reduction"), seeds_of(tmp_path, both, "sss", cells))
    full = found["tables"][0]["rows"][0]["cells"]
    assert (full["1"]["delta"], full["1"]["median"], full["1"]["ci95"], full["1"]["clips"]) == (
        None,
        None,
        None,
        0,
    )
    assert full["all"]["delta"] is None  # a mean of two levels is not the mean of three
    assert full["2"]["delta"] == pytest.approx(np.nanmean(deltas[:, 1]))
    write_results(tmp_path, found)

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    assert (
        json.loads((tmp_path / "results.json").read_text(), parse_constant=refuse)["experiment"]
        == "reduction"
    )
    assert "nan" not in (tmp_path / "results.md").read_text()


# ---- runs ----


def test_a_run_is_done_once_and_shared(both: Shards, file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said: list[str] = []
    first = run_experiment("hc", both[:1], out, config=file, preset="tiny", report=said.append)
    assert not first.failed
    assert [row["cells"] is None for table in first.results["tables"] for row in table["rows"]] == [False] * 4
    assert {path.name for path in first.files} == {
        "results.md",
        "results.csv",
        "comparisons.csv",
        "results.json",
    }
    with open(out / "hc" / "results.csv", newline="") as table:
        assert len(list(csv.DictReader(table))) == 2 * 3 + 2 * 4
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if "runs" in path.parts}
    again = run_experiment("hc", both[:1], out, config=file, preset="tiny")
    assert again.results == first.results
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if "runs" in path.parts} == before

    some = run_experiment("levels", both, out, config=file, preset="tiny", cells=["sss-3"])
    states = {cell["name"]: cell["state"] for cell in some.results["cells"]}
    assert states["sss-123"] == "done"  # from the other experiment
    assert (states["sss-3"], states["qbe-1"]) == ("done", "missing")
    with pytest.raises(InputError, match=r"sss-3.*another configuration \(2 of 8"):
        run_experiment(
            "levels", both, out, config=file, preset="tiny", settings=["network.units=5"], cells=[]
        )


def test_processes_do_what_one_process_does_and_go_on_after_a_failure(
    both: Shards, file: Path, tmp_path: Path
) -> None:
    asked: dict[str, Any] = {"config": file, "preset": "tiny", "cells": ["sss-1", "sss-2", "qbe-3"]}
    for out in ("here", "apart"):
        taken = tmp_path / out / "runs" / "sss-2" / "seed-588"
        taken.mkdir(parents=True)
        (taken / "mine.txt").write_text("not a run")
    here = run_experiment("levels", both, tmp_path / "here", **asked)
    settings = ["hardware.threads=1"]
    apart = run_experiment("levels", both, tmp_path / "apart", jobs=2, settings=settings, **asked)
    for found in (here, apart):
        assert list(found.failed) == ["sss-2, seed 588"]
        assert "mine.txt" in found.failed["sss-2, seed 588"]
        states = {cell["name"]: cell["state"] for cell in found.results["cells"]}
        assert {name for name, state in states.items() if state == "done"} == {"sss-1", "qbe-3"}
    assert digests(tmp_path / "apart") == digests(tmp_path / "here")
    assert len(digests(tmp_path / "here")) == 2
    assert apart.results == {**here.results, "settings": settings}
    assert "epoch 1 of 1" in (tmp_path / "apart" / "logs" / "sss-1-588.log").read_text()


class FakeProcess:
    """Stands for a cell's process: notes what it was given, and ends when two run side by side."""

    began: list[tuple[str, str, dict[str, Any]]]
    together: threading.Barrier
    stdin = None

    def __init__(self, command: list[str], *, env: dict[str, str], **rest: Any) -> None:
        self.environment, self.stdin = env, io.BytesIO()

    def wait(self) -> int:
        device, threads = self.environment["CUDA_VISIBLE_DEVICES"], self.environment["OMP_NUM_THREADS"]
        self.began.append((device, threads, json.loads(self.stdin.getvalue())))
        self.together.wait(20)
        return 0


def test_each_process_has_a_gpu_and_its_share_of_the_processors(
    both: Shards, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(FakeProcess, "began", [], raising=False)
    monkeypatch.setattr(FakeProcess, "together", threading.Barrier(2), raising=False)
    monkeypatch.setattr(processes.subprocess, "Popen", FakeProcess)
    monkeypatch.setattr(processes, "resolve_jobs", lambda jobs: 7)
    cells = list_cells("hc", both[:1], tmp_path, preset="tiny")
    assert len(cells) == 4
    ended = dict(processes.run_in_processes(cells, 2, ["3", "GPU-5"]))
    assert set(ended.values()) == {None}
    assert len(FakeProcess.began) == 4
    # Two at a time, never both on one device.
    for first in (0, 2):
        assert {began[0] for began in FakeProcess.began[first : first + 2]} == {"3", "GPU-5"}
    assert {began[1] for began in FakeProcess.began} == {"3"}
    assert {began[2]["cores"] for began in FakeProcess.began} == {3}


def test_an_evaluation_takes_no_more_than_its_share(
    both: Shards, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    taken: list[int | None] = []
    monkeypatch.setattr("slakh_hier.models.training.train", lambda *words, **options: None)
    monkeypatch.setattr(
        "slakh_hier.models.evaluation.evaluate", lambda *words, jobs, **options: taken.append(jobs)
    )
    for settings in ((), ("hardware.threads=1",)):
        cell = list_cells("hc", both[:1], tmp_path, preset="small", settings=settings)[0]
        run_cell(cell, cores=3)
    assert taken == [3, 1]


def test_seeds_differ_and_are_not_forgotten(both: Shards, file: Path, tmp_path: Path) -> None:
    asked: dict[str, Any] = {"config": file, "preset": "tiny", "cells": ["sss-1"]}
    two = run_experiment("levels", both, tmp_path / "out", seeds=2, **asked)
    assert len(set(digests(tmp_path / "out").values())) == 2
    one = run_experiment("levels", both, tmp_path / "out", **asked)
    assert one.results["cells"] == [
        c for c in two.results["cells"] if c["seed"] == 588 or c["state"] == "done"
    ]


@pytest.mark.timeout(400)
def test_cells_end_with_the_run_that_began_them(both: Shards, file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "slakh_hier", "experiment", "levels", *both, "-o", out, "--config", file]
    command += ["--set", "training.epochs=10000", "--cell", "sss-1", "--cell", "sss-2", "-j", "2"]
    process = subprocess.Popen([str(word) for word in command], stderr=subprocess.DEVNULL)
    logs = [out / "logs" / f"sss-{level}-588.log" for level in (1, 2)]
    deadline = time.monotonic() + 240
    while not all(log.exists() and "epoch 2 of" in log.read_text() for log in logs):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 20
    while True:
        sizes = [log.stat().st_size for log in logs]
        time.sleep(0.5)
        if sizes == [log.stat().st_size for log in logs]:
            break
        assert time.monotonic() < deadline
    states = {
        c.name: c.state()
        for c in list_cells("levels", both, out, config=file, settings=["training.epochs=10000"])
    }
    assert (states["sss-1"], states["sss-3"]) == ("begun", "missing")


def test_shards_that_do_not_fit_are_refused_at_once(
    both: Shards, guitar_shards: Path, file: Path, tmp_path: Path
) -> None:
    for name, shards, message in (
        ("levels", both[:1], "qbe needs one shard set with queries"),
        ("levels", [*both, both[0]], "sss needs one shard set for one target"),
        ("reduction", [guitar_shards], r"no mask leaf-90. Add it with: slakh-hier mask .* --add leaf:90"),
    ):
        with pytest.raises(InputError, match=message):
            run_experiment(name, shards, tmp_path / "out", config=file)
    with pytest.raises(InputError, match=r"no cell sss-12: did you mean sss-1"):
        run_experiment("levels", both, tmp_path / "out", config=file, cells=["sss-12"])
    assert not (tmp_path / "out").exists()


def test_the_command(both: Shards, file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    from slakh_hier.cli.main import main

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(
                [
                    "experiment",
                    "hc",
                    str(both[0]),
                    "-o",
                    str(tmp_path / "out"),
                    "--config",
                    str(file),
                    *map(str, words),
                ]
            )
        out, err = capfd.readouterr()
        assert isinstance(stop.value.code, int)
        return stop.value.code, out, err

    code, out, _ = run("--list", "--seeds", 2, "--format", "json")
    assert code == 0
    assert [(row["seed"], row["state"]) for row in json.loads(out)] == [
        (588, "missing"),
        (589, "missing"),
    ] * 4
    code, out, err = run("--cell", "sss-23")
    assert code == 0, err
    assert "too little data to say" in out
    code, out, _ = run("--format", "csv", "--cell", "sss-23")
    assert code == 0
    rows = list(csv.DictReader(out.splitlines()))
    assert {row["level"] for row in rows} == {"2", "3", "all"}
    assert cell_task("sss-23") == "sss"
