"""Finding songs: folders of stems, what they are called, and which song each of them is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import soundfile

from slakh_hier.errors import InputError
from slakh_hier.files import md5
from slakh_hier.importing.stem_map import file_key
from slakh_hier.slakh.layout import SPLIT_FOLDERS

SUFFIXES = frozenset(
    f".{name}"
    for name in (
        "wav",
        "flac",
        "aif",
        "aiff",
        "aifc",
        "ogg",
        "oga",
        "opus",
        "w64",
        "rf64",
        "caf",
        "au",
        "snd",
    )
) | ({".mp3"} if "MP3" in soundfile.available_formats() else frozenset())
"""Files that libsndfile can be asked to open."""

UNREADABLE = frozenset({".mp3", ".mp4", ".m4a", ".aac", ".wma", ".ape", ".wv", ".ac3", ".dts"}) - SUFFIXES
"""Audio that it cannot open: named, since a stem that is passed over in silence is missed later."""

STEM_MP4 = ".stem.mp4"

_NOT_SONGS = frozenset({"__MACOSX"})


@dataclass(frozen=True)
class SongFolder:
    """A song: its name (place below the stems' folder, posix), its folder, and its audio files inside it (posix).

    ``unreadable`` are audio files of formats that cannot be opened.
    """

    name: str
    folder: Path
    files: tuple[str, ...]
    unreadable: tuple[str, ...] = ()

    @property
    def split(self) -> str | None:
        """That of the folder it lies in, called train, validation, val, test or omitted; None where it lies in none."""
        first, slash, _ = self.name.partition("/")
        return SPLIT_FOLDERS.get(first.lower()) if slash else None

    @property
    def identity(self) -> str:
        """What makes it the song it is: its name without a split's folder, case and doubled spaces."""
        name = self.name.partition("/")[2] if self.split else self.name
        return " ".join(file_key(name).split())

    @property
    def uuid(self) -> str:
        """32 hex digits: the MD5 of :attr:`identity` in UTF-8."""
        return md5(self.identity.encode())


def find_songs(stems: Path, patterns: Sequence[str] = ()) -> tuple[list[SongFolder], list[tuple[str, str]]]:
    """Every song below ``stems``, in order of their names, and folders that hold no audio with the reason.

    Parameters
    ----------
    patterns
        Which folders are songs, as ``*/*``. By default the folders directly in ``stems``, and those in folders there
        that are called as a split (train, validation, val, test).

    Raises
    ------
    InputError
        There is no song; the message says what was looked for and what lies there instead.
    """
    songs: dict[str, SongFolder] = {}
    empty: list[tuple[str, str]] = []
    for name, folder in sorted(_song_folders(stems, patterns)):
        files = list(_files(folder))
        audio = tuple(file for file in files if _suffix(file) in SUFFIXES)
        unreadable = tuple(file for file in files if _suffix(file) in UNREADABLE)
        if name in songs:
            raise InputError(f"{stems}: two folders would both be called {name!r}; rename one")
        if audio:
            songs[name] = SongFolder(name, folder, audio, unreadable)
        else:
            what = f"only {', '.join(unreadable[:3])}, which cannot be read" if unreadable else "no audio"
            empty.append((name, f"holds {what}"))
    if not songs:
        raise InputError(_nothing_found(stems, patterns, empty))
    return list(songs.values()), empty


def shown_name(name: str) -> str:
    """A name as text: what is not UTF-8 (surrogates, here) cannot stand in YAML, and control characters would steer a terminal."""
    return "".join(char if char.isprintable() else "\ufffd" for char in name)


def _song_folders(stems: Path, patterns: Sequence[str]) -> Iterator[tuple[str, Path]]:
    if patterns:
        found = {place: None for pattern in patterns for place in _matching(stems, pattern.split("/"))}
        for folder in found:
            yield shown_name(folder.relative_to(stems).as_posix()), folder
        return
    for folder in _folders(stems):
        if folder.name.lower() in SPLIT_FOLDERS:
            for song in _folders(folder):
                yield shown_name(f"{folder.name}/{song.name}"), song
        else:
            yield shown_name(folder.name), folder


def _matching(folder: Path, parts: Sequence[str]) -> Iterator[Path]:
    if not parts:
        yield folder
        return
    for child in _folders(folder):
        if fnmatchcase(file_key(shown_name(child.name)), file_key(parts[0])):
            yield from _matching(child, parts[1:])


def _folders(folder: Path) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            names = [
                e.name
                for e in entries
                if e.is_dir() and not e.name.startswith(".") and e.name not in _NOT_SONGS
            ]
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror}") from error
    return [folder / name for name in sorted(names)]


