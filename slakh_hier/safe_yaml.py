"""YAML read in one pass over the C parser's events: bounded, without aliases or tags, no key twice.

PyYAML's own loaders build the node tree in C before any check can run: a 200-kB file of ``[`` ends the
process, and a 616-byte chain of merge keys takes 12 s. Here each parser event is checked first and turned into
a value directly. Plain scalars get the types that ``yaml.safe_load`` gives them (YAML 1.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
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

from slakh_hier.errors import Problem, TextError
from slakh_hier.paths import StrPath
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


class Places(dict[Path, Place]):
    """The place of every value, by its path.

    ``complete`` is False when something of the text is not in the value: behind a fault, an alias, a second value of
    a key.
    """

    complete = True

    def nearest(self, path: Path) -> Place:
        """The place of ``path``, else of the closest value around it."""
        while path not in self and path:
            path = path[:-1]
        return self.get(path, Place(1, 1, 1, 1, None, None))


def read_bytes(path: StrPath) -> bytes:
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
        (or ``error``) With every problem found: what is not YAML, is empty, exceeds a limit, appears twice as
        a key, is a key but not a scalar, an alias, an anchor, a merge key, a tag or a second document.
    """
    reader = _Reader(data, file, max_bytes, None)
    value = reader.read()
    if reader.problems:
        raise error(reader.problems)
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
    """:func:`load_marked` that returns the problems, for readers that look for more.

    Of a key that appears twice the first value counts; an alias reads as ``None``. When a fault ends the reading
    (a syntax error, a limit), the value is ``None``.
    """
    places = Places()
    reader = _Reader(data, file, max_bytes, places)
    value = reader.read()
    places.complete = not reader.lost
    return value, places, reader.problems


class _Stop(Exception):
    """The rest of the text cannot be read."""


class _Reader:
    """Turns parser events into values from top to bottom, and collects problems."""

    def __init__(self, data: bytes, file: str, max_bytes: int, places: Places | None):
        self.data, self.file, self.max_bytes, self.places = data, file, max_bytes, places
        self.problems: list[Problem] = []
        self.lost = False
        self.events: Iterator[Any] = iter(())
        self.count = self.depth = 0

    def read(self) -> Any:
        """The document; ``None`` when it could not be read to its end."""
        try:
            self._check_text()
            self.events = yaml.parse(self.data, Loader=_PARSER)
            return self._document()
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

    def _document(self) -> Any:
        self._next()  # the stream's start
        if type(self._next()) is not DocumentStartEvent:
            self._add(1, 1, "the file holds nothing but comments or white space")
            raise _Stop
        value = self._value(self._next(), ())
        self._next()  # the document's end
        if type(event := self._next()) is DocumentStartEvent:
            self._stop(event, "a second YAML document: one file holds one")
        return value

    def _next(self) -> Any:
        event = next(self.events)
        self.count += 1
        if self.count > MAX_EVENTS:
            self._stop(event, f"more than {MAX_EVENTS:,} YAML events: this is not a slakh-hier file")
        return event

    def _value(self, event: Any, path: Path | None, key: Any = None) -> Any:
        """The value that starts with ``event``; without a path it is thrown away, and so are the places in it."""
        kind = type(event)
        if kind is AliasEvent:
            self._at(event, f"the alias *{event.anchor} is not allowed: write the value out ({_STAR})")
            self.lost = True
        elif event.anchor is not None or event.tag is not None:
            self._refuse_anchor_and_tag(event)
        if self.places is not None and path is not None:
            self.places[path] = _place(event, key)
        if kind is ScalarEvent:
            return self._scalar(event)
        if kind is AliasEvent:
            return None
        if self.depth >= MAX_DEPTH:
            self._stop(event, f"nested more than {MAX_DEPTH} deep")
        self.depth += 1
        value = self._mapping(path) if kind is MappingStartEvent else self._list(path)
        self.depth -= 1
        return value

    def _list(self, path: Path | None) -> list[Any]:
        items: list[Any] = []
        while type(event := self._next()) is not SequenceEndEvent:
            items.append(self._value(event, None if path is None else (*path, len(items))))
        return items

    def _mapping(self, path: Path | None) -> dict[Any, Any]:
        values: dict[Any, Any] = {}
        lines: dict[Any, int] = {}  # of each key, to say where the first of two is
        while type(event := self._next()) is not MappingEndEvent:
            name = self._value(event, None)
            line = event.start_mark.line + 1
            known = type(event) is ScalarEvent and name not in lines
            if type(event) in (MappingStartEvent, SequenceStartEvent):
                self._at(event, "a key must be a word or a number, not a list or a mapping")
            elif type(event) is ScalarEvent:
                if event.value == _MERGE and event.implicit[0]:
                    self._at(event, "the merge key << is not allowed: write the values out")
                if not known:
                    twice = f"the key {_shown(event.value)} appears twice (first in line {lines[name]})"
                    self._at(event, twice)
            if known:
                lines[name] = line
                values[name] = self._value(self._next(), None if path is None else (*path, name), event)
            else:
                self.lost = True
                self._value(self._next(), None)
        return values

    def _scalar(self, event: ScalarEvent) -> Any:
        raw: str = event.value
        if not event.implicit[0]:  # quoted, a block, or tagged
            return raw
        try:
            return resolve_plain(raw)
        except (ValueError, OverflowError) as fault:
            self._at(event, f"{_shown(raw)} is not a number or date ({fault}): put text in quotes")
            return raw

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


def _place(event: Any, key: Any) -> Place:
    start, key_start = event.start_mark, (key or event).start_mark
    raw, raw_key = (
        one.value if type(one) is ScalarEvent and one.implicit[0] else None for one in (event, key)
    )
    return Place(start.line + 1, start.column + 1, key_start.line + 1, key_start.column + 1, raw, raw_key)


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


_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # C takes a fifth of the time
_CONSTRUCTOR = yaml.constructor.SafeConstructor()


def _line_and_column(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


def _shown(raw: str) -> str:
    return repr(shortened(raw, 60))
