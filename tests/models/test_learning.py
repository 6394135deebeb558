"""Whether it learns: short trainings on formula data, measured as a user would."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from slakh_hier.models.config_file import load_config
from slakh_hier.models.evaluation import evaluate
from slakh_hier.models.training import train

LEAVES = ("clean", "dirty", "drums_1")


@pytest.fixture(scope="module")
def learnable(shard_writer: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    turn = [(leaf, {}) for leaf in LEAVES] * 4
    folder = tmp_path_factory.mktemp("learnable") / "shards"
    return shard_writer(folder, {"train": turn, "validation": turn[:3], "test": turn[:3]}, songs=4)


@pytest.mark.parametrize("kind", ["blstm", "bandsplit"])
@pytest.mark.parametrize(("task", "least"), [("sss", 6.0), ("qbe", 4.0)])
def test_training_clips_improve_at_every_level(
    task: str, kind: str, least: float, learnable: Path, tmp_path: Path
) -> None:
    torch.set_num_threads(1)
    settings = [
        "stft={window: 128, hop: 64}",
        "network={units: 32, layers: 1}",
        f"network.kind={kind}",
        "training={epochs: 1, steps_per_epoch: 150, batch_size: 6}",
        "hardware.accelerator=cpu",
        *(["node=dirty"] if task == "sss" else []),
        *(
            ["network={features: 16, query_units: 32}", "loss.kind=complex"]
            if kind == "bandsplit"
            else ["network.batch_norm=true"]
        ),
    ]
    train(load_config(task, preset="tiny", settings=settings), learnable, tmp_path / "run")  # type: ignore[arg-type]
    summary = evaluate(tmp_path / "run", learnable, split="train", jobs=1).summary
    for level in ("1", "2", "3"):
        assert (summary.levels[level]["si_sdr"].improvement or 0) > least, summary.levels


def test_the_tiny_preset_learns_music(music: Path, tmp_path: Path) -> None:
    """The preset as it is, but for a third of its steps: guitars of four seconds, rendered from stems."""
    from slakh_hier import load_hierarchy, plan_clips, render, scan

    tree = load_hierarchy("slakh34")
    catalog = scan(music, tree, split_scheme="folders", jobs=1)
    plan = plan_clips(
        catalog, tree, target="clean_guitars", clips={"train": 8, "validation": 2}, clip_seconds=4, jobs=1
    )
    render(plan, tmp_path / "shards", jobs=1)
    torch.set_num_threads(1)
    config = load_config("sss", preset="tiny", settings=["training.epochs=1", "training.steps_per_epoch=60"])
    train(config, tmp_path / "shards", tmp_path / "run")
    summary = evaluate(tmp_path / "run", tmp_path / "shards", split="train", jobs=1).summary
    for level in ("1", "2", "3"):
        assert (summary.levels[level]["si_sdr"].improvement or 0) > 4.0, summary.levels
