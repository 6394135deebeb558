"""Targets of several levels: below its target a clip has no ground truth, no term of the loss and no score."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from slakh_hier.errors import InputError
from slakh_hier.models.config import Config
from slakh_hier.models.data import ClipDataset, Key
from slakh_hier.models.evaluation import evaluate
from slakh_hier.models.experiments.run import run_experiment
from slakh_hier.models.objective import masked_sums
from slakh_hier.models.selection import NO_COLUMN, select_clips
from slakh_hier.models.training import train
from slakh_hier.models.weighting import term_weights
from slakh_hier.models.weights import load_weights
from slakh_hier.reporting.write import write_report
from slakh_hier.shards.read import open_shards

Make = Callable[..., Config]
PATHS = {
    "clean": ["clean", "guitars", "strings"],
    "guitars": [None, "guitars", "strings"],
    "drums_1": ["drums_1", "drums_2", "drums_3"],
    "strings": [None, None, "strings"],
}
TURN = [(target, {}) for target in PATHS]


@pytest.fixture(scope="module")
def mixed(shard_writer: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Targets of three levels in turn; the training's first half is masked at level 1."""
    splits = {"train": TURN * 4, "validation": [("guitars", {}), ("drums_2", {})], "test": TURN * 2}
    return shard_writer(tmp_path_factory.mktemp("mixed") / "any", splits, masks=("leaf:50",), songs=4)


