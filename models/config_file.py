"""From preset, YAML file and ``key=value`` settings to one checked :class:`Config`.

OmegaConf merges such layers too, but forgets the files' lines: here every error names the file, the line, and the nearest right key.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files
from itertools import takewhile
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from slakh_hier.errors import ConfigError, InputError, Problem
from slakh_hier.models.config import Config, Task
from slakh_hier.models.registry import LOSSES, NETWORKS
from slakh_hier.paths import StrPath
from slakh_hier.plain_files import open_plain
from slakh_hier.safe_yaml import MAX_BYTES, Places, load, load_marked, read_bytes
from slakh_hier.wording import did_you_mean, nearest, shortened

KeyPath = tuple[str | int, ...]
FREE = ("preset", "training.epochs", "training.checkpoint_every", "hardware.")
"""Keys (or their beginnings) that may differ when a run is resumed: they do not change what is computed."""


def presets() -> tuple[str, ...]:
    """Names of the shipped presets."""
    folder = files("slakh_hier.models") / "presets"
    return tuple(sorted(p.name.removesuffix(".yaml") for p in folder.iterdir() if p.name.endswith(".yaml")))


def load_config(
    task: Task,
    config: StrPath | None = None,
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
    layers = [_Layer.of_file(Path(config))] if config is not None else []
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
        message = f"unknown preset {str(preset)!r}: {did_you_mean(str(preset), presets())}"
        raise ConfigError(
            [source.problem(("preset",), message) if source else Problem("--preset", 0, 0, message)]
        )
    layers.insert(0, _Layer.of_preset(preset, task))
    merged = merge([layer.values for layer in layers])
    if merged.setdefault("task", task) != task:
        raise InputError(
            f"{config}: this is a configuration for task {merged['task']}, but {task} was asked for"
        )
    merged["preset"] = preset
    try:
        return Config.model_validate(merged)
    except ValidationError as error:
        raise _config_error(error, layers, merged) from None


def read_config(path: Path) -> Config:
    """The whole configuration that a run folder holds (``config.yaml``); no preset is mixed in."""
    try:
        with open(open_plain(path, links=True), "rb") as file:
            layer = _Layer.of_bytes(file.read(MAX_BYTES + 1), str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        return Config.model_validate(layer.values)
    except ValidationError as error:
        raise _config_error(error, [layer], layer.values) from None


def config_yaml(config: Config) -> str:
    """The configuration as YAML, every value written out."""
    text: str = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, allow_unicode=True)
    return text


def lasting(config: Config) -> dict[str, Any]:
    """Dotted keys and values of all that must be the same when a run is resumed, because it changes what is computed.

    With one cycle the number of epochs is part of it: each step's rate depends on it.
    """
    free = tuple(key for key in FREE if key != "training.epochs" or config.optimizer.schedule != "one_cycle")
    values = leaves(config.model_dump(mode="json"))
    return {key: value for key, value in values if not key.startswith(free)}


def merge(layers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Nested values of several layers as one mapping: of what several hold, the last one decides.

    Options of a part with kinds (a network, a loss) count where they are written for the kind that wins, or for none: those of
    the preset's network mean nothing to another one.
    """
    kind = next((layer["kind"] for layer in reversed(layers) if "kind" in layer), None)
    layers = [layer for layer in layers if layer.get("kind", kind) == kind]
    merged: dict[str, Any] = {}
    for key in dict.fromkeys(key for layer in layers for key in layer):
        values = [layer[key] for layer in layers if key in layer]
        nested = list(takewhile(lambda value: isinstance(value, dict), reversed(values)))
        merged[key] = merge(nested[::-1]) if nested else values[-1]
    return merged


