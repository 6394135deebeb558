"""What a map says about a file of a song: which instrument it is, the song's mixture, or nothing to take."""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Generic, TypeVar

from slakh_hier.importing.sources import instrument_keys
from slakh_hier.wording import nearest

_GLOB = re.compile(r"\[[^]]*\]|[*?]")
T = TypeVar("T")


@dataclass(frozen=True)
class Pattern:
    """A glob pattern (``*``, ``?``, ``[abc]``) for files, with its line in the map.

    Case does not count. A pattern without ``/`` is for the file's name, one with ``/`` for its path inside the song's
    folder; both fit with the suffix or without it.
    """

    text: str
    line: int

    @property
    def whole(self) -> bool:
        """Whether it is for the path inside the song's folder."""
        return "/" in self.text

    @property
    def exact(self) -> bool:
        """Whether it stands for one name only."""
        return not _GLOB.search(self.text)

    def fits(self, path: str) -> bool:
        """Whether the file at ``path`` (posix, inside the song's folder) is meant."""
        return PatternIndex([(self, True)]).find(path) is not None


class PatternIndex(Generic[T]):
    """Which of many patterns fits a file first: names without wildcards are looked up, the others are tried in order.

    Parameters
    ----------
    patterns
        With what each stands for, in the order that decides.
    """

    def __init__(self, patterns: Iterable[tuple[Pattern, T]]):
        self._values: list[T] = []
        self._exact: dict[tuple[bool, str], int] = {}
        self._globs: list[tuple[int, bool, Callable[[str], object]]] = []
        for place, (pattern, value) in enumerate(patterns):
            self._values.append(value)
            if pattern.exact:
                self._exact.setdefault((pattern.whole, file_key(pattern.text)), place)
            else:
                match = re.compile(fnmatch.translate(file_key(pattern.text))).match
                self._globs.append((place, pattern.whole, match))

    def find(self, path: str) -> T | None:
        """What the first pattern that fits stands for; None where none fits."""
        names = {whole: _names(path, whole=whole) for whole in (False, True)}
        last = len(self._values)
        best = min(
            (self._exact.get((whole, name), last) for whole in names for name in names[whole]), default=last
        )
        for place, whole, match in self._globs:
            if place > best:
                break
            if any(match(name) for name in names[whole]):
                best = place
                break
        return self._values[best] if best < last else None


@dataclass(frozen=True)
class Instrument:
    """An entry of the map: which files play this instrument, and what the metadata say of them.

    ``program`` is 0 to 127, 128 for drums, or None. The names that are not given are the instrument's own, so that a
    tree can match a new instrument by ``midi_program_name`` or ``inst_class``.
    """

    name: str
    files: tuple[Pattern, ...]
    program: int | None
    patch: str | None
    midi_program_name: str
    inst_class: str

    def labels(self) -> dict[str, Any]:
        """The keys of metadata.yaml that say which instrument a stem is."""
        return instrument_keys(self.inst_class, self.midi_program_name, self.program, self.patch)


@dataclass(frozen=True)
class StemMap:
    """A map as read: instruments in the file's order, files to ignore, the mixture, and where songs lie.

    ``songs`` are patterns of folders below the stems' folder, as ``*/*`` for artist/title; empty for the folders
    directly in it. ``text`` is the YAML as read.
    """

    file: str
    text: str
    instruments: tuple[Instrument, ...]
    ignore: tuple[Pattern, ...]
    mix: tuple[Pattern, ...]
    songs: tuple[str, ...]

    def ignores(self, path: str) -> bool:
        return self._ignore.find(path) is not None

    def is_mix(self, path: str) -> bool:
        return self._mix.find(path) is not None

    def instrument(self, path: str) -> Instrument | None:
        """The first instrument in the file's order that has a pattern for ``path``."""
        return self._instruments.find(path)

    def patterns(self) -> list[tuple[str, Pattern]]:
        """Every pattern for files with its owner: an instrument's name, ``ignore`` or ``mix``."""
        return [
            *(("ignore", pattern) for pattern in self.ignore),
            *(("mix", pattern) for pattern in self.mix),
            *((instrument.name, pattern) for instrument in self.instruments for pattern in instrument.files),
        ]

    def idle(self, paths: Collection[str]) -> list[tuple[str, Pattern]]:
        """The patterns, with their owners, that fit none of the files."""
        there = {
            (whole, name) for path in paths for whole in (False, True) for name in _names(path, whole=whole)
        }

        def fits(pattern: Pattern) -> bool:
            if pattern.exact:
                return (pattern.whole, file_key(pattern.text)) in there
            match = re.compile(fnmatch.translate(file_key(pattern.text))).match
            return any(match(name) for whole, name in there if whole == pattern.whole)

        return [(owner, pattern) for owner, pattern in self.patterns() if not fits(pattern)]

    @cached_property
    def _ignore(self) -> PatternIndex[bool]:
        return PatternIndex((pattern, True) for pattern in self.ignore)

    @cached_property
    def _mix(self) -> PatternIndex[bool]:
        return PatternIndex((pattern, True) for pattern in self.mix)

    @cached_property
    def _instruments(self) -> PatternIndex[Instrument]:
        return PatternIndex(
            (pattern, instrument) for instrument in self.instruments for pattern in instrument.files
        )

    def hint(self, path: str) -> str:
        """Which pattern was probably meant for a file that none fits, and what to do."""
        bare = {_GLOB.sub("", file_key(pattern.text)): (owner, pattern) for owner, pattern in self.patterns()}
        name = file_key(PurePosixPath(path).stem)
        near = nearest(name, filter(None, bare))
        advice = "add a pattern for it, or ignore it"
        if not near:
            return f"fits no pattern of {self.file}: {advice}"
        owner, pattern = bare[near]
        return f"fits no pattern; the nearest is {pattern.text!r} of {owner} ({self.file}:{pattern.line}): {advice}"


def file_key(name: str) -> str:
    """A name for comparison: without case, and with accents as one character (a Mac writes them as two)."""
    return unicodedata.normalize("NFC", name).casefold()


def _names(path: str, *, whole: bool) -> tuple[str, str]:
    """What patterns are compared with: the file's name, or its whole path, with the suffix and without it."""
    file = PurePosixPath(path if whole else path.rpartition("/")[2])
    return file_key(str(file)), file_key(str(file.with_suffix("")))
