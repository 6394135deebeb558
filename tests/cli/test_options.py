"""Options mean one thing in all commands, and offer what the functions behind them take."""

from __future__ import annotations

import typing
from collections import defaultdict

import click
import pytest

from slakh_hier.cli.main import COMMANDS, cli
from slakh_hier.output.audio import AudioFormat
from slakh_hier.parallel import Backend
from slakh_hier.shards.format import Dtype
from slakh_hier.slakh.broken import OnBroken

pytest.importorskip("pytorch_lightning")  # some commands import it


def options() -> dict[str, dict[str, click.Option]]:
    """Every option by its long name and by command."""
    found: dict[str, dict[str, click.Option]] = defaultdict(dict)
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                found[max(parameter.opts, key=len)][name] = parameter
    return found


@pytest.mark.parametrize(
    ("option", "kind"),
    [
        ("--audio-format", AudioFormat),
        ("--backend", Backend),
        ("--dtype", Dtype),
        ("--on-broken", OnBroken),
        ("--format", typing.Literal["table", "json", "csv"]),
    ],
)
def test_choices_are_those_of_the_functions(option: str, kind: object) -> None:
    commands = options()[option]
    assert commands
    for command, parameter in commands.items():
        assert isinstance(parameter.type, click.Choice), command
        assert set(parameter.type.choices) == set(typing.get_args(kind)), command


@pytest.mark.parametrize(
    "option", ["--overwrite", "--dry-run", "--on-broken", "--format", "--backend", "--part"]
)
def test_an_option_says_the_same_everywhere(option: str) -> None:
    commands = options()[option]
    assert len({parameter.help for parameter in commands.values()}) == 1, commands
    assert len({str(parameter.default) for parameter in commands.values()}) == 1, commands


def test_overwrite_and_format_are_where_they_belong() -> None:
    found = options()
    assert set(found["--overwrite"]) == {"import", "render", "submix", "synth", "train"}
    assert set(found["--audio-format"]) == {"export", "import", "separate", "submix"}
    assert not {"--report", "--file-format"} & set(found)
    assert "import" not in found["--split"]
    assert set(found["--splits"]) == {"import", "synth"}


def test_the_help_names_every_preset() -> None:
    from slakh_hier.models.config_file import presets

    for parameter in options()["--preset"].values():
        named = set((parameter.help or "").replace(",", " ").replace(".", " ").split())
        assert set(presets()) <= named