class _Layer:
    """Values from one source, and where each was written."""

    def __init__(self, values: dict[str, Any], file: str, places: Places, setting: str = ""):
        self.values, self.file, self.places, self.setting = values, file, places, setting

    @classmethod
    def of_preset(cls, name: str, task: Task) -> _Layer:
        """A preset may have sections ``sss`` and ``qbe`` for what differs between the two."""
        file = files("slakh_hier.models") / "presets" / f"{name}.yaml"
        layer = cls.of_bytes(file.read_bytes(), file.name)
        sections = {each: layer.values.pop(each, {}) for each in get_args(Task)}
        layer.values = merge([layer.values, sections[task]])
        return layer

    @classmethod
    def of_file(cls, path: Path) -> _Layer:
        try:
            data = read_bytes(path)
        except OSError as error:
            raise InputError(f"{path}: cannot be read: {error.strerror}") from None
        return cls.of_bytes(data, str(path))

    @classmethod
    def of_bytes(cls, data: bytes, file: str) -> _Layer:
        values, places = load_marked(data, file, error=ConfigError)
        if not isinstance(values, dict):
            raise ConfigError([Problem(file, 1, 1, "a configuration is a mapping of keys to values")])
        return cls(values, file, places)

    @classmethod
    def of_setting(cls, text: str) -> _Layer:
        key, equals, raw = text.partition("=")
        file = f"--set {text}"
        if not equals or not all(key.split(".")):
            raise ConfigError([Problem(file, 0, 0, "write it as key=value, for example training.epochs=20")])
        try:
            value = load(raw.encode(), file, error=ConfigError) if raw.strip() else None
        except ConfigError as error:
            found = "; ".join(problem.message for problem in error.problems)
            raise ConfigError([Problem(file, 0, 0, f"{key}: the value is {found}")]) from None
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
        if self.setting:
            return Problem(self.file, 0, 0, message)  # names the key, as a setting has no lines
        place = self.places.nearest(path)
        line, column = (place.key_line, place.key_column) if at_key else (place.line, place.column)
        return Problem(self.file, line, column, message)


def _config_error(error: ValidationError, layers: Sequence[_Layer], values: dict[str, Any]) -> ConfigError:
    """Every problem that pydantic found in ``values``, which the layers were merged to."""
    return ConfigError([_problem(detail, layers, values) for detail in error.errors(include_url=False)])


def _problem(detail: ErrorDetails, layers: Sequence[_Layer], values: dict[str, Any]) -> Problem:
    path: KeyPath = detail["loc"]
    name = ".".join(map(str, path))
    if detail["type"] == "extra_forbidden":
        message = _unknown_key(path, values)
    elif detail["type"] == "value_error":
        message = (f"{name}: " if name else "") + str(detail["ctx"]["error"])
    elif detail["type"] == "unknown_kind":
        path, message = (*path, "kind"), f"{name}.kind: {detail['msg']}"
    else:
        message = f"{name}: {detail['msg']}, not {shortened(repr(detail['input']), 100)}"
    # Of a rule over several values the last layer that touches the section is the likely culprit.
    culprit = next((layer for layer in reversed(layers) if layer.holds(path)), layers[-1])
    return culprit.problem(path, message, at_key=detail["type"] == "extra_forbidden")


def _unknown_key(path: KeyPath, values: dict[str, Any]) -> str:
    """Names the key and the nearest right one: in its own section, else anywhere, else all of the section."""
    name, wrong = shortened(".".join(map(str, path)), 100), str(path[-1])[:100]
    lead = "".join(f"{part}." for part in path[:-1])
    section = _section(path[:-1], values)
    own = list(section.model_fields)
    found = nearest(wrong, own)
    near = [lead + found] if found else []
    if not near:
        every = [key for key, _ in leaves(Config(task="sss").model_dump())]
        end = nearest(wrong, [key.rpartition(".")[2] for key in every])
        near = [key for key in every if key.rpartition(".")[2] == end and key != name]
    whose = f"{path[-2]} {section.model_fields['kind'].default}" if "kind" in own else "its section"
    hint = f"did you mean {' or '.join(near)}?" if near else f"{whose} has {', '.join(own)}"
    return f"unknown key {name}: {hint}"


def _section(path: KeyPath, values: Any) -> type[BaseModel]:
    """The model that holds a key; of a part with kinds that of its kind."""
    section: type[BaseModel] = Config
    for part in path:
        inner, values = section.model_fields[str(part)].annotation, values.get(part)
        assert isinstance(inner, type)  # unknown keys are reported inside sections only
        assert issubclass(inner, BaseModel)
        registry = next((one for one in (NETWORKS, LOSSES) if one.base is inner), None)
        section = (
            inner
            if registry is None
            else type(registry.parse({"kind": values.get("kind", registry.default)}))
        )
    return section


def leaves(values: Mapping[str, Any], lead: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of a nested mapping."""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{lead}{key}.")
        else:
            yield f"{lead}{key}", value
