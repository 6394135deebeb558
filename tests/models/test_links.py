"""Untrusted run folders: nothing is written through a link in them, and nothing that is read makes one wait."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from slakh_hier.errors import InputError, SlakhHierError
from slakh_hier.files import file_sha256
from slakh_hier.models.config import Config
from slakh_hier.models.evaluation import evaluate
from slakh_hier.models.experiments.run import run_experiment
from slakh_hier.models.training import train
from slakh_hier.models.weights import load_weights

DATA = Path(__file__).parent / "data" / "format_3" / "sss"
SIZES = ("stft.window=16", "stft.hop=8", "network.units=2")
Make = Callable[..., Config]


@pytest.fixture
def untrusted(tmp_path: Path) -> Path:
    """A run of an epoch; beside it ``mine``, a folder with a file."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("mine\n")
    return shutil.copytree(DATA, tmp_path / "run")


@pytest.fixture
def second_epoch(tiny_config: Make) -> Config:
    return tiny_config("sss", *SIZES, "training.epochs=2")


def tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): file_sha256(path) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "name",
    [
        "config.yaml",
        "data.json",
        "environment.json",
        "weights.safetensors",
        "weights.json",
        "checkpoints/step-00000006.ckpt",
        "checkpoints/step-00000006.ckpt.sha256",
        "checkpoints/last.ckpt",
    ],
)
def test_a_training_puts_its_files_in_the_place_of_links(
    name: str, untrusted: Path, second_epoch: Config, guitar_shards: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "mine" / "linked"
    if (untrusted / name).exists():
        shutil.copy(untrusted / name, outside)  # what is read there has to be right
        (untrusted / name).unlink()
    else:
        outside.write_text("mine too\n")
    (untrusted / name).symlink_to(outside)
    before = tree(tmp_path / "mine")
    assert train(second_epoch, guitar_shards, untrusted).epochs == 2
    assert tree(tmp_path / "mine") == before
    assert (untrusted / name).resolve().parent == (untrusted / name).parent


@pytest.mark.parametrize("name", ["checkpoints", "tensorboard"])
def test_a_training_refuses_a_linked_folder_before_it_writes(
    name: str, untrusted: Path, second_epoch: Config, guitar_shards: Path, tmp_path: Path
) -> None:
    if (untrusted / name).exists():
        shutil.rmtree(tmp_path / "mine")
        (untrusted / name).rename(tmp_path / "mine")
    (tmp_path / "mine" / ".tmp-of-mine").touch()
    (untrusted / name).symlink_to(tmp_path / "mine")
    before, inside = tree(tmp_path / "mine"), tree(untrusted)
    with pytest.raises(InputError, match=rf"{name}: is a symbolic link; nothing is written through"):
        train(second_epoch, guitar_shards, untrusted)
    assert tree(tmp_path / "mine") == before
    assert {k: v for k, v in tree(untrusted).items() if k != ".lock"} == inside

    train(second_epoch, guitar_shards, untrusted, overwrite=True)  # removes the link itself
    assert tree(tmp_path / "mine") == before
    assert not (untrusted / name).is_symlink()


def test_an_evaluation_refuses_a_linked_folder_of_the_run(
    untrusted: Path, guitar_shards: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine" / "test.json").write_text("{}")
    (untrusted / "evaluation").symlink_to(tmp_path / "mine")
    before = tree(tmp_path / "mine")
    with pytest.raises(InputError, match="evaluation: is a symbolic link"):
        evaluate(untrusted, guitar_shards, jobs=1)
    assert tree(tmp_path / "mine") == before
    evaluate(untrusted, guitar_shards, jobs=1, out=untrusted / "evaluation")  # named by the user
    assert (tmp_path / "mine" / "test.csv").exists()


def test_weights_and_whole_runs_may_be_linked(
    untrusted: Path, second_epoch: Config, guitar_shards: Path, tmp_path: Path
) -> None:
    linked = tmp_path / "linked"
    linked.mkdir()
    for name in ("weights.safetensors", "weights.json"):
        (linked / name).symlink_to(untrusted / name)
    assert load_weights(linked).about == load_weights(untrusted).about
    evaluate(linked, guitar_shards, jobs=1)
    (tmp_path / "whole").symlink_to(untrusted)
    assert train(second_epoch, guitar_shards, tmp_path / "whole").resumed_at == 3


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["pipe", "endless"])
@pytest.mark.parametrize(
    "name",
    ["config.yaml", "data.json", "weights.json", "weights.safetensors", "checkpoints/step-00000003.ckpt",
     "checkpoints/step-00000003.ckpt.sha256", "metrics.csv"],
)  # fmt: skip
def test_pipes_and_files_without_end_are_not_read(
    kind: str, name: str, untrusted: Path, second_epoch: Config, guitar_shards: Path
) -> None:
    (untrusted / name).unlink()
    os.mkfifo(untrusted / name) if kind == "pipe" else (untrusted / name).symlink_to("/dev/zero")
    if name.startswith("weights"):
        train(second_epoch, guitar_shards, untrusted)
        assert load_weights(untrusted).about.step in (3, 6)  # rewritten
        return
    with pytest.raises(
        SlakhHierError, match=r"not a regular file|no readable|cannot be read|is a symbolic link"
    ):
        train(second_epoch, guitar_shards, untrusted)


@pytest.mark.parametrize("name", ["runs", "runs/sss-3", "runs/sss-3/seed-588", "levels", "logs"])
def test_an_experiment_refuses_linked_folders(
    name: str, guitar_shards: Path, tiny_config: Make, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "out" / name).parent.mkdir(parents=True)
    (tmp_path / "out" / name).symlink_to(tmp_path / "mine")
    with pytest.raises(InputError, match=f"{name}: is a symbolic link"):
        run_experiment(
            "levels", [guitar_shards], tmp_path / "out", config=tmp_path / "tiny-config.yaml", cells=["sss-3"],
            jobs=2 if name == "logs" else 1,
        )  # fmt: skip
    assert not list((tmp_path / "mine").iterdir())


def test_the_log_of_an_experiments_process_is_not_written_through_a_link(
    guitar_shards: Path, tiny_config: Make, tmp_path: Path
) -> None:
    (tmp_path / "mine").write_text("mine\n")
    (tmp_path / "out" / "logs").mkdir(parents=True)
    (tmp_path / "out" / "logs" / "sss-3-588.log").symlink_to(tmp_path / "mine")
    found = run_experiment(
        "levels", [guitar_shards], tmp_path / "out", config=tmp_path / "tiny-config.yaml", cells=["sss-3"], jobs=2
    )  # fmt: skip
    assert "is a symbolic link" in found.failed["sss-3, seed 588"]
    assert (tmp_path / "mine").read_text() == "mine\n"
