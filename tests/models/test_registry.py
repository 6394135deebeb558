"""Networks and losses of a user's own train, resume, evaluate and separate like ours; nothing is imported by itself."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
import torch

from slakh_hier.errors import InputError
from slakh_hier.files import file_sha256
from slakh_hier.models import registry
from slakh_hier.models.config import Config
from slakh_hier.models.config_file import load_config
from slakh_hier.models.registry import LOSSES, NETWORKS, NetworkSpec, import_file
from slakh_hier.models.separation import separate
from slakh_hier.models.separator import build_separator
from slakh_hier.models.training import train
from slakh_hier.models.weights import load_weights

NETWORK = """
from typing import Literal
import torch
from slakh_hier.models import NetworkOptions, register_network

class Options(NetworkOptions):
    kind: Literal["mine"] = "mine"
    units: int = 8

class Mine(torch.nn.Module):
    def __init__(self, options, spec):
        super().__init__()
        self.levels = spec.levels
        self.hidden = torch.nn.Linear(spec.bins, options.units)
        self.masks = torch.nn.Linear(options.units, spec.bins * spec.levels)

    def forward(self, mixture, anchor=None):
        hidden = torch.relu(self.hidden(mixture.abs().transpose(1, 2)))  # (batch, frames, units)
        masks = torch.sigmoid(self.masks(hidden))  # (batch, frames, levels x bins)
        return masks.unflatten(2, (self.levels, -1)).permute(0, 2, 3, 1)

register_network("mine", Options, Mine)
"""
LOSS = """
from typing import Literal
from slakh_hier.models import LossOptions, register_loss

class Options(LossOptions):
    kind: Literal["waveform"] = "waveform"
    power: float = 1.0

def build(options):
    return lambda found: (found.estimates - found.signals[:, 1:]).abs().pow(options.power).mean((2, 3))

register_loss("waveform", Options, build)
"""
SETTINGS = (
    "network.kind=mine", "loss.kind=waveform", "stft={window: 128, hop: 64}", "training={steps_per_epoch: 3, batch_size: 4}",
    "hardware={accelerator: cpu, threads: 1}",
)  # fmt: skip
Command = Callable[..., tuple[int, str]]


@pytest.fixture(autouse=True)
def forget(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Before each test, and when called: as in a process that has imported nothing of the user's."""
    for one in (NETWORKS, LOSSES):
        for name in one.names:
            one.find(name)
    kept = [(one, dict(one._kinds)) for one in (NETWORKS, LOSSES)]

    def forget() -> None:
        for one, kinds in kept:
            monkeypatch.setattr(one, "_kinds", dict(kinds))
        registry.IMPORTED.clear()

    forget()
    return forget


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A file that registers the network ``mine`` and the loss ``waveform``."""
    file = tmp_path / "my_networks.py"
    file.write_text(NETWORK + LOSS)
    return file


@pytest.fixture
def slakh_hier(command: Callable[..., tuple[int, str, str]], forget: Callable[[], None]) -> Command:
    """Run a command as if in a process of its own; returns (exit code, what it said)."""

    def run(*arguments: object) -> tuple[int, str]:
        forget()
        code, out, err = command(*arguments)
        return code, out + err

    return run


def settings(*more: str) -> list[str]:
    return [word for setting in (*SETTINGS, *more) for word in ("--set", setting)]


def test_a_network_of_your_own_from_training_to_separation(
    slakh_hier: Command, guitar_shards: Path, mine: Path, tmp_path: Path
) -> None:
    run, song = tmp_path / "run", tmp_path / "song.wav"
    soundfile.write(song, 0.1 * np.random.default_rng(0).standard_normal(8000), 8000)
    for epochs in (1, 2):  # the second call resumes
        code, said = slakh_hier(
            "train", "sss", guitar_shards, "-o", run, "--import", mine, *settings(f"training.epochs={epochs}")
        )
        assert code == 0, said
    assert pd.read_csv(run / "metrics.csv")["epoch"].tolist() == [1, 2]
    about = json.loads((run / "weights.json").read_text())
    assert about["config"]["network"] == {"kind": "mine", "units": 8}
    assert json.loads((run / "environment.json").read_text())["imported"] == [str(mine.resolve())]

    for command in (
        ("evaluate", run, guitar_shards, "-j", "1"),
        ("separate", run, song, "-o", tmp_path / "out"),
    ):
        code, said = slakh_hier(*command)
        assert code == 2
        assert "there is no network of kind 'mine'" in said
        assert "there is no loss of kind 'waveform'" in said or "--import FILE" in said
        code, said = slakh_hier(*command, "--import", mine)
        assert code == 0, said
    assert (tmp_path / "out" / "song" / "strings.wav").exists()
    assert len(pd.read_csv(run / "evaluation" / "test.csv")) == 18


def test_in_python_a_class_is_enough(guitar_shards: Path, mine: Path, tmp_path: Path) -> None:
    import_file(mine)
    import_file(str(mine))  # again: left alone
    config = load_config("sss", settings=[*SETTINGS, "training.epochs=1", "network.units=3"])
    train(config, guitar_shards, tmp_path / "run")
    trained = load_weights(tmp_path / "run")
    assert trained.about.config.network == NETWORKS.parse({"kind": "mine", "units": 3})
    found = separate(trained, np.ones(2000, np.float32), 4000)
    assert set(found) == {"clean", "guitars", "strings", "residual"}


def test_the_loss_is_the_formula(guitar_shards: Path, mine: Path, tmp_path: Path) -> None:
    """The first step's loss against the estimates of the initial network."""
    from slakh_hier.models.batches import Batches
    from slakh_hier.models.data import ClipDataset
    from slakh_hier.models.selection import select_clips
    from slakh_hier.shards.read import open_shards

    import_file(mine)
    config = load_config("sss", settings=[*SETTINGS, "training.epochs=1", "loss.power=2"])
    train(config, guitar_shards, tmp_path / "run")
    shards = open_shards(guitar_shards, "train")
    data, separator = ClipDataset(shards, select_clips(shards, "sss")), build_separator(config, 3)
    terms = []
    for key in next(iter(Batches(len(data), 4, seed=config.training.seed, steps=3))):
        item = data[key]
        with torch.no_grad():
            estimates = separator(item["mix"][None])[0]
        terms.append(((estimates - item["sources"]) ** 2).mean((1, 2)).numpy())
    assert pd.read_csv(tmp_path / "run" / "steps.csv")["loss"][0] == pytest.approx(np.mean(terms), rel=1e-4)