@pytest.fixture(scope="module")
def middle(shard_writer: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One target, of level 2."""
    clips = [("guitars", {})] * 6
    splits = {
        "train": [*clips, ("guitars", {"clean": "gone", "dirty": "gone"})],
        "validation": clips,
        "test": clips,
    }
    return shard_writer(tmp_path_factory.mktemp("middle") / "guitars", splits, songs=3)


def test_each_clip_has_the_levels_from_its_target_up(mixed: Path) -> None:
    shards = open_shards(mixed, "train")
    selection = select_clips(shards, "qbe")
    assert selection.levels == (1, 2, 3)
    for target, row, there, finest, query in zip(
        shards.clips["target"], selection.columns, selection.there, selection.finest,
        selection.query_column, strict=True,
    ):  # fmt: skip
        names = [None if column == NO_COLUMN else shards.nodes[column].name for column in row]
        assert names == PATHS[target]
        assert there.tolist() == [name is not None for name in names]
        assert shards.nodes[finest].name == shards.nodes[query].name == target
    assert (selection.available == selection.there).all()
    masked = select_clips(shards, "qbe", mask="leaf-50")
    withheld = np.arange(len(shards)) < len(shards) // 2
    assert (masked.available[:, 0] == selection.there[:, 0] & ~withheld).all()
    assert (masked.available[:, 1:] == selection.there[:, 1:]).all()


def test_clips_with_nothing_at_the_chosen_levels_are_left_out(mixed: Path, middle: Path) -> None:
    shards = open_shards(mixed, "train")
    for levels, left in (
        ((1,), ["clean", "drums_1"]),
        ((2,), ["clean", "guitars", "drums_1"]),
        ((3,), list(PATHS)),
    ):
        selection = select_clips(shards, "qbe", levels=levels)
        assert set(shards.clips["target"].to_numpy()[selection.clips]) == set(left)
        assert selection.available.all()
    with pytest.raises(InputError, match=r"train: all targets lie above level 1.*\(--query-levels\)"):
        select_clips(open_shards(middle, "train"), "qbe", levels=(1,))
    with pytest.raises(InputError, match="levels 1, 2, 3, not 4"):
        select_clips(shards, "qbe", levels=(1, 4))


def test_sss_takes_a_node_of_any_level(mixed: Path, middle: Path) -> None:
    shards = open_shards(mixed, "train")
    selection = select_clips(shards, "sss", node="guitars")
    assert selection.levels == (2, 3)
    assert len(selection) == len(shards)
    assert [shards.nodes[column].name for column in selection.columns[0]] == ["guitars", "strings"]
    with pytest.raises(InputError, match=r"the path has levels 2, 3, not 1.*--set levels=\[2, 3\]"):
        select_clips(shards, "sss", node="guitars", levels=(1, 2))
    own = select_clips(open_shards(middle, "train"), "sss")
    assert own.levels == (2, 3)
    assert own.clips.tolist() == list(range(6)), "the last clip has no guitar"


def test_examples_hold_nothing_below_the_target(mixed: Path) -> None:
    shards = open_shards(mixed, "train")
    data = ClipDataset(
        shards,
        select_clips(shards, "qbe"),
        seed=3,
        fresh_queries=True,
        gain_db=6,
        crop_seconds=0.3,
        remix=1.0,
    )
    plain = ClipDataset(shards, data.selection)
    for place, (target, _) in enumerate(TURN):
        for item in (data[Key(2, place)], plain[place]):
            assert item["id"].endswith(target)
            assert item["available"].tolist() == [name is not None for name in PATHS[target]]
            assert item["sources"][~item["available"]].abs().sum() == 0
            assert item["sources"][item["available"]].flatten(1).abs().sum(1).min() > 0
        for level, name in enumerate(PATHS[target]):
            if name is not None:
                np.testing.assert_array_equal(plain[place]["sources"][level], shards[place][name])
        # Fresh queries are of the target, of whatever level, in another song.
        query = data[Key(2, place)]["query"].numpy()
        (found,) = [i for i in range(len(shards)) if np.array_equal(shards.audio(i, target), query)]
        assert shards.clips["song"][found] != shards.clips["song"][place]


@pytest.mark.parametrize("denominator", ["all", "available"])
def test_a_level_below_the_target_is_no_term_of_the_loss(
    mixed: Path, tiny_config: Make, denominator: str
) -> None:
    shards = open_shards(mixed, "train")
    selection = select_clips(shards, "qbe", mask="leaf-50")
    loss = tiny_config("qbe", "loss.level_weights={3: 2}").loss
    for some in (tiny_config("qbe").loss, loss):
        data = ClipDataset(shards, selection, weights=term_weights(shards, selection, some))
        batch = data.batch([Key(0, place) for place in range(len(data))])
        terms = torch.from_numpy(np.random.default_rng(1).uniform(1, 2, selection.columns.shape))
        total, count = masked_sums(terms, batch["available"], denominator, batch["weights"])  # type: ignore[arg-type]
        by_level = np.array([1, 1, 2 if some is loss else 1])
        assert float(total) == pytest.approx(float((terms.numpy() * selection.available * by_level).sum()))
        terms_there = selection.there if denominator == "all" else selection.available
        assert float(count) == (terms_there * by_level).sum()


def test_from_training_to_a_page(mixed: Path, tiny_config: Make, tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = (
        "data={queries: fresh, balance: node, mask: leaf-50}",
        "training.batch_size=8",
        "training.steps_per_epoch=4",
    )
    train(tiny_config("qbe", *settings), mixed, run)
    about = load_weights(run).about
    assert (about.levels, about.query_levels) == ((1, 2, 3), (1, 2, 3))
    curves = pd.read_csv(run / "metrics.csv")
    assert curves["train_loss_level_1"].notna().all()
    assert curves["val_loss_level_1"].isna().all(), "no validation clip has a target of level 1"
    assert curves["val_loss"].notna().all()
    found = evaluate(run, mixed, jobs=1)
    targets = open_shards(mixed, "test").clips["target"]
    rows = found.scores.groupby("clip")["node"].apply(list).tolist()
    assert rows == [[name for name in PATHS[target] if name] for target in targets]
    assert [found.summary.levels[str(level)].clips for level in (1, 2, 3)] == [4, 6, 8]
    assert found.summary.nodes["guitars"].clips == 4
    assert found.summary.nodes["strings"].clips == 6
    level = found.scores[found.scores["level"] == 2]
    assert found.summary.levels["2"]["si_sdr"].improvement == pytest.approx(
        level["si_sdr_improvement"].mean()
    )
    (page,) = write_report([run], tmp_path / "run.html", shards=mixed)
    assert "drums_3" in page.read_text()


def test_a_set_that_lacks_a_level_is_evaluated_at_the_others(
    query_run: Path, middle: Path, tmp_path: Path
) -> None:
    found = evaluate(query_run, middle, out=tmp_path, jobs=1)
    assert set(found.scores["level"]) == {2, 3}
    assert found.summary.levels["1"].clips == 0
    assert found.summary.levels["1"]["si_sdr"].improvement is None
    assert json.loads(found.files[0].read_text())["levels"]["2"]["clips"] == 6


def test_a_source_specific_separator_of_a_middle_level(
    middle: Path, tiny_config: Make, tmp_path: Path
) -> None:
    result = train(tiny_config("sss"), middle, tmp_path / "run")
    assert result.names == ("guitars", "strings")
    about = load_weights(tmp_path / "run").about
    assert (about.node, about.levels, about.query_levels) == ("guitars", (2, 3), ())
    found = evaluate(tmp_path / "run", middle, jobs=1)
    assert found.scores["node"].unique().tolist() == ["guitars", "strings"]


def test_a_level_that_no_clip_teaches_is_refused(middle: Path, tiny_config: Make, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"split train: all targets lie above level 1.*\(--query-levels\)"):
        train(tiny_config("qbe", "levels=[1, 2, 3]"), middle, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_experiments_need_every_level(
    both: Sequence[Path], mixed: Path, middle: Path, tmp_path: Path
) -> None:
    for name, shards, node, advice in (
        (
            "levels",
            [both[0], mixed],
            None,
            r"targets drums_2, guitars, strings, without level 1.* --query-levels 1",
        ),
        ("hc", [middle], None, r"targets guitars, without level 1.* a --target of level 1"),
        ("hc", [both[0]], "guitars", r"targets guitars, without level 1.*with --node"),
    ):
        with pytest.raises(InputError, match=advice):
            run_experiment(name, shards, tmp_path / "out", node=node)
    assert not (tmp_path / "out").exists()
