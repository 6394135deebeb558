"""Trained separators as files: ``weights.safetensors`` and ``weights.json``, which need no pickle to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

from slakh_hier.checked_json import parse_object, problems_of
from slakh_hier.errors import InputError
from slakh_hier.files import publish, publish_json, sha256
from slakh_hier.models.config import Config
from slakh_hier.models.separator import Separator, build_separator
from slakh_hier.paths import StrPath
from slakh_hier.plain_files import read_plain
from slakh_hier.shards.format import CHANNELS, NODE_NAMES
from slakh_hier.wording import typed

WEIGHTS: Final = "weights.safetensors"
ABOUT: Final = "weights.json"
FORMAT: Final = "slakh-hier-separator"
VERSION: Final = 3
MAX_JSON: Final = 1 << 20
MAX_WEIGHTS: Final = 4 << 30
"""The paper's networks have 130 (SSS) to 240 MB (QBE)."""
RESIDUAL: Final = "residual"
"""What is left of a mixture beside its estimates, and the name of its file."""
MAX_NAME_BYTES: Final = 200
"""Of an estimate's name, which names its file."""


class About(BaseModel):
    """What weights.json says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["slakh-hier-separator"] = FORMAT
    format_version: Literal[3] = VERSION
    tool_version: str
    levels: Annotated[tuple[int, ...], Field(min_length=1)]
    names: Annotated[tuple[str, ...], Field(min_length=1)]
    """``levels`` and ``names``: the separator's levels, finest first, and what each is called (the node's name, or
    ``level_N`` for QBE)."""
    node: str | None
    """SSS: the target, the finest node of the path (which ``levels`` need not include); None for QBE."""
    query_levels: tuple[int, ...] = (1,)
    """QBE: the levels of the nodes that queries were of in the training; none for SSS."""
    sample_rate: Annotated[int, Field(ge=1, le=1_000_000)]
    channels: Annotated[int, Field(ge=1, le=max(CHANNELS))]
    """Of the training examples; networks that see all channels at once were built for so many."""
    clip_seconds: Annotated[float, Field(gt=0)]
    """Length of the training examples."""
    hierarchy_digest: str
    plan_digest: str
    parameters: int
    epoch: int
    step: int
    loss: float
    config: Config
    """The whole training configuration; the network is built from it."""
    sha256: str = ""
    """Of weights.safetensors."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if len(self.levels) != len(self.names):
            raise ValueError("there must be a name for each level")
        check_names(self.names)
        return self


def check_names(names: Sequence[str]) -> None:
    """Raise ValueError unless each name can be that of a file beside the others, whatever the file system."""
    seen = {RESIDUAL}
    for name in names:
        if not NODE_NAMES.fullmatch(name) or not name.isprintable() or len(name.encode()) > MAX_NAME_BYTES:
            raise ValueError(f"{name[:80]!r} cannot be the name of an estimate: it names a file too")
        if name.casefold() in seen:
            why = "the residual is called so" if name.casefold() == RESIDUAL else "there are two"
            raise ValueError(f"{name!r} cannot be the name of an estimate: {why}")
        seen.add(name.casefold())


@dataclass(frozen=True)
class Trained:
    """A separator with its weights (in evaluation mode, on the CPU) and what it was trained for."""

    separator: Separator
    about: About
    folder: Path


def save_weights(folder: Path, state: Mapping[str, torch.Tensor], about: About) -> None:
    """Publish both files, of a separator's state dict; the JSON comes last and holds the digest of the other."""
    data = save_tensors({name: tensor.detach().cpu() for name, tensor in state.items()})
    publish(folder / WEIGHTS, data)
    publish_json(folder / ABOUT, about.model_copy(update={"sha256": sha256(data)}).model_dump(mode="json"))


