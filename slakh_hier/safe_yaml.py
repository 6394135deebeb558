"""YAML read in one pass over the C parser's events: bounded, without aliases or tags, no key twice.

PyYAML's own loaders build the node tree in C before any check can run: a 200-kB file of ``[`` ends the
process, and a 616-byte chain of merge keys takes 12 s. Here each parser event is checked first and turned into
a value directly. Plain scalars get the types that ``yaml.safe_load`` gives them (YAML 1.1).
"""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any, NamedTuple, NoReturn

import yaml
from yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)

from slakh_hier.errors import Problem, SlakhHierWarning, TextError
from slakh_hier.wording import shortened

MAX_BYTES = 1 << 20
MAX_DEPTH = 32
MAX_EVENTS = 100_000
MAX_PLAIN = 64
"""Longest plain scalar that is read as a number or date; a longer one is an error (int(text) is quadratic)."""

Path = tuple[Any, ...]
"""Keys and list indices from the top of the document to a value."""

_NOT_ALLOWED = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MERGE = "<<"
_NONE_YET: Any = object()
_SKIPPED: Any = object()
_STAR = "put text that starts with * in quotes"
_ADVICE = {
    "cannot start any token": "indent with spaces, not tabs, and put text that starts with @ ` or % in quotes",
    "mapping values are not allowed": "check the indentation, and put text that holds ': ' in quotes",
    "could not find expected ':'": "a key needs a colon and a space behind it",
    "did not find expected key": "check the indentation of this line and of those above it",
    "did not find expected ',' or": "a bracket is not closed",
    "unexpected end of stream": "a quote is not closed",
    "while scanning an alias": _STAR,
}


class Place(NamedTuple):
    """Where a value and its key start (1-based), and the text of both as far as they are unquoted scalars."""

    line: int
    column: int
    key_line: int
    key_column: int
    raw: str | None
    raw_key: str | None


@dataclass
class Places(Mapping[Path, Place]):
    """The place of every value, by its path.

    ``complete`` is False when something of the text is not in the value: behind a fault, an alias, a second value of
    a key.
    """

    found: dict[Path, Place] = field(default_factory=dict)
    complete: bool = True

    def __getitem__(self, path: Path) -> Place:
        return self.found[path]

    def __iter__(self) -> Iterator[Path]:
        return iter(self.found)

    def __len__(self) -> int:
        return len(self.found)

    def nearest(self, path: Path) -> Place:
        """The place of ``path``, else of the closest value around it."""
        while path not in self.found:
            if not path:
                return Place(1, 1, 1, 1, None, None)
            path = path[:-1]
        return self.found[path]


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """A file's bytes, or one more than :func:`load` takes, which then says that it is too large."""
    with open(path, "rb") as file:
        return file.read(MAX_BYTES + 1)


def load(data: bytes, file: str, *, max_bytes: int = MAX_BYTES, error: type[TextError] = TextError) -> Any:
    """Read one YAML document.

    Parameters
    ----------
    data
        The file's bytes: UTF-8, at most ``max_bytes`` (1 MiB; a Slakh track's metadata has 3 kB), nested at most
        32 deep, at most 100,000 parser events.
    file
        Its name, for messages.
    error
        The class raised.

    Raises
    ------
    TextError
        (or ``error``) With every problem found: what is not YAML, is empty, goes over a limit, is there twice as
        a key, is a key but no scalar, an alias, an anchor, a merge key, a tag or a second document.
    """
    builder = _Builder(data, file, max_bytes, places=None)
    value = builder.build()
    if builder.problems:
        raise error(builder.problems)
    return value


def load_marked(
    data: bytes, file: str, *, max_bytes: int = MAX_BYTES, error: type[TextError] = TextError
) -> tuple[Any, Places]:
    """:func:`load`, together with the place of every value."""
    value, places, problems = read_marked(data, file, max_bytes=max_bytes)
    if problems:
        raise error(problems)
    return value, places


def read_marked(data: bytes, file: str, *, max_bytes: int = MAX_BYTES) -> tuple[Any, Places, list[Problem]]:
    """:func:`load_marked` that returns the problems, for readers that go on to look for more.

    Of a key that is there twice the first value counts; an alias reads as ``None``. When a fault ends the reading
    (a syntax error, a limit), the value is ``None``.
    """
    places = Places()
    builder = _Builder(data, file, max_bytes, places)
    value = builder.build()
    places.complete = not builder.lost
    return value, places, builder.problems


