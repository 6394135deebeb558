"""Networks and losses by their ``kind``: those of the package, of other installed packages, and of your files.

A kind is a module that calls :func:`register_network` or :func:`register_loss` when it is imported. Modules of
``slakh_hier.models.networks`` and ``slakh_hier.models.losses`` are called after their kind; other packages name theirs as
entry points of the groups ``slakh_hier.networks`` and ``slakh_hier.losses``; a file of your own is named by ``--import``.
A configuration or a run folder holds the kind alone: nothing is ever imported from a place that a file names.
"""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Generic, Literal, TypeVar

from pydantic import Field
from pydantic_core import PydanticCustomError

from slakh_hier.errors import InputError, SlakhHierError
from slakh_hier.models.section import Section, Weight
from slakh_hier.paths import StrPath
from slakh_hier.wording import did_you_mean

if TYPE_CHECKING:
    from torch import Tensor, nn

    from slakh_hier.models.objective import Estimate

NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
IMPORTED: Final[list[str]] = []
"""Files that :func:`import_file` imported into this process, for the record of a run and for its other processes."""


class Options(Section):
    """What can be set for one kind; subclasses declare ``kind: Literal["NAME"] = "NAME"``."""

    kind: str


class NetworkOptions(Options):
    """Options of a network."""

    complex_masks: ClassVar[bool] = False
    """The network gives complex masks; else real ones in [0, 1]."""
    joint_channels: ClassVar[bool] = False
    """The network sees all channels of a clip at once; else each channel is a clip of its own."""


class LossOptions(Options):
    """Options of a loss."""

    denominator: Literal["all", "available"] = "all"
    """What the sum over clips and levels is divided by. ``all``: their number, withheld ground truth included (the
    paper's). ``available``: the number of those whose ground truth is available. Weighted terms count by weight."""
    level_weights: dict[Annotated[int, Field(ge=0)], Weight] = Field(default_factory=dict)
    """Weights of levels, by number; others have 1."""
    node_weights: dict[str, Weight] = Field(default_factory=dict)
    """Weights of nodes, by name, at the level where the node is the target; others have 1. A term's weight is the
    product of both."""

    @property
    def real_masks(self) -> bool:
        """The loss means nothing for complex masks."""
        return False


@dataclass(frozen=True)
class NetworkSpec:
    """What a network is built for."""

    bins: int
    """Frequency bins of the spectra."""
    channels: int
    """Channels that it sees at once: those of the clips if its options have ``joint_channels``, else 1."""
    levels: int
    """Masks to estimate, finest first."""
    query: bool
    """The network takes a query: it has a module ``query`` that makes an anchor, (batch, features), of a query's
    spectrum, (batch, bins, frames)."""


O = TypeVar("O", bound=Options)
N = TypeVar("N", bound=NetworkOptions)
L = TypeVar("L", bound=LossOptions)


@dataclass(frozen=True)
class Kind(Generic[O]):
    """One kind: its options, what builds it, and the module that registered it."""

    options: type[O]
    build: Callable[..., Any]
    module: str


