"""The report of a run says what its folder holds; two runs are compared on the same clips."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from slakh_hier.errors import InputError
from slakh_hier.reporting.document import Facts, Player, Report, Table
from slakh_hier.reporting.page import render_page
from slakh_hier.reporting.run_clips import _chosen
from slakh_hier.reporting.runs import run_report
from slakh_hier.shards import open_shards

pytest.importorskip("torch")


def player(report: Report) -> Player:
    return next(b for section in report.sections for b in section.blocks if isinstance(b, Player))


def table(report: Report, title: str) -> Table:
    return next(
        b for s in report.sections for b in s.blocks if isinstance(b, Table) and b.title.startswith(title)
    )


def numpy_si_sdr(estimate: np.ndarray, target: np.ndarray) -> float:
    """Le Roux et al., ICASSP 2019, as the formula stands, of (channels, samples)."""
    estimate, target = (
        (x - x.mean(axis=1, keepdims=True)).ravel() for x in (estimate.astype(float), target.astype(float))
    )
    part = (estimate @ target) / (target @ target) * target
    return float(10 * np.log10((part @ part) / ((estimate - part) @ (estimate - part))))


def test_the_player_has_what_was_evaluated(run_folder: Path, small_set: Path) -> None:
    shards = open_shards(small_set, "test")
    report = run_report([run_folder])
    scores = pd.read_csv(run_folder / "evaluation" / "test.csv")
    clips = player(report).clips
    assert len(clips) == scores[scores["counted"]]["clip"].nunique()
    for clip in clips:
        number = int(clip.note.split()[1])
        lanes = {lane.name: lane for lane in clip.lanes}
        signals = {name: sum(clip.parts[n] for n in lane.sounds) for name, lane in lanes.items()}
        np.testing.assert_allclose(signals["mixture"], shards[number].mix, atol=1e-4)
        np.testing.assert_array_equal(signals["query"], shards[number].query)
        assert lanes["query"].node == ""
        for row in scores[scores["clip"] == number].to_dict("records"):
            estimate, target = signals[f"{row['node']}: estimate"], signals[f"{row['node']}: target"]
            np.testing.assert_allclose(target, shards[number][row["node"]], atol=1e-4)
            assert set(lanes[f"{row['node']}: target"].sounds) <= set(lanes["mixture"].sounds)
            assert not set(lanes[f"{row['node']}: estimate"].sounds) & set(lanes["mixture"].sounds)
            if row["counted"]:
                assert numpy_si_sdr(estimate, target) == pytest.approx(row["si_sdr_estimate"], abs=0.01)
                assert f"SI-SDR {row['si_sdr_estimate']:.1f} dB" in lanes[f"{row['node']}: estimate"].detail


def test_best_median_and_worst_are_chosen() -> None:
    values = pd.Series({clip: float(clip) for clip in range(30)})
    chosen = _chosen(values)
    groups: dict[str, set[int]] = {}
    for clip, word in chosen.items():
        groups.setdefault(word, set()).add(clip)
    assert groups == {"best": {29, 28, 27}, "median": {13, 14, 15}, "worst": {0, 1, 2}}
    assert list(_chosen(values[:1])) == [0]
    assert sorted(_chosen(values[:4])) == [0, 1, 2, 3] or len(_chosen(values[:4])) <= 4
    assert _chosen(values[:0]) == {}


def test_two_runs_are_side_by_side(run_folder: Path, other_run: Path) -> None:
    report = run_report([run_folder, other_run])
    differing = table(report, "Settings that differ").rows
    assert [row["setting"] for row in differing] == ["training.seed"]
    assert [differing[0]["first"], differing[0]["<b>second"]] == ["0", "1"]
    found = player(report)
    assert "the improvement of <b>second less that of first" in found.rule
    names = [lane.name for lane in found.clips[0].lanes]
    assert sum("estimate of first" in name for name in names) == 3
    assert sum("estimate of <b>second" in name for name in names) == 3
    assert sum(name.endswith(": target") for name in names) == 3


def test_an_improvement_stands_with_its_interval(run_folder: Path, tmp_path: Path) -> None:
    run = shutil.copytree(run_folder, tmp_path / "run")
    summary = json.loads((run / "evaluation" / "test.json").read_text())
    levels = {level: entry["metrics"]["si_sdr"] for level, entry in summary["levels"].items()}
    levels["3"] |= {"improvement": 1.234, "ci95": [-0.5, 2.3456]}
    levels["2"] |= {"improvement": 1.234, "ci95": None}
    levels["1"] |= {"improvement": None, "ci95": None}
    (run / "evaluation" / "test.json").write_text(json.dumps(summary))
    rows = table(run_report([run]), "SI-SDR (dB) on test").rows
    assert [row["improvement"] for row in rows[:3]] == ["1.23 [-0.50, 2.35]", "1.23", "–"]
    assert all("95 % interval" not in row for row in rows)


def test_two_runs_have_one_table_with_their_paired_difference(run_folder: Path, other_run: Path) -> None:
    found = run_report([run_folder, other_run])
    scores = table(found, "Improvement Δ of SI-SDR (dB) on test")
    assert [row["level"] for row in scores.rows] == ["level 3", "level 2", "level 1", "all levels"]
    assert list(scores.rows[0]) == ["level", "<b>second − first", "Δ of first", "Δ of <b>second"]
    one, two = (
        pd.read_csv(run / "evaluation" / "test.csv")
        .query("counted")
        .pivot(index="clip", columns="level", values="si_sdr_improvement")
        for run in (run_folder, other_run)
    )
    gap = two - one
    for row, expected in zip(
        scores.rows, [gap[3].mean(), gap[2].mean(), gap[1].mean(), gap.mean().mean()], strict=True
    ):
        mean, rest = row["<b>second − first"].split(" ", 1)
        assert float(mean) == pytest.approx(expected, abs=0.0051)
        assert " p " in rest
    summary = json.loads((other_run / "evaluation" / "test.json").read_text())
    more = table(found, "With SI-SDR (dB) and medians")
    assert more.rows[0]["SI-SDR of <b>second"] == summary["levels"]["3"]["metrics"]["si_sdr"]["estimate"]
    assert more.opens


def test_one_run_has_its_scores_under_heads_for_people(run_folder: Path) -> None:
    report = run_report([run_folder])
    first = table(report, "SI-SDR (dB) on test").rows[0]
    assert list(first) == [
        "level",
        "mixture",
        "estimate",
        "improvement",
        "oracle",
        "median",
        "clips",
        "dropped",
    ]
    summary = json.loads((run_folder / "evaluation" / "test.json").read_text())["levels"]["3"]["metrics"][
        "si_sdr"
    ]
    low, high = summary["ci95"]
    assert first["improvement"] == f"{summary['improvement']:.2f} [{low:.2f}, {high:.2f}]"
    assert report.sections[0].title == "Clips"
    (about,) = [b for s in report.sections for b in s.blocks if isinstance(b, Facts)]
    assert about.rows["Separates"] == "whatever the query sounds like (level_1, level_2, level_3)"


def test_a_run_worse_than_the_mixture_says_so_above_everything(run_folder: Path, other_run: Path) -> None:
    report = run_report([run_folder])  # never trained
    (warning,) = report.warnings
    assert warning.startswith("The estimates are worse than the unprocessed mixture (level ")
    assert "10 training steps are few" in warning
    both = run_report([run_folder, other_run]).warnings
    assert [text.partition(":")[0] for text in both] == ["first", "<b>second"]


def test_the_page_opens_with_a_clip_that_is_improved_and_well_separated(run_folder: Path) -> None:
    scores = pd.read_csv(run_folder / "evaluation" / "test.csv").query("counted")
    means = scores.groupby("clip")[["si_sdr_improvement", "si_sdr_estimate"]].mean().sum(axis=1)
    clips = player(run_report([run_folder])).clips
    best = [clip for clip in clips if clip.title.startswith("best, ")]
    first = max(clips, key=lambda clip: clip.appeal)
    assert first in best
    assert first.appeal == pytest.approx(max(means[int(clip.note.split()[1])] for clip in best))


def test_runs_of_one_name_are_distinguished(run_folder: Path, make_run: Callable[..., Path]) -> None:
    other = make_run("first", 2, evaluated=False)
    report = run_report([run_folder, other])
    assert run_folder.parent.name in report.title
    assert other.parent.name in report.title


def test_a_run_without_evaluation_says_how_to_get_one(make_run: Callable[..., Path]) -> None:
    folder = make_run("fresh", evaluated=False)
    report = run_report([folder])
    section = next(s for s in report.sections if s.title == "Evaluation")
    assert "slakh-hier evaluate fresh SHARDS --split test" in section.text[0]
    assert [plot.name for plot in report.plots] == ["learning-curves"]


def test_shards_that_moved_are_named_by_an_option(run_folder: Path, small_set: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(run_folder, run)
    data: dict[str, Any] = json.loads((run / "data.json").read_text())
    (run / "data.json").write_text(json.dumps({**data, "shards": str(tmp_path / "gone")}))
    section = run_report([run]).sections[0]
    assert "--shards" in section.text[0]
    assert player(run_report([run], shards=small_set)).clips


def test_other_shards_are_refused(run_folder: Path, hostile_set: Path) -> None:
    with pytest.raises(InputError, match="is not the shard set that was evaluated"):
        run_report([run_folder], shards=hostile_set)


@pytest.mark.parametrize("named", ["memory://bucket/set", "http://127.0.0.1:9/set", None, "\0", "set"])
def test_nothing_is_fetched_that_the_run_names(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: object
) -> None:
    """The folder is untrusted: an address in it would tell its maker who looks at it, from where."""
    asked = []
    monkeypatch.setattr(
        "slakh_hier.shards.remote.Store", lambda url: asked.append(url) or (_ for _ in ()).throw(OSError(url))
    )
    run = tmp_path / "run"
    shutil.copytree(run_folder, run)
    (run / "data.json").write_text(json.dumps({"shards": named}))
    report = run_report([run])
    assert asked == []
    said = str([section.text for section in report.sections])
    assert "The shard set is not where the training found it." in said


@pytest.mark.parametrize(
    ("file", "content", "place"),
    [
        ("data.json", {"shards": 7}, "shards: Input should be a valid string"),
        ("data.json", {"names": "x"}, "names: Input should be a valid list"),
        ("data.json", {"splits": []}, "splits: Input should be"),
        ("data.json", {"splits": {"train": {"clips": "many"}}}, "splits.train.clips"),
        ("environment.json", {"devices": 1}, "devices: Input should be a valid list"),
        ("environment.json", {"slakh-hier": {}}, "slakh-hier: Input should be a valid string"),
        ("environment.json", [], "does not hold a JSON object"),
    ],
)
def test_a_run_whose_notes_say_something_else(
    run_folder: Path, tmp_path: Path, file: str, content: object, place: str
) -> None:
    run = tmp_path / "run"
    shutil.copytree(run_folder, run)
    (run / file).write_text(json.dumps(content))
    with pytest.raises(InputError, match=f"{file}: {place}"):
        run_report([run])


def test_a_metric_added_at_run_time_is_on_the_page(
    run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evaluated with it, a run shows it in tables, plots and beside its clips; the page itself needs no such metric."""
    from slakh_hier.models.evaluation import evaluate
    from slakh_hier.models.metrics import METRICS, Metric

    run = Path(shutil.copytree(run_folder, tmp_path / "run"))
    with monkeypatch.context() as there:
        peak = Metric(
            lambda estimate, target, mixture: (estimate - target).abs().amax((-2, -1)),
            "FS",
            "peak <error>",
            "lower",
        )
        there.setitem(METRICS, "peak_error", peak)
        evaluate(run, json.loads((run / "data.json").read_text())["shards"], jobs=1, device="cpu")
    report = run_report([run])
    rows = table(report, "peak <error> (FS) on test").rows
    assert [row["level"] for row in rows] == ["level 3", "level 2", "level 1", "all levels"]
    assert {"improvement-peak_error", "nodes-peak_error"} <= {plot.name for plot in report.plots}
    assert any("peak <error> 0." in lane.detail for clip in player(report).clips for lane in clip.lanes)
    page = render_page(report).decode()
    assert "peak &lt;error&gt; (FS) on test" in page
    both = run_report([run, run])
    assert table(both, "Improvement Δ of peak <error> (FS) on test").rows