class _Stop(Exception):
    """The rest of the text cannot be read."""


class _Frame:
    """A mapping or list that is being filled."""

    __slots__ = ("container", "key", "key_event", "lines", "path")

    def __init__(self, container: dict[Any, Any] | list[Any], path: Path | None):
        self.container = container
        self.path = path  # None inside a value that is thrown away
        self.key: Any = _NONE_YET
        self.key_event: ScalarEvent | None = None
        self.lines: dict[Any, int] = {}  # of each key, to say where the first of two is


class _Builder:
    """Turns parser events into values, and collects problems."""

    def __init__(self, data: bytes, file: str, max_bytes: int, places: Places | None):
        self.data, self.file, self.max_bytes = data, file, max_bytes
        self.places = None if places is None else places.found
        self.problems: list[Problem] = []
        self.frames: list[_Frame] = []
        self.root: Any = _NONE_YET
        self.lost = False

    def build(self) -> Any:
        """The document; ``None`` when it could not be read to its end."""
        try:
            self._check_text()
            for count, event in enumerate(_events(self.data)):
                if count >= MAX_EVENTS:
                    self._stop(event, f"more than {MAX_EVENTS:,} YAML events: this is no file of ours")
                self._take(event)
            if self.root is not _NONE_YET:
                return self.root
            self._add(1, 1, "the file holds nothing but comments or white space")
        except _Stop:
            pass
        except yaml.MarkedYAMLError as fault:
            mark = fault.problem_mark or fault.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            what = " ".join(filter(None, (fault.problem, fault.context)))
            advice = next((text for part, text in _ADVICE.items() if part in what), None)
            self._add(line, column, f"not YAML: {what}" + (f" ({advice})" if advice else ""))
        except yaml.YAMLError as fault:
            self._add(1, 1, f"not YAML: {fault}")
        self.lost = True
        return None

    def _take(self, event: Any) -> None:
        kind = type(event)
        if kind is ScalarEvent:
            self._scalar(event)
        elif kind is MappingStartEvent:
            self._open(event, {})
        elif kind is SequenceStartEvent:
            self._open(event, [])
        elif kind is MappingEndEvent or kind is SequenceEndEvent:
            self.frames.pop()
        elif kind is AliasEvent:
            self._at(event, f"the alias *{event.anchor} is not allowed: write the value out ({_STAR})")
            self.lost = True
            self._attach(None, event, None)
        elif kind is DocumentStartEvent and self.root is not _NONE_YET:
            self._stop(event, "a second YAML document: one file holds one")

    def _scalar(self, event: ScalarEvent) -> None:
        if event.anchor is not None or event.tag is not None:
            self._refuse_anchor_and_tag(event)
        raw: str = event.value
        if not event.implicit[0]:  # quoted, a block, or tagged
            self._attach(raw, event, None)
            return
        try:
            value = resolve_plain(raw)
        except (ValueError, OverflowError) as fault:
            self._at(event, f"{_shown(raw)} is no number or date ({fault}): put text in quotes")
            value = raw
        frame = self.frames[-1] if self.frames else None
        if raw == _MERGE and frame and isinstance(frame.container, dict) and frame.key is _NONE_YET:
            self._at(event, "the merge key << is not allowed: write the values out")
        self._attach(value, event, raw)

    def _open(self, event: Any, container: dict[Any, Any] | list[Any]) -> None:
        if event.anchor is not None or event.tag is not None:
            self._refuse_anchor_and_tag(event)
        if len(self.frames) >= MAX_DEPTH:
            self._stop(event, f"nested more than {MAX_DEPTH} deep")
        frame = self.frames[-1] if self.frames else None
        if frame and isinstance(frame.container, dict) and frame.key is _NONE_YET:
            self._at(event, "a key must be a word or a number, not a list or a mapping")
            frame.key = _SKIPPED
            self.lost = True
            self.frames.append(_Frame(container, None))
        else:
            self.frames.append(_Frame(container, self._attach(container, event, None)))

    def _attach(self, value: Any, event: Any, raw: str | None) -> Path | None:
        """Put a value where it belongs (or keep it as the next key); its path, or None if it is thrown away."""
        if not self.frames:
            self.root = value
            return self._mark((), event, None, raw)
        frame = self.frames[-1]
        key, key_event = frame.key, frame.key_event
        if isinstance(frame.container, list):
            key = len(frame.container)
            frame.container.append(value)
        elif key is _NONE_YET:
            self._key(frame, value, event)
            return None
        else:
            frame.key = _NONE_YET
            if key is _SKIPPED:
                return None
            frame.container[key] = value
        return None if frame.path is None else self._mark((*frame.path, key), event, key_event, raw)

    def _key(self, frame: _Frame, value: Any, event: Any) -> None:
        frame.key, frame.key_event = value, event
        line = event.start_mark.line + 1
        if type(event) is AliasEvent:
            frame.key = _SKIPPED
        elif value in frame.lines:
            first = frame.lines[value]
            self._at(event, f"the key {_shown(event.value)} is there twice (first in line {first})")
            frame.key = _SKIPPED
            self.lost = True
        else:
            frame.lines[value] = line

    def _mark(self, path: Path, event: Any, key_event: Any, raw: str | None) -> Path:
        if self.places is not None:
            start = event.start_mark
            key = key_event.start_mark if key_event else start
            raw_key = key_event.value if key_event and key_event.implicit[0] else None
            self.places[path] = Place(
                start.line + 1, start.column + 1, key.line + 1, key.column + 1, raw, raw_key
            )
        return path

    def _check_text(self) -> None:
        """Size, encoding and characters: what the parser would report without a line."""
        if len(self.data) > self.max_bytes:
            self._add(1, 1, f"{len(self.data):,} bytes: more than {self.max_bytes:,} are not read")
            raise _Stop
        self.data = self.data.removeprefix(b"\xef\xbb\xbf")
        try:
            text = self.data.decode()
        except UnicodeDecodeError as fault:
            before = self.data[: fault.start].decode()
            message = f"not UTF-8 text (byte 0x{self.data[fault.start]:02x}): save the file as UTF-8"
            self._add(*_line_and_column(before), message)
            raise _Stop from None
        if bad := _NOT_ALLOWED.search(text):
            message = f"the character U+{ord(bad[0]):04X} is not allowed in YAML"
            self._add(*_line_and_column(text[: bad.start()]), message)
            raise _Stop

    def _refuse_anchor_and_tag(self, event: Any) -> None:
        if event.anchor is not None:
            self._at(
                event, f"the anchor &{event.anchor} is not allowed: write the value out where it is used"
            )
        if event.tag is not None:
            self._at(event, f"the tag {event.tag} is not allowed")

    def _stop(self, event: Any, message: str) -> NoReturn:
        self._at(event, message)
        raise _Stop

    def _at(self, event: Any, message: str) -> None:
        self._add(event.start_mark.line + 1, event.start_mark.column + 1, message)

    def _add(self, line: int, column: int, message: str) -> None:
        self.problems.append(Problem(self.file, line, column, message))


