"""Which split each song goes to: drawn with a seed, given in a file, or by the folders that songs lie in."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from slakh_hier.errors import ConfigError, InputError, Problem
from slakh_hier.importing.songs import SongFolder
from slakh_hier.importing.stem_map import file_key
from slakh_hier.safe_yaml import load_marked
from slakh_hier.slakh.layout import SPLIT_FOLDERS
from slakh_hier.splits import OMITTED, SPLITS, assign_splits, parse_shares
from slakh_hier.wording import did_you_mean, nearest, some

DEFAULT_SPLITS = "80,10,10"
FOLDERS = "folders"
_NAMES = (*SPLITS, OMITTED)
_MAX_BYTES = 16 << 20


def split_songs(songs: Sequence[SongFolder], splits: str | os.PathLike[str], seed: int) -> dict[str, str]:
    """The split of every song, by its name.

    Parameters
    ----------
    splits
        Percentages of train, validation and test as ``80,10,10``, drawn by song; ``folders``: the folder train, validation
        or test that the song lies in; or a file: CSV with the columns song and split, or YAML with ``song: split``.
    seed
        Another seed draws other splits.

    Raises
    ------
    InputError
        The text has none of these forms, songs have no split, or one song would lie in two.
    ConfigError
        The file has problems: all of them, with their lines.
    """
    text = os.fspath(splits)
    if text == FOLDERS:
        found = _by_folder(songs)
    elif are_shares(splits):
        drawn = assign_splits((song.uuid for song in songs), parse_shares(text), seed)
        found = {song.name: drawn[song.uuid] for song in songs}
    else:
        found = _by_file(songs, Path(text))
    _refuse_leaks(songs, found)
    return found


def are_shares(splits: str | os.PathLike[str]) -> bool:
    """Whether splits are given as percentages, and not as a file or by folders."""
    return "," in os.fspath(splits) and not os.path.exists(splits)


def _by_folder(songs: Sequence[SongFolder]) -> dict[str, str]:
    if without := [song.name for song in songs if not song.in_split_folder]:
        raise InputError(
            f"splits folders: {some(without)} {'lies' if len(without) == 1 else 'lie'} in no folder called "
            f"{', '.join(SPLIT_FOLDERS)}; draw splits (--splits {DEFAULT_SPLITS}) or give them in a file"
        )
    return {song.name: SPLIT_FOLDERS[song.name.partition("/")[0].lower()] for song in songs}


def _by_file(songs: Sequence[SongFolder], path: Path) -> dict[str, str]:
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES)
    except OSError as error:
        raise InputError(
            f"splits {path}: {error.strerror}. Give a CSV or YAML file, percentages ({DEFAULT_SPLITS}) or folders"
        ) from error
    rows = _yaml_rows(data, path) if path.suffix.lower() in (".yaml", ".yml") else _csv_rows(data, path)
    given = _GivenSplits(songs, path)
    for line, column, song, split in rows:
        given.add(line, column, song, split)
    return given.finish()


class _GivenSplits:
    """Songs of a split file, found by their names; every problem of the file is kept for one report."""

    def __init__(self, songs: Sequence[SongFolder], path: Path):
        self.file = str(path)
        self.names = [song.name for song in songs]
        self.by_key: dict[str, list[str]] = {}
        for name in self.names:
            # A song may be called by its path, or by its folder alone where that is enough.
            for key in {file_key(name), file_key(name.rpartition("/")[2])}:
                self.by_key.setdefault(key, []).append(name)
        self.found: dict[str, str] = {}
        self.lines: dict[str, int] = {}
        self.problems: list[Problem] = []

    def add(self, line: int, column: int, song: str, split: str) -> None:
        def tell(message: str) -> None:
            self.problems.append(Problem(self.file, line, column, message))

        names = self.by_key.get(file_key(song), [])
        if split not in _NAMES:
            tell(f"no split is called {split!r}: {did_you_mean(split, _NAMES)}")
        elif not names:
            near = nearest(file_key(song), self.by_key)
            hint = f": did you mean {self.by_key[near][0]}?" if near else ""
            tell(f"there is no song {song!r}{hint}")
        elif len(names) > 1:
            tell(f"{song!r} may be {' or '.join(names)}: write the whole of it")
        elif names[0] in self.found:
            tell(f"{song!r} is there twice (also line {self.lines[names[0]]})")
        else:
            self.found[names[0]], self.lines[names[0]] = split, line

    def finish(self) -> dict[str, str]:
        if self.problems:
            raise ConfigError(self.problems)
        if without := [name for name in self.names if name not in self.found]:
            raise InputError(
                f"{self.file}: {len(without)} songs have no split: {some(without)}. Add them, as omitted if need be"
            )
        return self.found


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
        if not {"song", "split"} <= set(reader.fieldnames or ()):
            found = ", ".join(reader.fieldnames or ()) or "nothing"
            raise ConfigError([Problem(str(path), 1, 1, f"needs the columns song and split, found {found}")])
        return [
            (reader.line_num, 1, (row["song"] or "").strip(), (row["split"] or "").strip()) for row in reader
        ]
    except UnicodeDecodeError as error:
        raise InputError(
            f"splits {path}: not UTF-8 text (byte {error.start}): save the file as UTF-8"
        ) from error
    except csv.Error as error:
        raise InputError(f"splits {path}: not CSV: {error}") from error


def _refuse_leaks(songs: Sequence[SongFolder], found: Mapping[str, str]) -> None:
    first: dict[str, SongFolder] = {}
    for song in songs:
        other = first.setdefault(song.uuid, song)
        if found[other.name] != found[song.name]:
            raise InputError(
                f"{other.name} ({found[other.name]}) and {song.name} ({found[song.name]}) are the same song by their "
                "names, in two splits. Give both the same split, or rename one"
            )