def load_weights(run: StrPath) -> Trained:
    """Load the published weights of a run. Both files may be symbolic links, to those of another run.

    Parameters
    ----------
    run
        A run folder (or any folder with both files), or the .safetensors file in it.

    Raises
    ------
    InputError
        There are none, they are damaged, not finite, of a newer version, or something else; or an estimate has a name
        that cannot be a file's (:func:`check_names`).
    """
    run = Path(run)
    folder = run.parent if run.suffix == ".safetensors" else run
    about = _read_about(folder)
    path = folder / WEIGHTS
    try:
        data = read_plain(path, MAX_WEIGHTS, links=True)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if sha256(data) != about.sha256:
        raise InputError(
            f"{path}: is not the file that {ABOUT} describes (sha256 differs). Run the same slakh-hier train command "
            "again: it rewrites the weights"
        )
    try:
        tensors = load_tensors(data)
        _compare(tensors, about)
        separator = build_separator(about.config, len(about.levels), about.channels)
        separator.load_state_dict(tensors)
    except (SafetensorError, RuntimeError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: does not hold the network that {ABOUT} describes: {error}") from None
    _refuse_infinite(tensors, path)
    return Trained(separator.eval(), about, folder)


def _compare(tensors: dict[str, torch.Tensor], about: About) -> None:
    """Raise ValueError unless the tensors are those of the network, before memory is taken for one."""
    with torch.device("meta"):  # shapes alone: whoever wrote the description may have made it gigantic
        expected = build_separator(about.config, len(about.levels), about.channels).state_dict()
    for name in sorted(tensors.keys() | expected.keys()):
        found, right = (tuple(x[name].shape) if name in x else None for x in (tensors, expected))
        if found != right:
            raise ValueError(f"{name} has shape {found or 'nothing'} and not {right or 'nothing'}")


def _refuse_infinite(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Refuse weights that are not numbers: every estimate would be NaN, and every score be left out."""
    for name, tensor in sorted(tensors.items()):
        if wrong := int((~torch.isfinite(tensor)).sum()):
            raise InputError(
                f"{path}: {name} holds NaN or infinite values ({wrong:,} of {tensor.numel():,}), so that every estimate "
                "would; train it again, or fetch it again from where it came"
            )


def intact(folder: Path) -> bool:
    """Whether both files are there and belong together."""
    try:
        data = read_plain(folder / WEIGHTS, MAX_WEIGHTS, links=True)
        return sha256(data) == _read_about(folder).sha256
    except (OSError, InputError):
        return False


def state_of(checkpoint: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The separator's tensors in a training checkpoint: their average, where the training makes one."""
    if checkpoint["slakh_hier"]["average"] is not None:
        averaged: dict[str, torch.Tensor] = checkpoint["slakh_hier"]["average"]["weights"]
        return averaged
    lead = "separator."
    return {k.removeprefix(lead): v for k, v in checkpoint["state_dict"].items() if k.startswith(lead)}


def _read_about(folder: Path) -> About:
    path = folder / ABOUT
    if folder.is_file():
        raise InputError(
            f"{folder}: is a file; give the run folder that slakh-hier train wrote (with {WEIGHTS} and {ABOUT})"
        )
    try:
        data = read_plain(path, MAX_JSON, links=True)
    except FileNotFoundError:
        hint = f"train one with: {typed('train', 'sss', 'SHARDS', '-o', folder)}"
        if (folder / "checkpoints").is_dir():
            hint = "its training has not finished an epoch yet; run the same train command again"
        elif (folder / "index.json").exists():
            hint = "this is a shard set; give a run folder that slakh-hier train wrote"
        raise InputError(f"{folder}: holds no trained separator (no {ABOUT}): {hint}") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    raw = parse_object(data, path)
    if raw.get("format") != FORMAT:
        raise InputError(f"{path}: does not describe a separator (format is not {FORMAT!r})")
    if isinstance(version := raw.get("format_version"), int) and version != VERSION:
        advice = "Update slakh-hier" if version > VERSION else "Train it again"
        raise InputError(
            f"{path}: has format version {version}; this slakh-hier reads version {VERSION}. {advice}"
        )
    with problems_of(path):
        return About.model_validate(raw)
