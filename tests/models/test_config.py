"""Presets, files and settings become one configuration; mistakes are named with their place."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from slakh_hier.errors import ConfigError, InputError
from slakh_hier.models.config import Config
from slakh_hier.models.config_file import config_yaml, lasting, load_config, presets, read_config
from slakh_hier.models.registry import LOSSES, NETWORKS


@pytest.mark.parametrize("task", ["sss", "qbe"])
@pytest.mark.parametrize("preset", presets())
def test_every_preset_loads(task: str, preset: str) -> None:
    assert load_config(task, preset=preset).preset == preset  # type: ignore[arg-type]


def test_a_preset_can_differ_between_the_tasks() -> None:
    steps = {task: load_config(task, preset="small").training.steps_per_epoch for task in ("sss", "qbe")}
    assert steps == {"sss": 100, "qbe": 150}
    own = load_config("qbe", preset="small", settings=["training.steps_per_epoch=7"])
    assert own.training.steps_per_epoch == 7


def test_paper_is_the_default_and_says_every_value() -> None:
    assert load_config("sss") == Config(task="sss")


def test_later_ones_win(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("preset: tiny\noptimizer: {lr: 1e-5}\ntraining:\n  epochs: 7\n  batch_size: 3\n")
    config = load_config("sss", file, settings=["training.epochs=9", "levels=[1, 3]", "data.mask=leaf-90"])
    assert config.preset == "tiny"
    assert config.network.units == 64  # of the preset
    assert config.optimizer.lr == 1e-5  # of the file (YAML 1.1 reads 1e-5 as text)
    assert (config.training.batch_size, config.training.epochs) == (3, 9)
    assert config.levels == (1, 3)
    assert config.data.mask == "leaf-90"
    assert load_config("sss", file, preset="paper").preset == "paper"
    assert load_config("sss", preset="small", settings=["preset=tiny"]).preset == "tiny"
    assert load_config("sss", settings=["data.mask="]).data.mask is None


def test_a_written_configuration_reads_back(tmp_path: Path) -> None:
    config = load_config("qbe", preset="small", settings=["optimizer.lr=3.3e-5", "levels=[2]"])
    (tmp_path / "config.yaml").write_text(config_yaml(config))
    assert read_config(tmp_path / "config.yaml") == config


@pytest.mark.parametrize(
    ("settings", "messages"),
    [
        (["training.epoch=3"], ["--set training.epoch=3", "unknown key training.epoch", "training.epochs?"]),
        (["batch_size=3"], ["did you mean training.batch_size?"]),
        (["optimiser.lr=3"], ["unknown key optimiser", "did you mean optimizer"]),
        (["preset=tinny"], ["unknown preset 'tinny'", "tiny?"]),
        (["loss.kind=tpsaa"], ["loss.kind: there is no loss of kind 'tpsaa'", "mean tpsa?"]),
        (["loss=tpsa"], ["loss: ", "a mapping", "'tpsa'"]),
        (["network={kind: [1]}"], ["network: ", "kind should be a name"]),
        (["network.features=3"], ["network blstm has kind, query_layers"]),
        (["network.kind=bandsplit", "network.batch_norm=true"], ["network bandsplit has kind"]),
        (["network.kind=bandsplit", "network.feature=3"], ["did you mean network.features?"]),
        (["training.batch_size=0"], ["training.batch_size", "greater than or equal to 1", "0"]),
        (["network.kind=bandsplit"], ["network bandsplit gives complex ones; take --set loss.kind=complex"]),
        (["stft.hop=500"], ["hop must divide"]),
        (["levels=[3, 1]"], ["finest"]),
        (["levels"], ["key=value"]),
        (["a..b=1"], ["key=value"]),
        (["training.accumulate=3"], ["batch_size"]),
        (["network.query_units=3"], ["query_units"]),
        (["optimizer.lr=.nan"], ["optimizer.lr"]),
        (["data={a: 1, b: 2}"], ["unknown key data.a", "unknown key data.b"]),
    ],
)
def test_mistakes_in_settings(settings: list[str], messages: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config("sss", settings=settings)
    for message in messages:
        assert message in str(caught.value)


def test_mistakes_in_a_file_have_their_place(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("training:\n  epochs: many\n  bach_size: 3\nnode: [1]\n")
    with pytest.raises(ConfigError) as caught:
        load_config("sss", file)
    text = str(caught.value)
    assert f"{file}:2:" in text
    assert f"{file}:3:3: unknown key training.bach_size: did you mean training.batch_size?" in text
    assert f"{file}:4:" in text
    assert len(caught.value.problems) == 3


def test_task_of_the_file_must_be_the_one_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text("task: qbe\n")
    with pytest.raises(InputError, match="task qbe, but sss"):
        load_config("sss", file)


def test_qbe_has_no_node() -> None:
    with pytest.raises(ConfigError, match="node is for sss"):
        load_config("qbe", settings=["node=piano"])


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_config("sss", tmp_path / "none.yaml")


def test_options_of_another_kind_are_left_out(tmp_path: Path) -> None:
    """Those of the preset's network mean nothing to the one that a file or a setting asks for."""
    kinds = ["network.kind=bandsplit", "loss.kind=complex"]
    assert load_config("sss", settings=kinds).network == NETWORKS.parse({"kind": "bandsplit"})
    file = tmp_path / "own.yaml"
    file.write_text("network: {layers: 2, dropout: 0.1}\n")
    for order in (kinds, kinds[::-1]):
        network = load_config("sss", file, preset="tiny", settings=[*order, "network.units=7"]).network
        assert network == NETWORKS.parse({"kind": "bandsplit", "layers": 2, "dropout": 0.1, "units": 7})
    file.write_text("network: {kind: dense, layers: 2}\n")
    assert load_config("sss", file, settings=kinds).network == NETWORKS.parse({"kind": "bandsplit"})
    assert load_config("sss", file, preset="tiny").network.model_dump()["units"] == 64


