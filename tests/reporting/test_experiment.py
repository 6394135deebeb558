"""The report of an experiment: tables, claims and runs as results.json has them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slakh_hier.errors import InputError
from slakh_hier.reporting.document import Links, Table
from slakh_hier.reporting.experiment import experiment_report

FIGURES = {"mix": -8.0, "si_sdr": -2.0, "delta": 6.0, "ci95": [5.0, 7.0], "seeds": 3}
RESULTS: dict[str, Any] = {
    "experiment": "levels",
    "preset": "tiny",
    "tables": [
        {
            "title": "SSS",
            "rows": [
                {"model": "single", "levels": 1, "cells": {"1": FIGURES}, "published": {"1": FIGURES}},
                {"model": "multi", "levels": 3, "cells": {"1": FIGURES, "3": FIGURES, "all": FIGURES}, "published": None},
                {"model": "not run", "levels": 3, "cells": None, "published": None},
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
    assert [row["model"] for row in table.rows] == ["single", "single, published", "multi"]
    assert table.rows[0]["level 1: Δ"] == 6.0
    assert table.rows[0]["level 3: Δ"] is None
    assert [key for key in table.rows[0] if key.endswith("Δ")] == ["level 3: Δ", "level 1: Δ", "all: Δ"]
    assert [plot.name for plot in report.plots] == ["table-1", "curves-1"]
    groups = report.plots[0].draw.args[0]  # type: ignore[attr-defined]
    assert [(m.series, m.value, m.hollow) for m in groups["level 1"]] == [
        ("single", 6.0, False),
        ("single", 6.0, True),
        ("multi", 6.0, False),
    ]


def test_links_lead_to_runs_of_the_experiment_only(folder: Path) -> None:
    report = experiment_report(folder, folder.parent / "page.html")
    links = next(block for block in report.sections[-1].blocks if isinstance(block, Links))
    assert [target for _, target in links.rows] == ["./experiment/runs/a%20b", None, None, "./shared/d"]


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
