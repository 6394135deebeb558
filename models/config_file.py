"""From preset, YAML file and ``key=value`` settings to one checked :class:`Config`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from slakh_hier.errors import ConfigError, InputError, Problem
from slakh_hier.models.config import Config, Task, without_removed
from slakh_hier.plain_files import open_plain
from slakh_hier.safe_yaml import MAX_BYTES, Places, load, load_marked, read_bytes
from slakh_hier.wording import did_you_mean, nearest, shortened

KeyPath = tuple[str | int, ...]
FREE = ("preset", "training.epochs", "training.checkpoint_every", "hardware.")
"""Keys (or their beginnings) that may differ when a run goes on: they do not change what is computed."""


def presets() -> tuple[str, ...]:
    """Names of the shipped presets."""
    folder = files("slakh_hier.models") / "presets"
    return tuple(sorted(p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith(".yaml")))


def load_config(
    task: Task,
    config: Path | None = None,
    *,
    preset: str | None = None,
    settings: Sequence[str] = (),
) -> Config:
    """The configuration of a training.

    Later ones win: the preset, the file, the settings. The preset is named by ``settings``, else by ``preset``,
    else by the file, else it is ``paper``.

    Parameters
    ----------
    task
        ``sss`` or ``qbe``.
    config
        A YAML file with any part of :class:`Config`; None: no file.
    preset
        Name of a shipped preset.
    settings
        Strings ``section.key=value``; the value is read as YAML.

    Raises
    ------
    ConfigError
        With every problem: file, place, what is wrong, the nearest right name.
    """
    layers = [_Layer.of_file(config)] if config is not None else []
    layers += [_Layer.of_setting(text) for text in settings]
    if preset is None:
        preset = next(
            (layer.values["preset"] for layer in reversed(layers) if "preset" in layer.values), "paper"
        )
    else:
        preset = next(
            (layer.values["preset"] for layer in reversed(layers) if layer.setting == "preset"), preset
        )
    if preset not in presets():
        source = next((layer for layer in reversed(layers) if layer.values.get("preset") == preset), None)
        message = _unknown_preset(str(preset))
        raise ConfigError(
            [source.problem(("preset",), message) if source else Problem("--preset", 1, 1, message)]
        )
    layers.insert(0, _Layer.of_preset(preset, task))
    merged: dict[str, Any] = {}
    for layer in layers:
        merge(merged, layer.values)
    if merged.setdefault("task", task) != task:
        raise InputError(
            f"{config}: this is a configuration for task {merged['task']}, but {task} was asked for"
        )
    merged["preset"] = preset
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        raise ConfigError([_problem(detail, layers) for detail in error.errors(include_url=False)]) from None


def read_config(path: Path) -> Config:
    """The whole configuration that a run folder holds (``config.yaml``); no preset is mixed in."""
    try:
        with open(open_plain(path, links=True), "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    layer = _Layer._of_bytes(data, str(path))
    try:
        return Config.model_validate(without_removed(layer.values))
    except ValidationError as error:
        raise ConfigError([_problem(detail, [layer]) for detail in error.errors(include_url=False)]) from None


def config_yaml(config: Config) -> str:
    """The configuration as YAML, every value written out."""
    text: str = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    return text


def differences(one: Config, other: Config) -> dict[str, tuple[Any, Any]]:
    """Dotted keys whose values differ, with both values."""
    a, b = dict(leaves(one.model_dump(mode="json"))), dict(leaves(other.model_dump(mode="json")))
    return {key: (a[key], b[key]) for key in a if a[key] != b[key]}


def merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    """Put nested values into a nested mapping, in place; what both hold, the new one decides."""
    for key, value in values.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            merge(into[key], value)
        else:
            into[key] = dict(value) if isinstance(value, dict) else value


class _Layer:
    """Values from one source, and where each was written."""

    def __init__(self, values: dict[str, Any], file: str, places: Places, setting: str = ""):
        self.values, self.file, self.places, self.setting = values, file, places, setting

    @classmethod
    def of_preset(cls, name: str, task: Task) -> _Layer:
        """A preset may have sections ``sss`` and ``qbe`` for what differs between the two."""
        file = files("slakh_hier.models") / "presets" / f"{name}.yaml"
        layer = cls._of_bytes(file.read_bytes(), file.name)
        sections = {each: layer.values.pop(each, {}) for each in get_args(Task)}
        merge(layer.values, sections[task])
        return layer

    @classmethod
    def of_file(cls, path: Path) -> _Layer:
        try:
            data = read_bytes(path)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
        return cls._of_bytes(data, str(path))

    @classmethod
    def _of_bytes(cls, data: bytes, file: str) -> _Layer:
        values, places = load_marked(data, file, error=ConfigError)
        if not isinstance(values, dict):
            raise ConfigError([Problem(file, 1, 1, "a configuration is a mapping of keys to values")])
        return cls(values, file, places)

    @classmethod
    def of_setting(cls, text: str) -> _Layer:
        key, equals, raw = text.partition("=")
        file = f"--set {text}"
        if not equals or not all(key.split(".")):
            raise ConfigError([Problem(file, 1, 1, "write it as key=value, for example training.epochs=20")])
        value = load(raw.encode(), file, error=ConfigError) if raw.strip() else None
        values: Any = value
        for part in reversed(key.split(".")):
            values = {part: values}
        return cls(values, file, Places(), setting=key)

    def holds(self, path: KeyPath) -> bool:
        """Whether the value at ``path`` (or what stands in its place) comes from here."""
        at: Any = self.values
        for key in path:
            if isinstance(at, dict) and key in at:
                at = at[key]
            else:
                return not isinstance(at, dict)
        return True

    def problem(self, path: KeyPath, message: str, *, at_key: bool = False) -> Problem:
        place = self.places.nearest(path)
        line, column = (place.key_line, place.key_column) if at_key else (place.line, place.column)
        return Problem(self.file, line, column, message)


def _problem(detail: ErrorDetails, layers: Sequence[_Layer]) -> Problem:
    path: KeyPath = detail["loc"]
    name = ".".join(map(str, path))
    if detail["type"] == "extra_forbidden":
        message = _unknown_key(path)
    elif detail["type"] == "value_error":
        message = (f"{name}: " if name else "") + str(detail["ctx"]["error"])
    else:
        message = f"{name}: {detail['msg']}, not {shortened(repr(detail['input']), 100)}"
    # Of a rule over several values the last layer that touches the section is the likely culprit.
    culprit = next((layer for layer in reversed(layers) if layer.holds(path)), layers[-1])
    return culprit.problem(path, message, at_key=detail["type"] == "extra_forbidden")


def _unknown_key(path: KeyPath) -> str:
    """Names the key and the nearest right one: in its own section, else anywhere, else all of the section."""
    name, wrong = shortened(".".join(map(str, path)), 100), str(path[-1])[:100]
    lead = "".join(f"{part}." for part in path[:-1])
    own = list(_section(path[:-1]).model_fields)
    found = nearest(wrong, own)
    near = [lead + found] if found else []
    if not near:
        every = [key for key, _ in leaves(Config(task="sss").model_dump())]
        end = nearest(wrong, [key.rpartition(".")[2] for key in every])
        near = [key for key in every if key.rpartition(".")[2] == end]
    hint = f"did you mean {' or '.join(near)}?" if near else f"its section has {', '.join(own)}"
    return f"unknown key {name}: {hint}"


def _section(path: KeyPath) -> type[BaseModel]:
    section: type[BaseModel] = Config
    for part in path:
        inner = section.model_fields[str(part)].annotation
        assert isinstance(inner, type)  # unknown keys are reported inside sections only
        assert issubclass(inner, BaseModel)
        section = inner
    return section


def _unknown_preset(name: str) -> str:
    return f"unknown preset {name!r}: {did_you_mean(name, presets())}"


def leaves(values: Mapping[str, Any], lead: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of a nested mapping."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{lead}{key}.")
        else:
            yield f"{lead}{key}", value
