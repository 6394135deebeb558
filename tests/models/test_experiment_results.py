"""What an experiment's values come to: tables, verdicts, files."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from slakh_hier.models.config import Config
from slakh_hier.models.config_file import load_config
from slakh_hier.models.experiments.cell import Cell
from slakh_hier.models.experiments.grid import cell_config, load_grid
from slakh_hier.models.experiments.results import EMPTY, FAILS, HOLDS, UNSURE, VACUOUS, results
from slakh_hier.models.experiments.writing import flat_rows, markdown, pair_rows, result_tables, write_results
from slakh_hier.models.metrics import METRICS, Metric
from slakh_hier.scores.experiment import read_results
from slakh_hier.scores.summary import Entry, Summary

Shards = Sequence[Path]


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
                "si_sdr_mixture": -5.0,
                "si_sdr_estimate": d - 5,
                "si_sdr_improvement": d,
                "si_sdr_oracle": 10.0,
            }
            for clip, row in enumerate(deltas)
            for level, d in zip(config.levels, row, strict=True)
        ]
    ).to_csv(cell.scores, index=False)
    summary = Summary(
        split="test", shards="s", task="sss", step=3, plan_digest="a" * 64, songs=20, metrics={}, levels={}, nodes={},
        all_levels=Entry(),
    )  # fmt: skip
    cell.scores.with_suffix(".json").write_text(summary.model_dump_json(by_alias=True))
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
    said = {claim.claim: claim for claim in found.claims}
    keeps = said["With 90 % of the leaves withheld SSS keeps at least 90 % of its improvement."]
    better = said["Removing 90 % of the clips costs SSS more than withholding 90 % of the leaves."]
    assert keeps.verdict == verdicts[0], keeps
    if verdicts[1] != UNSURE:
        assert better.verdict == verdicts[1], better
    row = found.tables[0].rows[0]
    assert (row.name, row.seeds, row.songs) == ("sss-full", 2, 20)
    assert row.cells is not None
    assert row.cells["2"]["si_sdr"].improvement == pytest.approx(full[:, 1].mean() + 0.05)
    assert row.cells["all"]["si_sdr"].improvement == pytest.approx(full.mean() + 0.05)
    assert row.cells["all"]["si_sdr"].mixture == -5
    assert "not run" in markdown(found)
    assert f"{full.mean() + 0.05:.1f} [" in markdown(found)
    flat = {(row["model"], row["level"]): row for row in flat_rows(found)}
    assert flat["SSS, all ground truth", "3"]["published_improvement"] == 3.5


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
        claim = results("hc", load_grid("hc"), cells).claims[0]
        assert claim.verdict == verdict, claim


def seeds_of(folder: Path, both: Shards, task: str, cells: dict[str, np.ndarray]) -> list[Cell]:
    """Finished cells with one seed, by name with their improvements."""
    folder.mkdir(exist_ok=True)
    (folder / "index.json").write_bytes((both[0] / "index.json").read_bytes())
    base = {task: load_config(task, preset="tiny")}  # type: ignore[arg-type]
    return [finished(folder, name, 1, base, deltas) for name, deltas in cells.items()]


@pytest.mark.parametrize(("single", "verdict"), [(-5.0, VACUOUS), (0.02, VACUOUS), (2.0, HOLDS)])
def test_no_worse_than_models_that_fail_says_little(
    single: float, verdict: str, both: Shards, tmp_path: Path
) -> None:
    songs = np.random.default_rng(1).normal(0, 1, (20, 1)).repeat(2, 0)
    cells = {f"qbe-{level}": single + songs for level in (1, 2, 3)}
    cells["qbe-123"] = single + songs.repeat(3, 1) + 1
    claim = results("levels", load_grid("levels"), seeds_of(tmp_path, both, "qbe", cells)).claims[1]
    assert claim.verdict == verdict, claim
    assert ("does not surely improve on the mixture" in claim.why) == (verdict == VACUOUS)
    assert "p of no difference < 0.001" in claim.why


@pytest.mark.parametrize(("full", "verdict"), [(-3.0, EMPTY), (0.0, UNSURE), (3.0, HOLDS)])
def test_where_there_is_no_improvement_none_can_be_kept(
    full: float, verdict: str, both: Shards, tmp_path: Path
) -> None:
    songs = np.random.default_rng(1).normal(0, 1, (20, 1)).repeat(2, 0).repeat(3, 1)
    songs -= songs.mean()
    cells = {"qbe-123": full + songs, "qbe-123-leaf-90": full + songs}
    claim = results("reduction", load_grid("reduction"), seeds_of(tmp_path, both, "qbe", cells)).claims[1]
    assert claim.verdict == verdict, claim
    assert ("no improvement at level 1 to keep: -3.0 dB, 95 % interval -3.3 to -2.8" in claim.why) == (
        verdict == EMPTY
    ), claim


def test_the_rows_of_a_claim_are_compared_too(both: Shards, tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    cells = {
        name: shift + generator.normal(3, 1, (40, 3))
        for name, shift in (("sss-123", 1), ("sss-123-all-50", 0), ("sss-123-leaf-50", 0.5))
    }
    found = results("reduction", load_grid("reduction"), seeds_of(tmp_path, both, "sss", cells))
    pairs = [(pair.row, pair.than) for pair in found.tables[0].comparisons]
    assert pairs == [("sss-all-50", "sss-full"), ("sss-leaf-50", "sss-full"), ("sss-leaf-50", "sss-all-50")]
    claimed = [row for row in pair_rows(found) if row["against"] == "SSS, 50 % of the clips removed"]
    gap = cells["sss-123-leaf-50"] - cells["sss-123-all-50"]
    assert claimed[-1]["difference"] == pytest.approx(gap.mean())
    assert claimed[-1]["difference_low"] < gap.mean() < claimed[-1]["difference_high"]
    said = next(claim.why for claim in found.claims if "50 % of the clips costs SSS" in claim.claim)
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
    full = found.tables[0].rows[0].cells
    assert full is not None
    none = full["1"]["si_sdr"]
    assert (none.improvement, none.median, none.ci95, none.clips) == (None, None, None, 0)
    assert full["all"]["si_sdr"].improvement is None  # a mean of two levels is not the mean of three
    assert full["2"]["si_sdr"].improvement == pytest.approx(np.nanmean(deltas[:, 1]))
    write_results(tmp_path, found)

    def refuse(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    assert (
        json.loads((tmp_path / "results.json").read_text(), parse_constant=refuse)["experiment"]
        == "reduction"
    )
    assert "nan" not in (tmp_path / "results.md").read_text()


def test_a_metric_added_at_run_time_is_in_tables_and_comparisons(
    both: Shards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = np.random.default_rng(1)
    cells = seeds_of(
        tmp_path,
        both,
        "sss",
        {name: generator.normal(3, 1, (40, 2)) for name in ("sss-23-unconstrained", "sss-23")},
    )
    new = Metric(lambda estimate, target, mixture: estimate.mean(-1), "%", "purity", "lower")
    monkeypatch.setitem(METRICS, "purity", new)
    assert "purity" not in results("hc", load_grid("hc"), cells).tables[0].rows[0].cells["3"].metrics  # type: ignore[index]
    for cell in cells:  # evaluated again, with the metric
        table = pd.read_csv(cell.scores, dtype={"song": str})
        for part in ("mixture", "estimate", "improvement", "oracle"):
            table[f"purity_{part}"] = 2 * table[f"si_sdr_{part}"]
        table.to_csv(cell.scores, index=False)
    found = results("hc", load_grid("hc"), cells)
    write_results(tmp_path, found)
    assert read_results(tmp_path / "results.json") == found
    flat = pd.read_csv(tmp_path / "results.csv").dropna(subset="improvement")
    twice = flat.pivot(index=["model", "level"], columns="metric", values="improvement")
    np.testing.assert_allclose(twice["purity"], 2 * twice["si_sdr"])
    assert set(pd.read_csv(tmp_path / "comparisons.csv")["metric"]) == {"si_sdr", "purity"}
    assert "All levels: Mix | purity (%) | Δ" in (tmp_path / "results.md").read_text()
    assert "SSS, levels 3 and 2: purity (%)" in dict(result_tables(found))
