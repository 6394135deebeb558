"""The paper's experiments: grids, and runs that are shared, resumed and spread over processes."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from slakh_hier.errors import InputError
from slakh_hier.files import file_sha256
from slakh_hier.models.config_file import load_config
from slakh_hier.models.experiments import processes
from slakh_hier.models.experiments.cell import run_cell
from slakh_hier.models.experiments.grid import cell_config, cell_task, experiments, load_grid, masks_needed
from slakh_hier.models.experiments.results import UNSURE, results
from slakh_hier.models.experiments.run import list_cells, run_experiment

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
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A configuration that trains in a moment."""
    path = tmp_path / "tiny.yaml"
    path.write_text(
        yaml.safe_dump(
            {
                "stft": {"window": 128, "hop": 64},
                "network": {"layers": 1, "units": 4, "embedding": 4},
                "training": {"epochs": 1, "batch_size": 4, "steps_per_epoch": 2},
                "hardware": {"accelerator": "cpu", "threads": 1},
            }
        )
    )
    return path


def digests(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): file_sha256(p) for p in sorted(folder.rglob("weights.safetensors"))}


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
    assert set(masks_needed(load_grid("reduction").cells)["qbe"]) == {
        "all-50", "leaf-50", "all-90", "leaf-90",
    }  # fmt: skip
    assert masks_needed(load_grid("levels").cells) == {}


def test_published_figures_stand_beside_their_rows(tmp_path: Path) -> None:
    for name, figures in PAPER.items():
        found = results(name, load_grid(name), [])
        rows = {row.name: row for table in found.tables for row in table.rows}
        for (row, level), delta in figures.items():
            published = rows[row].published
            assert published is not None
            assert published[level]["si_sdr"].improvement == delta
        assert all(row.cells is None for row in rows.values())
        assert {claim.verdict for claim in found.claims} == {UNSURE}
    assert all(row.published is None for t in results("hc", load_grid("hc"), []).tables for row in t.rows)


def test_an_unknown_experiment_is_named() -> None:
    with pytest.raises(InputError, match="experiment must be one of hc, levels, reduction, not 'level'"):
        load_grid("level")


def test_a_run_is_done_once_and_shared(both: Shards, file: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said: list[str] = []
    first = run_experiment("hc", both[:1], out, config=file, preset="tiny", report=said.append)
    assert not first.failed
    assert [row.cells is None for table in first.results.tables for row in table.rows] == [False] * 4
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
    states = {cell.name: cell.state for cell in some.results.cells}
    assert states["sss-123"] == "done"  # from the other experiment
    assert (states["sss-3"], states["qbe-1"]) == ("done", "missing")
    with pytest.raises(
        InputError,
        match=r"(?s)sss-3.*: made by train with other settings.* in the folder .* now.*\n2 of 8 cells differ",
    ):
        run_experiment(
            "levels", both, out, config=file, preset="tiny", settings=["network.units=5"], cells=[]
        )


def test_processes_do_what_one_process_does_and_continue_after_a_failure(
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
        states = {cell.name: cell.state for cell in found.results.cells}
        assert {name for name, state in states.items() if state == "done"} == {"sss-1", "qbe-3"}
    assert digests(tmp_path / "apart") == digests(tmp_path / "here")
    assert len(digests(tmp_path / "here")) == 2
    assert apart.results == here.results.model_copy(update={"settings": tuple(settings)})
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


def test_each_process_has_a_gpu_and_its_share_of_the_cpu_cores(
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
    assert list(one.results.cells) == [c for c in two.results.cells if c.seed == 588 or c.state == "done"]


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
    assert (states["sss-1"], states["sss-3"]) == ("incomplete", "missing")


def test_shards_that_do_not_fit_are_refused_at_once(
    both: Shards, guitar_shards: Path, file: Path, tmp_path: Path
) -> None:
    for name, shards, message in (
        ("levels", both[:1], "qbe needs one shard set with queries"),
        ("levels", [*both, both[0]], "sss needs one shard set for one target"),
        ("reduction", [guitar_shards], r"no mask leaf-90. Add it with: slakh-hier mask .* --add leaf-90"),
    ):
        with pytest.raises(InputError, match=message):
            run_experiment(name, shards, tmp_path / "out", config=file)
    with pytest.raises(InputError, match=r"no cell sss-12: did you mean sss-1"):
        run_experiment("levels", both, tmp_path / "out", config=file, cells=["sss-12"])
    assert not (tmp_path / "out").exists()


def test_the_command(
    both: Shards, file: Path, tmp_path: Path, command: Command, printed_tables: list[str]
) -> None:
    def run(*words: object) -> tuple[int, str, str]:
        return command("experiment", "hc", both[0], "-o", tmp_path / "out", "--config", file, *words)

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