def resolve_plain(raw: str) -> Any:
    """The value of an unquoted scalar under YAML 1.1, as ``yaml.safe_load`` gives it.

    Raises
    ------
    ValueError
        It has the form of a number or date but no value (``2021-02-30``), or is absurdly long for one.
    """
    if len(raw) <= MAX_PLAIN:
        return _resolve_short(raw)
    if _constructor_of(raw) is not None:
        raise ValueError("too long")
    return raw


@lru_cache(maxsize=4096)
def _resolve_short(raw: str) -> Any:
    construct = _constructor_of(raw)
    return raw if construct is None else construct(_CONSTRUCTOR, yaml.ScalarNode("", raw))


def _constructor_of(raw: str) -> Any:
    tables = yaml.SafeLoader.yaml_implicit_resolvers
    for tag, pattern in (*tables.get(raw[:1], ()), *tables.get(None, ())):
        if pattern.match(raw):
            return yaml.SafeLoader.yaml_constructors.get(tag)  # none for "=" and "<<": they stay text
    return None


_CONSTRUCTOR = yaml.constructor.SafeConstructor()


def _events(data: bytes) -> Iterator[Any]:
    return yaml.parse(data, Loader=_parser())


@cache
def _parser() -> Any:
    if yaml.__with_libyaml__:
        return yaml.CSafeLoader
    warnings.warn(
        SlakhHierWarning("PyYAML was built without libyaml: reading metadata takes some five times as long"),
        stacklevel=2,
    )
    return yaml.SafeLoader


def _line_and_column(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _shown(raw: str) -> str:
    return repr(shortened(raw, 60))