def _files(folder: Path, inside: str = "", seen: frozenset[str] = frozenset()) -> Iterator[str]:
    """Regular files in a folder and below it, sorted; links are followed, but not in circles."""
    real = os.path.realpath(folder)
    if real in seen:
        return
    try:
        with os.scandir(folder) as found:
            entries = sorted((e for e in found if not e.name.startswith(".")), key=lambda e: e.name)
            # A link that leads nowhere is a file that is missed when it is read.
            kinds = [(entry.name, entry.is_dir(), entry.is_file() or _is_broken(entry)) for entry in entries]
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error.strerror}") from error
    for name, is_folder, is_file in kinds:
        if is_folder and name not in _NOT_SONGS:
            yield from _files(folder / name, f"{inside}{name}/", seen | {real})
        elif is_file:
            yield f"{inside}{name}"


def _is_broken(entry: os.DirEntry[str]) -> bool:
    return entry.is_symlink() and not os.path.exists(entry.path)


def _suffix(file: str) -> str:
    return os.path.splitext(file)[1].lower()


def unpacking(file: str) -> str:
    """What to do with an audio file that cannot be opened."""
    if file.lower().endswith(STEM_MP4):
        return (
            f"{file} must be unpacked into a folder of WAV or FLAC stems first. It is of MUSDB18: five AAC streams in one file, "
            "cut at 16 kHz. Better take MUSDB18-HQ, whose stems are WAV files (slakh-hier import --layout musdb18hq); or, for "
            'each song: ffmpeg -i "SONG.stem.mp4" -map 0:0 SONG/mixture.wav -map 0:1 SONG/drums.wav -map 0:2 SONG/bass.wav '
            "-map 0:3 SONG/other.wav -map 0:4 SONG/vocals.wav"
        )
    name = os.path.splitext(file)[0]
    return f"{file} must be made WAV or FLAC first: ffmpeg -i '{file}' '{name}.wav'"


def _nothing_found(stems: Path, patterns: Sequence[str], empty: Sequence[tuple[str, str]]) -> str:
    where = f"folders {', '.join(patterns)} (the map's songs:)" if patterns else "folders"
    looked = f"{stems} holds no song. Looked for {where} with audio in them, one folder per song"
    beside = sorted(name for name in os.listdir(stems) if not name.startswith("."))
    if flat := _side_by_side([name for name in beside if _suffix(name) in SUFFIXES]):
        return f"{looked}. {flat}; if all of these are one song, give the folder around it ({stems.resolve().parent})"
    if any(_suffix(name) in SUFFIXES for name in beside):
        return (
            f"{looked}. This folder looks like one song: give the folder around it ({stems.resolve().parent})"
        )
    for place in (stems, *_folders(stems)):
        for file in sorted(os.listdir(place)):
            if _suffix(file) in UNREADABLE and not file.startswith("."):
                return f"{looked}. {unpacking(shown_name(file))}"
    if empty:
        return f"{looked}. {empty[0][0]} {empty[0][1]}"
    return f"{looked}. It holds {', '.join(beside[:5]) or 'nothing'}"


def _side_by_side(files: Sequence[str]) -> str | None:
    """What to do with songs whose files lie in one folder, as song1_vocals.wav; None where they do not look so."""
    for separator in ("_", " - ", "-", " "):
        parts = [os.path.splitext(name)[0].rpartition(separator) for name in files]
        songs: dict[str, set[str]] = {}
        for song, _, part in parts:
            if song and len(part) > 1 and not part.isdecimal() and part.lower() not in ("left", "right"):
                songs.setdefault(part.casefold(), set()).add(song)
        if songs and max(map(len, songs.values())) > 1:
            example = next(name for name, (song, *_) in zip(files, parts, strict=True) if song)
            song, _, part = example.rpartition(separator)
            return (
                f"Its files look like several songs side by side: a song needs a folder. Move {shown_name(example)} to "
                f"{shown_name(f'{song}/{part}')}, and so on"
            )
    return None