def test_a_run_folder_imports_nothing(guitar_shards: Path, mine: Path, tmp_path: Path) -> None:
    """Neither the file that its environment names, nor one in it, nor a module of its kind's name."""
    import_file(mine)
    run = tmp_path / "run"
    train(load_config("sss", settings=[*SETTINGS, "training.epochs=1"]), guitar_shards, run)
    NETWORKS._kinds.pop("mine")
    trap = f"import pathlib; pathlib.Path({str(tmp_path / 'sprung')!r}).touch()\n"
    mine.write_text(trap + NETWORK)
    for name in ("mine.py", "my_networks.py", "__init__.py"):
        (run / name).write_text(trap + NETWORK)
    about = json.loads((run / "weights.json").read_text())
    for kind in (
        "mine",
        str(mine),
        "../my_networks",
        "os",
        "slakh_hier.models.networks.blstm",
        "",
        "x" * 5000,
    ):
        about["config"]["network"]["kind"] = kind
        (run / "weights.json").write_text(json.dumps(about))
        with pytest.raises(InputError, match="there is no network of kind") as caught:
            load_weights(run)
        assert len(str(caught.value)) < 1000
        assert "--import FILE" in str(caught.value)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("register_network", "print(undefined)\nregister_network"), r"my_networks\.py:\d+: NameError"),
        (('"mine", Options', '"blstm", Options'), 'declare kind: Literal\\["blstm"\\]'),
        (('"mine"', '"blstm"'), "slakh-hier has a network of that name"),
        (('"mine"', '"My Net"'), "small letters"),
        (("(NetworkOptions)", ""), "derived from NetworkOptions"),
        (("import torch", "import torch ("), "SyntaxError"),
    ],
)
def test_files_that_cannot_be_imported(change: tuple[str, str], message: str, mine: Path) -> None:
    text = NETWORK.replace("from slakh_hier.models import NetworkOptions, register_network", "@")
    text = text.replace(*change).replace(
        "@", "from slakh_hier.models import NetworkOptions, register_network"
    )
    mine.write_text(text)
    with pytest.raises(InputError, match=message):
        import_file(mine)
    assert registry.IMPORTED == []


def test_files_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("")
    for file, message in (
        ("none.py", "there is no such file"),
        (".", "no such file"),
        ("text.txt", "not a Python file"),
    ):
        with pytest.raises(InputError, match=message):
            import_file(tmp_path / file)


