"""Tables of splits: CSV or YAML files that say where each song goes, read with every problem in one report."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from slakh_hier.errors import ConfigError, InputError, Problem
from slakh_hier.importing.sources import Song
from slakh_hier.importing.stem_map import file_key
from slakh_hier.safe_yaml import load_marked
from slakh_hier.splits import OMITTED, SPLITS
from slakh_hier.wording import counted, did_you_mean, nearest, some

_NAMES = (*SPLITS, OMITTED)
_SONG_COLUMNS = ("song", "song_id")
_MAX_BYTES = 16 << 20


@dataclass
class SplitTable:
    """The split of each song that a table names, by the song's name, and what to know of it."""

    found: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def read_split_table(
    songs: Sequence[Song], path: Path, names: str | None = None, *, partial: bool = False
) -> SplitTable:
    """Read a table.

    Parameters
    ----------
    path
        CSV with the columns song (or song_id) and split, or YAML with ``song: split``. A song is called by its name, its
        folder, its id in the data set, or ``Artist - Title``.
    names
        What the words of the column split stand for; see :func:`parse_split_names`. None: train, validation, test, omitted.
    partial
        The table may leave songs out, and name others.

    Raises
    ------
    InputError
        The file cannot be read, or a song has no split.
    ConfigError
        It has problems: all of them, with their lines.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES)
    except OSError as error:
        raise InputError(
            f"splits {path}: {error.strerror}. Give a CSV or YAML file, percentages (80,10,10) or folders"
        ) from error
    rows = _yaml_rows(data, path) if path.suffix.lower() in (".yaml", ".yml") else _csv_rows(data, path)
    words = parse_split_names(names) if names is not None else {name: name for name in _NAMES}
    given = _GivenSplits(songs, path, words, partial)
    for line, column, song, split in rows:
        given.add(line, column, song, split)
    return given.finish()


def parse_split_names(text: str) -> dict[str, str]:
    """What the words of a table stand for: ``1-3=train,4=validation,5=test`` gives 1, 2 and 3 for train, and so on.

    Raises
    ------
    InputError
        It is not written so.
    """
    found: dict[str, str] = {}
    for item in text.split(","):
        words, equals, split = (part.strip() for part in item.rpartition("="))
        if not equals or not words:
            raise InputError(f"a split map is written 1-3=train,4=validation,5=test; {item.strip()!r} is not")
        if split not in _NAMES:
            raise InputError(
                f"split map {item.strip()!r}: no split is called {split!r}: {did_you_mean(split, _NAMES)}"
            )
        for word in _range(words):
            if found.setdefault(word, split) != split:
                raise InputError(f"split map: {word} is both {found[word]} and {split}")
    return found


def _range(words: str) -> Iterator[str]:
    first, dash, last = words.partition("-")
    if dash and first.isdecimal() and last.isdecimal() and len(last) < 6:
        yield from map(str, range(int(first), int(last) + 1))
    else:
        yield words


class _GivenSplits:
    """Songs of a table, found by their names; every problem of the file is kept for one report."""

    def __init__(self, songs: Sequence[Song], path: Path, words: Mapping[str, str], partial: bool):
        self.file, self.words, self.partial = str(path), words, partial
        self.names = [song.name for song in songs]
        self.by_key: dict[str, list[str]] = {}
        for song in songs:
            for key in {file_key(name) for name in _names_of(song)}:
                self.by_key.setdefault(key, []).append(song.name)
        self.table = SplitTable()
        self.lines: dict[str, int] = {}
        self.others: list[str] = []
        self.problems: list[Problem] = []

    def add(self, line: int, column: int, song: str, split: str) -> None:
        def tell(message: str) -> None:
            self.problems.append(Problem(self.file, line, column, message))

        names = self.by_key.get(file_key(song), [])
        if split not in self.words:
            hint = "; --split-map says what such words stand for" if split.isdecimal() else ""
            tell(f"no split is called {split!r}: {did_you_mean(split, self.words)}{hint}")
        elif not names and self.partial:
            self.others.append(song)
        elif not names:
            near = nearest(file_key(song), self.by_key)
            hint = f": did you mean {self.by_key[near][0]}?" if near else ""
            tell(f"there is no song {song!r}{hint}")
        elif len(names) > 1:
            tell(f"{song!r} may be {' or '.join(names)}: write the whole of it")
        elif names[0] in self.table.found:
            tell(f"{song!r} is there twice (also line {self.lines[names[0]]})")
        else:
            self.table.found[names[0]], self.lines[names[0]] = self.words[split], line

    def finish(self) -> SplitTable:
        if self.problems:
            raise ConfigError(self.problems)
        without = [name for name in self.names if name not in self.table.found]
        if without and not self.partial:
            raise InputError(
                f"{self.file}: {counted(len(without), 'song has', 'songs have')} no split: {some(without)}. Add them, as omitted if need be"
            )
        if not self.table.found:
            raise InputError(
                f"{self.file} names none of these songs: it has {some(self.others, most=3) or 'nothing'}, and they are called "
                f"{some(self.names, most=3)}"
            )
        if self.others:
            self.table.notes.append(f"{self.file} names {counted(len(self.others), 'song')} not here")
        return self.table


def _names_of(song: Song) -> tuple[str, ...]:
    """What a table may call a song: its path, its folder alone where that is enough, its id, or artist and title."""
    both = (f"{song.artist} - {song.title}",) if song.artist and song.title else ()
    return (song.name, song.name.rpartition("/")[2], *((song.id,) if song.id else ()), *both)


def _yaml_rows(data: bytes, path: Path) -> list[tuple[int, int, str, str]]:
    value, places = load_marked(data, str(path), max_bytes=_MAX_BYTES, error=ConfigError)
    if not isinstance(value, Mapping):
        raise ConfigError([Problem(str(path), 1, 1, "expected lines such as 'Artist - Title: train'")])
    rows = []
    for song, split in value.items():
        place = places[(song,)]
        # A song that is called 1999 is a number to YAML.
        name = song if isinstance(song, str) else place.raw_key or str(song)
        rows.append(
            (place.key_line, place.key_column, name, split if isinstance(split, str) else place.raw or "")
        )
    return rows


def _csv_rows(data: bytes, path: Path) -> list[tuple[int, int, str, str]]:
    try:
        text = data.decode("utf-8-sig")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        columns = reader.fieldnames or ()
        column = next((name for name in _SONG_COLUMNS if name in columns), None)
        if column is None or "split" not in columns:
            found = ", ".join(columns) or "nothing"
            raise ConfigError([Problem(str(path), 1, 1, f"needs the columns song and split, found {found}")])
        return [
            (reader.line_num, 1, (row[column] or "").strip(), (row["split"] or "").strip()) for row in reader
        ]
    except UnicodeDecodeError as error:
        raise InputError(
            f"splits {path}: not UTF-8 text (byte {error.start}): save the file as UTF-8"
        ) from error
    except csv.Error as error:
        raise InputError(f"splits {path}: not CSV: {error}") from error