class Registry(Generic[O]):
    """All kinds of one part of a configuration.

    Parameters
    ----------
    what
        The part's name in messages.
    base
        What options must be derived from.
    default
        The kind where a configuration names none.
    group
        Group of the entry points by which other packages name their kinds.
    package
        Holds the package's own kinds, one module each.
    """

    def __init__(self, what: str, base: type[O], *, default: str, group: str, package: str):
        self.what, self.base, self.default, self.group = what, base, default, group
        self._package = package
        self._kinds: dict[str, Kind[O]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """All kinds, imported or not."""
        return tuple(sorted({*self._kinds, *self._shipped(), *self._installed()}))

    def register(self, name: str, options: type[O], build: Callable[..., Any]) -> None:
        """Add a kind; the same module may register it again, with a new definition.

        Raises
        ------
        InputError
            The name or the options do not fit, or another module has registered a kind of that name.
        """
        where = f"{self.what} {name!r} of {options.__module__}"
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise InputError(f"{where}: a kind's name has small letters, digits and underscores")
        field = options.model_fields.get("kind") if issubclass(options, self.base) else None
        if field is None or field.default != name:
            raise InputError(
                f"{where}: its options must be derived from {self.base.__name__} and declare "
                f'kind: Literal["{name}"] = "{name}"'
            )
        if name in self._shipped() and options.__module__ != self._shipped()[name]:
            raise InputError(f"{where}: slakh-hier has a {self.what} of that name; choose another one")
        known = self._kinds.get(name)
        if known is not None and known.module != options.__module__:
            raise InputError(f"{where}: {known.module} has registered one too; choose another name")
        self._kinds[name] = Kind(options, build, options.__module__)

    def find(self, name: str) -> Kind[O]:
        """A kind by name; its module is imported now where it was not yet.

        Raises
        ------
        LookupError
            There is none; the message says which there are and how others are named.
        """
        if name not in self._kinds:
            installed = self._installed()
            if name in self._shipped():
                import_module(self._shipped()[name])
            elif name in installed:
                installed[name].load()
        if name not in self._kinds:
            raise LookupError(
                f"there is no {self.what} of kind {name[:80]!r}: {did_you_mean(name[:80], self.names)} (if a file of yours "
                "registers it, name the file: --import FILE)"
            )
        return self._kinds[name]

    def parse(self, value: object) -> O:
        """Validate options, as pydantic does a union discriminated by ``kind``."""
        if isinstance(value, self.base):
            return value
        if not isinstance(value, Mapping):
            raise PydanticCustomError("kind_type", "Input should be a mapping of options")
        name = value.get("kind", self.default)
        if not isinstance(name, str):
            raise PydanticCustomError("kind_type", "its kind should be a name")
        try:
            options = self.find(name).options
        except LookupError as error:
            raise PydanticCustomError("unknown_kind", "{message}", {"message": str(error)}) from None
        return options.model_validate(value)

    def build(self, options: O, *rest: object) -> Any:
        """What the kind's ``build`` makes of its options.

        Raises
        ------
        InputError
            The ``build`` of a kind that is not the package's raised something.
        """
        kind = self.find(options.kind)
        try:
            return kind.build(options, *rest)
        except SlakhHierError:
            raise
        except Exception as error:
            if options.kind in self._shipped():
                raise
            raise InputError(f"{self.what} {options.kind} cannot be built: {_where(error)}") from error

    def _shipped(self) -> dict[str, str]:
        path = import_module(self._package).__path__
        return {module.name: f"{self._package}.{module.name}" for module in iter_modules(path)}

    def _installed(self) -> dict[str, Any]:
        return {point.name: point for point in entry_points(group=self.group)}


NETWORKS: Final = Registry(
    "network",
    NetworkOptions,
    default="blstm",
    group="slakh_hier.networks",
    package="slakh_hier.models.networks",
)
LOSSES: Final = Registry(
    "loss", LossOptions, default="tpsa", group="slakh_hier.losses", package="slakh_hier.models.losses"
)


def register_network(name: str, options: type[N], build: Callable[[N, NetworkSpec], nn.Module]) -> None:
    """Make a network of your own one that configurations can name: ``network.kind: NAME``.

    Parameters
    ----------
    options
        Derived from :class:`NetworkOptions`, with ``kind: Literal["NAME"] = "NAME"`` and a default for every value.
    build
        Makes the network of its options and a :class:`NetworkSpec`; see :mod:`slakh_hier.models.networks`.

    Raises
    ------
    InputError
        See :meth:`Registry.register`.
    """
    NETWORKS.register(name, options, build)


def register_loss(name: str, options: type[L], build: Callable[[L], Callable[[Estimate], Tensor]]) -> None:
    """Make a loss of your own one that configurations can name: ``loss.kind: NAME``.

    Parameters
    ----------
    options
        Derived from :class:`LossOptions`, with ``kind: Literal["NAME"] = "NAME"`` and a default for every value.
    build
        Makes of its options a function of an :class:`~slakh_hier.models.objective.Estimate`; see
        :mod:`slakh_hier.models.losses`.

    Raises
    ------
    InputError
        See :meth:`Registry.register`.
    """
    LOSSES.register(name, options, build)


def import_file(path: StrPath) -> None:
    """Import a Python file that registers networks, losses or metrics; a file that is imported already is left alone.

    Raises
    ------
    InputError
        There is no such file, or it raised an error.
    """
    file = Path(path).resolve()
    if str(file) in IMPORTED:
        return
    if not file.is_file():
        raise InputError(f"{path}: there is no such file to import")
    name = f"slakh_hier_import_{re.sub(r'[^A-Za-z0-9_]', '_', str(file))}"
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise InputError(f"{path}: is not a Python file (its name does not end in .py)")
    sys.modules[name] = module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except SlakhHierError as error:
        raise InputError(f"{path}: {error}") from error
    except Exception as error:
        raise InputError(f"{path}: cannot be imported: {_where(error)}") from error
    IMPORTED.append(str(file))


def _where(error: Exception) -> str:
    """``FILE:LINE: TypeError: ...``: what went wrong in somebody else's code, and where."""
    frames = traceback.extract_tb(error.__traceback__)
    if isinstance(error, SyntaxError) or not frames:
        return f"{type(error).__name__}: {error}"
    return f"{frames[-1].filename}:{frames[-1].lineno}: {type(error).__name__}: {error}"