def test_two_files_of_one_name_are_distinguished(mine: Path, tmp_path: Path) -> None:
    import_file(mine)
    (tmp_path / "other").mkdir()
    other = shutil.copy(mine, tmp_path / "other")
    with pytest.raises(InputError, match=r"network 'mine' of .*other.* has registered one too"):
        import_file(other)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("spec.levels\n", "spec.levels + 1\n"), "gave masks of shape"),
        (
            ("self.hidden = ", "self.hidden = 1 / 0 + "),
            r"network mine cannot be built: .*:\d+: ZeroDivisionError",
        ),
    ],
)
def test_networks_that_do_not_fit(
    change: tuple[str, str], message: str, guitar_shards: Path, mine: Path, tmp_path: Path
) -> None:
    text = NETWORK.replace(*change)
    if "+ 1" in change[1]:
        text = text.replace("spec.bins * spec.levels", "spec.bins * (spec.levels + 1)")
    mine.write_text(text + LOSS)
    import_file(mine)
    with pytest.raises(InputError, match=message):
        train(load_config("sss", settings=SETTINGS), guitar_shards, tmp_path / "run")


def test_a_loss_that_does_not_fit(guitar_shards: Path, mine: Path, tmp_path: Path) -> None:
    mine.write_text(NETWORK + LOSS.replace(".mean((2, 3))", ".mean()"))
    import_file(mine)
    with pytest.raises(InputError, match=r"loss waveform gave \(\) values; \(batch, levels\) is \(4, 3\)"):
        train(load_config("sss", settings=SETTINGS), guitar_shards, tmp_path / "run")


def test_a_network_without_a_query_is_for_sss(any_shards: Path, mine: Path, tmp_path: Path) -> None:
    import_file(mine)
    with pytest.raises(InputError, match="network mine takes no query"):
        train(load_config("qbe", settings=SETTINGS), any_shards, tmp_path / "run")


def test_a_network_may_see_all_channels_at_once(tiny_config: Callable[..., Config], mine: Path) -> None:
    """It gets and gives an axis of channels."""
    joint = NETWORK.replace(
        "    units: int = 8", "    units: int = 8\n    joint_channels: ClassVar[bool] = True"
    )
    joint = joint.replace("import Literal", "import ClassVar, Literal")
    joint = joint.replace(
        "anchor=None):",
        "anchor=None):\n        assert mixture.shape[1] == 2\n        mixture = mixture.sum(1)",
    )
    joint = joint.replace("permute(0, 2, 3, 1)", "permute(0, 2, 3, 1).unsqueeze(2).repeat(1, 1, 2, 1, 1)")
    mine.write_text(joint)
    import_file(mine)
    separator = build_separator(
        load_config("sss", settings=["network.kind=mine", "stft={window: 128, hop: 64}"]), 2, 2
    )
    assert separator(torch.randn(3, 2, 640)).shape == (3, 2, 2, 640)


def test_installed_packages_name_theirs_as_entry_points(
    monkeypatch: pytest.MonkeyPatch, mine: Path, tmp_path: Path
) -> None:
    shutil.copy(mine, tmp_path / "some_package.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    groups = {
        "slakh_hier.networks": [EntryPoint("mine", "some_package", "slakh_hier.networks")],
        "slakh_hier.losses": [EntryPoint("waveform", "some_package", "slakh_hier.losses")],
    }
    monkeypatch.setattr(registry, "entry_points", lambda group: groups[group])
    assert NETWORKS.names == ("bandsplit", "blstm", "dense", "mine")
    assert "some_package" not in sys.modules  # until it is asked for
    try:
        config = load_config("sss", settings=["network.kind=mine", "loss.kind=waveform"])
        assert config.network.kind == "mine"
    finally:
        sys.modules.pop("some_package", None)


def test_every_kind_builds_with_its_defaults_alone() -> None:
    """And modules are called after their kind."""
    for name in NETWORKS.names:
        kind = NETWORKS.find(name)
        assert kind.module.endswith(f".networks.{name}")
        with torch.device("meta"):
            network = NETWORKS.build(kind.options(), NetworkSpec(33, 1, 2, query=True))
        assert isinstance(network, torch.nn.Module)
    for name in LOSSES.names:
        assert LOSSES.find(name).module.endswith(f".losses.{name}")
        assert callable(LOSSES.build(LOSSES.find(name).options()))


@pytest.mark.timeout(120)
def test_an_experiment_imports_in_its_processes(
    slakh_hier: Command, guitar_shards: Path, mine: Path, tmp_path: Path
) -> None:
    words = (
        "experiment",
        "hc",
        guitar_shards,
        "-o",
        tmp_path / "all",
        "--import",
        mine,
        "--cell",
        "sss-23",
        "--gpus",
        "0",
    )
    code, said = slakh_hier(*words, *settings("training.epochs=1"))
    assert code == 0, said
    (weights,) = (tmp_path / "all").rglob("weights.safetensors")
    assert file_sha256(weights)
