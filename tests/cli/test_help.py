"""Help in groups, and what is said and completed where a word is not whole."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from slakh_hier.cli.main import COMMANDS, cli
from slakh_hier.hierarchy import shipped

Command = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "hierarchy"])
def test_every_option_is_in_one_group(name: str) -> None:
    pytest.importorskip("pytorch_lightning")  # some commands import it
    context = click.Context(cli, help_option_names=["-h", "--help"])
    command = cli.get_command(context, name)
    assert command is not None
    text = command.get_help(click.Context(command, info_name=name, parent=context, max_content_width=1000))
    groups = {
        found[1]: re.findall(r"^  (-.*?)(?:  |$)", found[2], re.MULTILINE)
        for found in re.finditer(r"^(\w+):\n((?:  .*\n?)+)", text, re.MULTILINE)
    }
    assert list(groups)[-1] == "Options"
    assert [line.split()[-1] for line in groups["Options"]] == ["--help"]
    assert len(groups) > 1
    listed = [word for words in groups.values() for line in words for word in re.findall(r"--[\w-]+", line)]
    options = [p for p in command.get_params(context) if isinstance(p, click.Option)]
    assert sorted(listed) == sorted(
        word for option in options for word in (*option.opts, *option.secondary_opts) if word.startswith("--")
    )


@pytest.mark.parametrize("name", ["render", "plan"])
def test_the_groups_of_long_commands(command: Command, name: str) -> None:
    code, out, _ = command(name, "--help")
    assert code == 0
    assert re.findall(r"^(\w+):$", out, re.MULTILINE) == ["Data", "Clips", "Output", "Running", "Options"]


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (("rendr",), "render"),
        (("hierarchy", "shw"), "show"),
        (("nothing-like-it",), None),
        (("rendr\x1b[31m",), None),
    ],
)
def test_an_unknown_command(command: Command, words: tuple[str, ...], meant: str | None) -> None:
    code, _, err = command(*words)
    assert code == 2
    assert "\x1b" not in err
    assert (f"did you mean {meant}?" if meant else "no such command") in err


def completed(*words: str) -> list[str]:
    """What the shell offers for the last word."""
    *before, incomplete = words
    shell = ShellComplete(cli, {}, "slakh-hier", "_SLAKH_HIER_COMPLETE")
    return [item.value for item in shell.get_completions(before, incomplete) if item.type == "plain"]


def test_completion(small_set: Path) -> None:
    pytest.importorskip("pytorch_lightning")  # presets are in its package
    shards = str(small_set)
    assert completed("rend") == ["render"]
    assert completed("render", "x", "--hierarchy", "m") == [
        name for name in shipped() if name.startswith("m")
    ]
    assert completed("hierarchy", "show", "comb") == ["combo"]
    assert completed("train", "sss", "x", "--preset", "ti") == ["tiny"]
    assert completed("render", "x", "--target", "clean") == ["clean_guitars"]
    assert completed("plan", "x", "--target", "mid") == ["midrange_strings_keys"]
    assert completed("render", "x", "--hierarchy", "band", "--target", "dr") == ["drums"]
    assert completed("render", "x", "--mask", "leaf-9") == ["leaf-90"]
    assert completed("mask", shards, "--remove", "") == ["leaf-50"]
    assert completed("experiment", "hc", shards, "--node", "clean") == ["clean_guitars"]
    assert completed("experiment", "hc", shards, "--node", "guit") == ["guitars"]
    assert not {"mix", "unassigned"} & set(completed("experiment", "hc", shards, "--node", ""))
    assert completed("inspect", shards, "--split", "t") == ["train", "test"]
    assert completed("evaluate", "run", shards, "--split", "v") == ["validation"]


def test_what_cannot_be_read_completes_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text("{")
    assert completed("mask", str(tmp_path), "--remove", "") == []
    assert completed("render", "x", "--hierarchy", str(tmp_path / "none.yaml"), "--target", "") == []


def test_a_setting_is_named_by_its_key(command: Command, tmp_path: Path) -> None:
    pytest.importorskip("pytorch_lightning")
    for setting, said in (
        ("training.epochs=x", "--set training.epochs=x: training.epochs: Input should be"),
        (
            "training.epoch=3",
            "--set training.epoch=3: unknown key training.epoch: did you mean training.epochs?",
        ),
        ("levels=[1", "--set levels=[1: levels: the value is not YAML"),
        ("levels", "--set levels: write it as key=value"),
    ):
        code, _, err = command("train", "sss", "x", "-o", tmp_path / "run", "--set", setting)
        assert code == 2
        assert said in err
        assert not re.search(r":\d+:\d+", err)