def test_what_must_last() -> None:
    """More epochs and other hardware resume a run, all else begins another."""
    one = lasting(load_config("sss"))
    assert lasting(load_config("sss", settings=["training.epochs=3", "hardware.threads=2"])) == one
    other = lasting(load_config("sss", settings=["levels=[1]"]))
    assert {key for key in one if one[key] != other[key]} == {"levels"}
    other = lasting(load_config("sss", preset="bandsplit"))
    assert (one["network.kind"], other["network.kind"]) == ("blstm", "bandsplit")
    assert other["network.features"] == 64


def test_every_key_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    keys = dotted_keys()
    for section, registry in (("network", NETWORKS), ("loss", LOSSES)):
        assert len(registry.names) >= 2
        keys += [
            f"{section}.{key}" for kind in registry.names for key in registry.find(kind).options.model_fields
        ]
    missing = [key for key in keys if f"`{key}`" not in text]
    assert missing == []


def dotted_keys() -> list[str]:
    """All dotted keys of a configuration."""
    values = load_config("sss").model_dump()
    return [
        f"{key}.{inner}" if inner else key
        for key, value in values.items()
        for inner in (value if isinstance(value, dict) else [""])
    ]


Bounded = Callable[[], AbstractContextManager[None]]
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=300), inner, max_size=3),
    max_leaves=6,
)


def read(data: bytes, folder: Path, bounded: Bounded) -> None:
    """A valid configuration, or one of our errors, of a length that people read."""
    (folder / "config.yaml").write_bytes(data)
    with bounded(), suppress(InputError):
        try:
            assert isinstance(read_config(folder / "config.yaml"), Config)
        except ConfigError as error:
            assert all(len(problem.message) < 2000 for problem in error.problems)  # noqa: PT017


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=300) | st.text().map(str.encode))
def test_no_bytes_end_in_another_error(
    bounded: Bounded, tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    read(data, tmp_path_factory.getbasetemp(), bounded)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_values_end_in_another_error(
    bounded: Bounded, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Any one value of a whole configuration, or a key beside it, becomes anything."""
    content = Config(task="qbe").model_dump(mode="json")
    place: dict[str, Any] = content
    while True:
        key = data.draw(st.sampled_from(sorted(place)) | st.text(max_size=300))
        inner = place.get(key)
        if not inner or not isinstance(inner, dict) or data.draw(st.booleans()):
            break
        place = inner
    place[key] = data.draw(VALUES)
    text = yaml.safe_dump(content, allow_unicode=True)
    read(text.encode(), tmp_path_factory.getbasetemp(), bounded)


@settings(max_examples=200, deadline=None)
@given(
    text=st.text(max_size=60)
    | st.tuples(st.sampled_from(["training.epochs", "levels", "data"]), st.text()).map("=".join)
)
def test_no_setting_ends_in_another_error(bounded: Bounded, text: str) -> None:
    with bounded(), suppress(ConfigError):
        load_config("sss", settings=[text])


def test_a_gigantic_file_is_not_read(tmp_path: Path, bounded: Bounded) -> None:
    with open(tmp_path / "config.yaml", "wb") as file:
        file.truncate(2**40)
    with bounded(), pytest.raises(ConfigError, match="more than 1,048,576 are not read"):
        read_config(tmp_path / "config.yaml")
