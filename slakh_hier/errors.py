"""Every error and warning that slakh-hier raises on purpose.

All errors derive from :class:`SlakhHierError`; each message says what was found, where, and what to do.
``exit_code`` is what the command line returns for it: 2 wrong usage or input and nothing done, 3 stopped by
a fault with the finished work kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


class SlakhHierError(Exception):
    """Root of all errors of this package."""

    exit_code = 2


class SlakhHierWarning(UserWarning):
    """Root of all warnings of this package: the work continues, but the user should know."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong in a text file, with its place (1-based line and column; 0: an option, which has none)."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        place = f":{self.line}:{self.column}" if self.line else ""
        return f"{self.file}{place}: {self.message}"


class TextError(SlakhHierError):
    """A text file (YAML, JSON, CSV) with problems: all of them, not only the first."""

    def __init__(self, problems: Sequence[Problem]):
        self.problems = tuple(sorted(problems))
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type[TextError], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)  # pickled by workers


class HierarchyError(TextError):
    """An instrument tree that cannot be used as it stands."""


class MetadataError(TextError):
    """A track's metadata.yaml that cannot be read."""


class ConfigError(TextError):
    """A configuration file or value that is not valid."""


class InputError(SlakhHierError):
    """An argument, folder or file given by the user that cannot be used."""


class AudioError(SlakhHierError):
    """A stem whose audio cannot be read or is not what its header declares."""

    exit_code = 3

    def __init__(self, track: str, stem: str, reason: str):
        self.track, self.stem, self.reason = track, stem, reason
        super().__init__(f"{track}/{stem}: {reason}")

    def __reduce__(self) -> tuple[type[AudioError], tuple[str, str, str]]:
        return type(self), (self.track, self.stem, self.reason)  # pickled by workers


class ClippingError(SlakhHierError):
    """A submix exceeds full scale, and the caller asked for an error rather than for scaling."""

    exit_code = 3


class SongError(SlakhHierError):
    """A song (a MIDI file, or a folder of stems) that cannot be made into a track. The message says why, without its name."""


class PlanError(SlakhHierError):
    """A plan that cannot be drawn, read or used with this data set."""


class ActivityError(PlanError):
    """An activity file that is damaged, or of another version."""


class ShardError(SlakhHierError):
    """A shard or shard folder that is unfinished, damaged, hostile or of another version."""


class LockedError(SlakhHierError):
    """Another run is writing into the same folder."""


class FaultError(SlakhHierError):
    """The run was stopped by a fault from outside (disk full, dead worker); finished work is kept."""

    exit_code = 3


class MissingExtraError(SlakhHierError):
    """An optional dependency that this call needs is not installed."""

    def __init__(self, package: str, extra: str):
        self.package, self.extra = package, extra
        super().__init__(
            f"this needs the package {package}. Install it with: pip install 'slakh-hier[{extra}]'"
        )

    def __reduce__(self) -> tuple[type[MissingExtraError], tuple[str, str]]:
        return type(self), (self.package, self.extra)


def check_choice(what: str, value: object, known: Iterable[object]) -> None:
    """Raise InputError for a value that is none of those known."""
    names = list(known)
    if value not in names:
        choice = " or ".join(map(str, names)) if len(names) == 2 else f"one of {', '.join(map(str, names))}"
        raise InputError(f"{what} must be {choice}, not {value!r}")
