"""The map that ``slakh-hier import --new-map`` writes: one entry for every file name that the songs have."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from slakh_hier.errors import InputError
from slakh_hier.files import publish
from slakh_hier.hierarchy.schema import name_from
from slakh_hier.importing.map_file import parse_map
from slakh_hier.importing.songs import SongFolder, find_songs, shown_name
from slakh_hier.importing.stem_map import StemMap, file_key
from slakh_hier.paths import StrPath
from slakh_hier.safe_yaml import resolve_plain
from slakh_hier.wording import escaped

_HEAD = """\
# Which files of each song are which instrument, for: slakh-hier import STEMS --map {file} -o SLAKH
# Written from the names in {songs} songs. Go through it: what a line says is guessed from the name alone.
# docs/import.md explains every key.
schema: 1

# Patterns are file names with * and ?, in quotes where they begin with one of these; case does not count, and the
# suffix may be left out. The first instrument that fits decides. Beside its files an instrument may have
#   drums: true, program: 0-127 (General MIDI, from 0), patch: NAME    what trees go by
#   midi_program_name, inst_class: its names for trees; without them, the instrument's own name
instruments:
"""
_MOST = 300
_MIXES = frozenset({"mix", "mixture", "mixdown", "master", "stereomix", "fullmix"})
_GUESSES: tuple[tuple[str, str], ...] = (
    ("drum|kick|snare|hihat|hat|tom|toms|cymbal|cymbals|overhead|overheads|drumkit", "drums: true"),
    ("bass", "program: 33"),
    ("acousticguitar|acgtr", "program: 25"),
    ("guitar|gtr|guitars|elecgtr", "program: 27"),
    ("piano|keys", "program: 0"),
    ("organ", "program: 16"),
    ("strings", "program: 48"),
    ("violin", "program: 40"),
    ("cello", "program: 42"),
    ("trumpet", "program: 56"),
    ("trombone", "program: 57"),
    ("sax|saxophone", "program: 65"),
    ("flute", "program: 73"),
    ("synth", "program: 80"),
)


def write_new_map(file: StrPath, stems: StrPath) -> StemMap:
    """Write a map to start from, for the names found in a folder of songs, and return it.

    Numbers at the ends of names are taken off, so that ``01_Kick`` and ``Kick 2`` are one entry.

    Raises
    ------
    InputError
        The file exists (nothing is overwritten), its folder does not, or there are no songs.
    """
    path = Path(file)
    if path.exists() or path.is_symlink():
        raise InputError(f"{file}: exists, and is not overwritten. Choose another name, or remove it first")
    if not path.parent.is_dir():
        raise InputError(f"{file}: the folder {path.parent} does not exist. Create it first")
    folder = Path(stems).expanduser()
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give one that holds one folder of stems per song")
    songs, _ = find_songs(folder)
    text = _text(path.name, songs)
    found = parse_map(text, str(file))
    publish(path, text.encode())
    return found


def _text(file: str, songs: list[SongFolder]) -> str:
    in_songs: dict[str, set[str]] = defaultdict(set)
    patterns: dict[str, set[str]] = defaultdict(set)
    telling = _telling_folders(songs)
    for song in songs:
        for item in song.files:
            path = PurePosixPath(shown_name(item))
            folder = file_key(path.parts[0])
            key, pattern = (
                (folder, f"{_literal(folder)}/*") if folder in telling else _key_and_pattern(path.stem)
            )
            in_songs[key].add(song.name)
            patterns[key].add(pattern)
    common = sorted(in_songs, key=lambda key: (-len(in_songs[key]), key))
    mixes = [key for key in common if re.sub("[^a-z]", "", key) in _MIXES]
    lines, taken = [], {"ignore", "mix"}
    for key in [key for key in common if key not in mixes][:_MOST]:
        name = _free(name_from(key) or "stem", taken)
        guess = f", {word}" if (word := _guess(key)) else ""
        count = f"in {len(in_songs[key])} of {len(songs)} songs"
        lines.append(f"  {_yaml(name)}: {{files: {_patterns(patterns[key])}{guess}}}  # {count}\n")
    text = _HEAD.format(file=escaped(str(file)), songs=len(songs)) + "".join(lines)
    if len(common) - len(mixes) > _MOST:
        text += f"  # and {len(common) - len(mixes) - _MOST} more names: patterns such as '*gtr*' take many at once\n"
    mix_names = sorted(pattern for key in mixes for pattern in patterns[key])
    text += (
        "\n# The song's own mixture: compared with the sum of the stems (--audio convert), or taken as mix.\n"
    )
    text += f"mix: {_patterns(mix_names)}\n" if mix_names else "# mix: [mixture]\n"
    return text + "\n# Files that are neither.\n# ignore: ['*click*']\n"


def _telling_folders(songs: Sequence[SongFolder]) -> set[str]:
    """Folders that several songs have and whose files are called otherwise in each, as bass/1f0c.wav: the folder tells."""
    in_songs: dict[str, set[str]] = defaultdict(set)
    by_name: dict[tuple[str, str], set[str]] = defaultdict(set)
    for song in songs:
        for item in song.files:
            first, slash, _ = shown_name(item).partition("/")
            if slash:
                in_songs[file_key(first)].add(song.name)
                by_name[file_key(first), _key_and_pattern(PurePosixPath(shown_name(item)).stem)[0]].add(
                    song.name
                )
    alike = {folder for (folder, _), there in by_name.items() if len(there) > 1}
    return {folder for folder, there in in_songs.items() if len(there) > 1 and folder not in alike}


def _key_and_pattern(name: str) -> tuple[str, str]:
    """What files of a name are gathered under, and the pattern for it."""
    return _bare(name) or file_key(name), _literal(file_key(name))


def _literal(name: str) -> str:
    """A pattern for this name alone."""
    return re.sub(r"[*?[]", lambda found: f"[{found[0]}]", name)


def _bare(name: str) -> str:
    """A name without numbers and marks at its ends."""
    return re.sub(r"^[\W\d_]+|[\W\d_]+$", "", file_key(name))


def _patterns(patterns: Iterable[str]) -> str:
    return f"[{', '.join(map(_yaml, sorted(patterns)))}]"


def _yaml(word: str) -> str:
    """A text as YAML: in quotes where it could be taken for something else."""
    plain = re.fullmatch("[A-Za-z][A-Za-z0-9_-]*", word) and resolve_plain(word) == word
    return word if plain else json.dumps(word, ensure_ascii=False)


def _guess(key: str) -> str | None:
    words = set(re.split(r"[^a-z]+", key)) | {re.sub("[^a-z]", "", key)}
    words |= {word.removesuffix("s") for word in words}
    return next((labels for pattern, labels in _GUESSES if words & set(pattern.split("|"))), None)


def _free(name: str, taken: set[str]) -> str:
    free, number = name, 2
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    taken.add(free)
    return free
