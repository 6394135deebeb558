"""A command whose help lists its options in groups, and how options name theirs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])
REST: Final = "Options"
"""Heading of the options that belong to no group."""


class Option(click.Option):
    """An option that knows its group, and whose help says its default. Its type follows from the default, if it has one."""

    def __init__(self, *args: Any, group: str, **kwargs: Any) -> None:
        kwargs.setdefault("show_default", True)
        super().__init__(*args, **kwargs)
        self.group = group


data_option = partial(click.option, cls=Option, group="Data")
split_option = partial(click.option, cls=Option, group="Splits")
song_option = partial(click.option, cls=Option, group="Songs")
clip_option = partial(click.option, cls=Option, group="Clips")
training_option = partial(click.option, cls=Option, group="Training")
output_option = partial(click.option, cls=Option, group="Output")
running_option = partial(click.option, cls=Option, group="Running")


class Command(click.Command):
    """Lists its options by group, in the order in which they are declared."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
            if record is not None:
                groups.setdefault(getattr(parameter, "group", REST), []).append(record)
        for name in sorted(groups, key=lambda name: name == REST):
            with formatter.section(name):
                formatter.write_dl(groups[name])


command = partial(click.command, cls=Command)


def parsed(parse: Callable[[str], Any]) -> Callable[[click.Context, click.Parameter, str | None], Any]:
    """The callback of an option whose text, where it is given, is read by ``parse``."""
    return lambda context, parameter, text: None if text is None else parse(text)


def options(*decorators: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one decorator, in their order."""

    def decorate(function: F) -> F:
        for decorator in reversed(decorators):
            function = decorator(function)
        return function

    return decorate
