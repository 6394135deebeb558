"""weights.safetensors and weights.json: round trip, and every way in which they can be wrong."""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from slakh_hier.errors import InputError
from slakh_hier.models.config import Config
from slakh_hier.models.separator import build_separator
from slakh_hier.models.weights import ABOUT, WEIGHTS, About, intact, load_weights, save_weights


@pytest.fixture
def saved(tiny_config: Callable[..., Config], tmp_path: Path) -> Path:
    config = tiny_config("sss")
    separator = build_separator(config, 2)
    about = About(
        tool_version="0",
        levels=(1, 2),
        names=("clean", "guitars"),
        node="clean",
        sample_rate=4000,
        channels=1,
        clip_seconds=0.5,
        hierarchy_digest="b" * 64,
        plan_digest="a" * 64,
        parameters=separator.parameter_count,
        epoch=3,
        step=30,
        loss=0.25,
        config=config,
    )
    folder = tmp_path / "run"
    folder.mkdir()
    save_weights(folder, separator.state_dict(), about)
    return folder


def test_round_trip(saved: Path, tiny_config: Callable[..., Config]) -> None:
    trained = load_weights(saved)
    assert trained.about.names == ("clean", "guitars")
    assert trained.about.config == tiny_config("sss")
    assert not trained.separator.training
    expected = build_separator(tiny_config("sss"), 2).state_dict()
    assert all(torch.equal(t, expected[name]) for name, t in trained.separator.state_dict().items())
    assert intact(saved)
    assert load_weights(saved / WEIGHTS).about == trained.about


def change(folder: Path, **values: object) -> None:
    about = json.loads((folder / ABOUT).read_text())
    (folder / ABOUT).write_text(json.dumps({**about, **values}))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"format_version": 4}, r"format version 4; this slakh-hier reads version 3\. Update slakh-hier"),
        ({"format_version": 2}, r"format version 2; this slakh-hier reads version 3\. Train it again"),
        ({"format_version": "3"}, "format_version: Input should be 3"),
        ({"format": "something"}, "does not describe a separator"),
        ({"levels": [1]}, "a name for each level"),
        ({"sample_rate": "high"}, "sample_rate"),
        ({"surprise": 1}, "surprise"),
        *[
            ({"names": ["clean", name]}, "weights.json: .*cannot be the name of an estimate")
            for name in (
                "../../x",
                "/x",
                "a/b",
                "a\\b",
                "",
                ".",
                "..",
                ".x",
                " x",
                "a\0b",
                "a\x1b[2Jb",
                "a\nb",
                "a\u202eb",
            )
        ],
        *[
            ({"names": ["clean", name]}, f"weights.json: .*{name!r} cannot be the name of an estimate: {why}")
            for name, why in (
                ("clean", "there are two"),
                ("CLEAN", "there are two"),
                ("residual", "the residual is called so"),
                ("Residual", "the residual is called so"),
            )
        ],
        ({"names": ["clean", "ä" * 101]}, "cannot be the name of an estimate"),
        ({"names": ["clean", "\ud800"]}, "cannot be the name of an estimate"),
        ({"levels": [1, 2, 3], "names": ["a", "b", "c"]}, "does not hold the network"),
    ],
)
def test_a_wrong_description_is_named(saved: Path, values: dict[str, object], message: str) -> None:
    change(saved, **values)
    with pytest.raises(InputError, match=message):
        load_weights(saved)
    assert intact(saved) == (message == "does not hold the network")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"kind": "blstm", "units": 300_000}, "does not hold the network"),
        ({"kind": "blstm", "units": 10**6, "layers": 64}, "does not hold the network"),
        ({"kind": "bandsplit", "units": 300_000}, "does not hold the network"),
        ({"kind": "bandsplit", "features": 10**6}, "does not hold the network"),
        ({"kind": "blstm", "units": 10**30}, r"config\.network\.units: Input should be less"),
    ],
)
def test_a_gigantic_network_is_refused_before_it_is_built(
    saved: Path, network: dict[str, object], message: str
) -> None:
    about = json.loads((saved / ABOUT).read_text())
    about["config"]["network"] = network
    about["config"]["loss"]["kind"] = "complex"
    (saved / ABOUT).write_text(json.dumps(about))
    began = time.monotonic()
    with pytest.raises(InputError, match=message):
        load_weights(saved)
    assert time.monotonic() - began < 10


def test_gigantic_weights_are_not_read(saved: Path) -> None:
    with open(saved / WEIGHTS, "r+b") as file:
        file.truncate(2**42)  # sparse
    with pytest.raises(InputError, match="has 4398046511104 bytes; at most 4294967296 are read"):
        load_weights(saved)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_weights_that_are_no_numbers_are_refused_with_the_tensors_name(
    saved: Path, tiny_config: Callable[..., Config], value: float
) -> None:
    trained = load_weights(saved)
    name, tensor = list(trained.separator.state_dict().items())[-1]
    tensor.view(-1)[-1] = value
    save_weights(saved, trained.separator.state_dict(), trained.about)
    with pytest.raises(
        InputError, match=rf"weights\.safetensors: {re.escape(name)} holds NaN or infinite values \(1 of "
    ):
        load_weights(saved)


def test_damaged_weights_are_noticed(saved: Path) -> None:
    data = bytearray((saved / WEIGHTS).read_bytes())
    data[-10] ^= 1
    (saved / WEIGHTS).write_bytes(data)
    with pytest.raises(InputError, match="sha256 differs"):
        load_weights(saved)
    assert not intact(saved)


def test_broken_json(saved: Path) -> None:
    (saved / ABOUT).write_text("{")
    with pytest.raises(InputError, match="not valid JSON"):
        load_weights(saved)


def test_a_checkpoint_is_not_a_run(saved: Path) -> None:
    (saved / "last.ckpt").write_bytes(b"")
    with pytest.raises(InputError, match=r"last\.ckpt: is a file; give the run folder"):
        load_weights(saved / "last.ckpt")


def test_folders_without_weights_say_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="train one with"):
        load_weights(tmp_path)
    (tmp_path / "index.json").write_text("{}")
    with pytest.raises(InputError, match="this is a shard set"):
        load_weights(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(InputError, match="not finished an epoch"):
        load_weights(tmp_path)
