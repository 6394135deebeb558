"""The report of an experiment: tables, claims and runs as results.json has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from slakh_hier.errors import InputError
from slakh_hier.reporting.document import Links, Player, Table
from slakh_hier.reporting.experiment import experiment_report

VALUES = {"mixture": -8.0, "estimate": -2.0, "improvement": 6.0, "ci95": [5.0, 7.0], "median": 5.5}
ENTRY = {"metrics": {"si_sdr": VALUES}}
RESULTS: dict[str, Any] = {
    "experiment": "levels",
    "preset": "tiny",
    "metrics": {"si_sdr": {"heading": "SI-SDR", "unit": "dB"}},
    "tables": [
        {
            "title": "SSS",
            "rows": [
                {"model": "single", "name": "s", "trainings": ["a"], "levels": 1, "seeds": 3, "cells": {"1": ENTRY}, "published": {"1": ENTRY}},
                {"model": "multi", "name": "m", "levels": 3, "seeds": 3, "cells": {"1": ENTRY, "3": ENTRY, "all": ENTRY}, "published": None},
                {"model": "not run", "levels": 3, "cells": None, "published": None},
            ],
            "comparisons": [
                {"row": "m", "with": "s", "metric": "si_sdr", "levels": {"1": {"mean": 1.25, "ci95": [-0.5, 3.0], "p": 0.0002}}}
            ],
        }
    ],
    "claims": [{"claim": "multi >= single", "verdict": "holds", "why": "<b>6 dB</b>"}],
    "cells": [
        {"name": "a", "seed": 0, "run": "runs/a b", "state": "done"},
        {"name": "b", "seed": 1, "run": "javascript:alert(1)", "state": "missing"},
        {"name": "c", "seed": 2, "run": "../outside", "state": "done"},
        {"name": "d", "seed": 3, "run": "shared/d", "state": "done"},
    ],
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    experiment = tmp_path / "experiment"
    run = experiment / "runs" / "a b"
    run.mkdir(parents=True)
    (tmp_path / "shared" / "d").mkdir(parents=True)
    (run / "metrics.csv").write_text("epoch,step,train_loss,val_loss\n1,5,0.5,0.4\n2,10,0.3,0.2\n")
    (experiment / "results.json").write_text(json.dumps(RESULTS))
    return experiment


def test_tables_claims_and_curves(folder: Path) -> None:
    report = experiment_report(folder)
    assert [section.title for section in report.sections] == ["Claims", "SSS", "Runs"]
    table = report.sections[1].blocks[0]
    assert isinstance(table, Table)
    assert [(row["model"], row["seeds"]) for row in table.rows] == [
        ("single", 3),
        ("as published", None),
        ("multi", 3),
        ("not run", "not run yet"),
    ]
    assert table.rows[0]["level 1"] == "6.0 [5.0, 7.0]"
    assert table.rows[0]["level 3"] == "–"
    assert list(table.rows[0]) == ["model", "all levels", "level 3", "level 1", "seeds", "levels trained"]
    whole = report.sections[1].blocks[1]
    assert isinstance(whole, Table)
    assert whole.rows[2]["level 3: median Δ"] == 5.5
    pairs = report.sections[1].blocks[3]
    assert isinstance(pairs, Table)
    assert [dict(row) for row in pairs.rows] == [
        {
            "model": "multi",
            "against": "single",
            "all levels": None,
            "level 3": None,
            "level 1": "+1.25 [-0.50, +3.00] p < 0.001",
        }
    ]
    assert [plot.name for plot in report.plots] == ["table-1", "curves-1"]
    assert list(report.plots[1].draw.args[0]) == ["single"]  # type: ignore[attr-defined]
    groups = report.plots[0].draw.args[0]  # type: ignore[attr-defined]
    assert [(m.series, m.value, m.hollow) for m in groups["level 1"]] == [
        ("single", 6.0, False),
        ("single", 6.0, True),
        ("multi", 6.0, False),
    ]


def test_links_lead_to_pages_of_its_own_runs_only(folder: Path) -> None:
    section = experiment_report(folder, folder.parent / "page.html").sections[-1]
    assert not [block for block in section.blocks if isinstance(block, Links)]  # no page of a run is there
    assert "slakh-hier report runs/a b -o run.html" in section.text[0]
    outside = folder.parent.parent / "outside"
    outside.mkdir(exist_ok=True)
    for run in (folder / "runs" / "a b", folder.parent / "shared" / "d", outside):
        (run / "report.html").write_text("<p>a page</p>")
    section = experiment_report(folder, folder.parent / "page.html").sections[-1]
    links = next(block for block in section.blocks if isinstance(block, Links))
    assert links.rows == [
        ("a, seed 0", "./experiment/runs/a%20b/report.html"),
        ("d, seed 3", "./shared/d/report.html"),
    ]


def test_boxes_pool_the_seeds_and_clips_are_those_of_the_main_row(
    experiment_of_runs: Path, run_folder: Path, other_run: Path
) -> None:
    pytest.importorskip("torch")
    from slakh_hier.reporting.runs import run_report

    report = experiment_report(experiment_of_runs)
    boxes = next(plot for plot in report.plots if plot.name == "nodes-1").draw.args  # type: ignore[attr-defined]
    nodes, values = boxes[0], boxes[1]
    scores = pd.concat(pd.read_csv(run / "evaluation" / "test.csv") for run in (run_folder, other_run))
    counted = scores[scores["counted"]]
    assert {node: sorted(found) for node, found in values["one"].items()} == {
        node: sorted(part["si_sdr_improvement"]) for node, part in counted.groupby("node")
    }
    assert {row.name for row in nodes} == set(scores["node"])
    assert {row.depth for row in nodes} == {0, 1, 2}
    assert sum(map(len, values["less"].values())) < len(counted)
    (section,) = [s for s in report.sections if s.title == "Clips, QBE"]
    assert section.text == ["Estimates of one (qbe-123/seed-0)."]
    (player,) = section.blocks
    assert isinstance(player, Player)
    (expected,) = [b for s in run_report([run_folder]).sections for b in s.blocks if isinstance(b, Player)]
    assert [clip.title for clip in player.clips] == [clip.title for clip in expected.clips]


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"tables": None}, "tables"),
        ({"tables": [{"title": "x", "rows": [{"model": "m"}]}]}, "tables.0.rows.0.levels"),
        ({"cells": [{"seed": 1}]}, "cells.0.name"),
    ],
)
def test_broken_results_are_refused_with_their_place(
    folder: Path, change: dict[str, Any], place: str
) -> None:
    (folder / "results.json").write_text(json.dumps(RESULTS | change))
    with pytest.raises(InputError, match=rf"results\.json: {place}: "):
        experiment_report(folder)


def test_what_an_experiment_writes_is_read(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from slakh_hier.models.experiments.grid import load_grid
    from slakh_hier.models.experiments.results import results
    from slakh_hier.models.experiments.writing import write_results

    for name in ("hc", "levels", "reduction"):
        grid = load_grid(name)
        write_results(tmp_path, results(name, grid, []))
        report = experiment_report(tmp_path)
        assert report.title == grid.title
        assert [section.title for section in report.sections] == [
            "Claims",
            *(table.title for table in grid.tables),
        ]
