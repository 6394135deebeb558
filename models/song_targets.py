"""Which whole songs are separated for which nodes, and from which recording the query of each comes."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from slakh_hier.errors import ConfigError, InputError, Problem, SlakhHierWarning
from slakh_hier.output import METADATA
from slakh_hier.plain_files import read_plain
from slakh_hier.safe_yaml import MAX_BYTES, load
from slakh_hier.slakh import Catalog
from slakh_hier.wording import counted, did_you_mean, some

PAIR_COLUMNS = ("song_id", "query_id", "stem")
MAX_PAIRS = 1 << 26
"""Bytes of a table of pairs."""


@dataclass(frozen=True)
class SongTarget:
    """A song to separate."""

    track: str
    """In the catalog."""
    nodes: Mapping[int, str]
    """The node to score at each level."""
    query_node: str | None = None
    """The node whose sound is the query; None for a separator that takes none."""
    query_tracks: tuple[str, ...] = ()
    """Where it is from: the first of these tracks in which the node sounds, which its stems alone do not say."""


def path_targets(catalog: Catalog, split: str, names: Mapping[int, str]) -> list[SongTarget]:
    """SSS: every song of a split that has stems of the finest of the separator's nodes, whatever its level.

    Raises
    ------
    InputError
        The tree has no such node at that level, or no song has stems of it.
    """
    tree = catalog.hierarchy
    for level, name in names.items():
        if name not in tree.nodes or tree.nodes[name].level != level:
            raise InputError(
                f"the separator estimates {name} at level {level}, which the tree {tree.name} does not have; name its tree "
                "with --hierarchy"
            )
    level = min(names)
    found = [
        SongTarget(track, names)
        for track, nodes in _nodes_by_track(catalog, split).items()
        if names[level] in nodes[level - 1]
    ]
    return _any(found, f"{catalog.root}: no song of the split {split} has stems of {names[level]}")


def drawn_targets(
    catalog: Catalog, split: str, levels: Sequence[int], query_levels: Sequence[int], seed: int
) -> list[SongTarget]:
    """QBE: every song of a split with each of its nodes; the query is the same node in another song of the split.

    The other songs are ordered by a hash of the seed, the track and the node. Nodes that one song alone has are left out.

    Parameters
    ----------
    levels
        The separator's; a song is scored at those from the node's up.
    query_levels
        Levels of the nodes.

    Raises
    ------
    InputError
        No node sounds in two songs.
    """
    tree, by_track = catalog.hierarchy, _nodes_by_track(catalog, split)
    songs = dict(catalog.usable[["track", "song"]].itertuples(index=False, name=None))
    found = []
    for track, nodes in by_track.items():
        for own in query_levels:
            for node in sorted(nodes[own - 1]):
                others = [
                    other
                    for other in by_track
                    if songs[other] != songs[track] and node in by_track[other][own - 1]
                ]
                scored = {level: tree.path(node)[level - own] for level in levels if level >= own}
                if others and scored:
                    queries = sorted(others, key=lambda other: _hash(seed, track, node, other))
                    found.append(SongTarget(track, scored, node, tuple(queries)))
    wanted = ", ".join(map(str, query_levels))
    return _any(
        found, f"{catalog.root}: in the split {split}, no node of level {wanted} has stems in two songs"
    )


def read_pairs(file: Path, catalog: Catalog, split: str, levels: Sequence[int]) -> list[SongTarget]:
    """QBE: the pairs of a table, such as that of query-bandit for MoisesDB, as far as both songs are in a split.

    Parameters
    ----------
    file
        CSV with the columns ``song_id`` (what is separated), ``query_id`` (where the query is from) and ``stem`` (a node
        of the tree, of any of ``levels``); other columns are ignored. A song is called as its track, or as the data
        set called it from which it was imported (its folder there, or its id).

    Raises
    ------
    InputError
        The file cannot be read, holds no pair, or names none of the songs.
    ConfigError
        Lines that are not pairs: all of them.

    Warns
    -----
    SlakhHierWarning
        Some pairs are skipped, because a song is not in the split.
    """
    tree, songs = catalog.hierarchy, _tracks_by_name(catalog, split)
    known = [name for level in levels for name in tree.level_nodes(level)]
    found, others, problems = [], set(), []
    rows = _pair_rows(file)
    for line, song, query, node in rows:
        if node not in known:
            wanted = ", ".join(map(str, levels))
            what = f"the separator's levels ({wanted}) have no node {node!r}: {did_you_mean(node, known)}"
            problems.append(Problem(str(file), line, 1, what))
        elif song == query:
            problems.append(Problem(str(file), line, 1, f"{song} is its own query"))
        elif song not in songs or query not in songs:
            others.update({song, query} - set(songs))
        else:
            level = tree.nodes[node].level
            found.append(SongTarget(songs[song], {level: node}, node, (songs[query],)))
    if problems:
        raise ConfigError(problems)
    _any(
        found,
        f"{file} has no pair of two songs of the split {split}: it names {some(sorted(others), most=3)}, and "
        f"they are called {some(sorted(songs), most=3)}",
    )
    if others:
        warnings.warn(
            f"{file}: {len(rows) - len(found):,} of {counted(len(rows), 'pair')} are skipped, because songs are not in "
            f"the split {split}: {some(sorted(others), most=3)}",
            SlakhHierWarning,
            stacklevel=2,
        )
    return found


def _pair_rows(file: Path) -> list[tuple[int, str, str, str]]:
    try:
        reader = csv.DictReader(
            io.StringIO(read_plain(file, MAX_PAIRS, links=True).decode("utf-8-sig"), newline="")
        )
        if missing := [name for name in PAIR_COLUMNS if name not in (reader.fieldnames or ())]:
            raise InputError(
                f"{file}: pairs need the columns {', '.join(PAIR_COLUMNS)}; missing: {', '.join(missing)}"
            )
        rows = [(reader.line_num, *((row[name] or "").strip() for name in PAIR_COLUMNS)) for row in reader]
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{file}: is not a CSV file in UTF-8 ({error})") from None
    if not rows:
        raise InputError(f"{file}: has no pairs below the names of its columns")
    return rows  # type: ignore[return-value]


def _nodes_by_track(catalog: Catalog, split: str) -> dict[str, list[set[str]]]:
    """The nodes that each track of a split has stems of, by level from the finest."""
    usable = catalog.usable
    usable = usable[usable["split"] == split]
    if usable.empty:
        there = ", ".join(sorted(set(catalog.usable["split"]))) or "none"
        raise InputError(f"{catalog.root}: has no songs of the split {split} (there are {there})")
    columns = [f"level_{level}" for level in range(1, catalog.hierarchy.levels + 1)]
    return {
        str(track): [set(rows[column].dropna()) for column in columns]
        for track, rows in usable.groupby("track", sort=True)
    }


def _tracks_by_name(catalog: Catalog, split: str) -> dict[str, str]:
    """Tracks of a split by all that a table may call them; a name that two have is nobody's."""
    usable = catalog.usable[catalog.usable["split"] == split].drop_duplicates("track")
    found: dict[str, set[str]] = {}
    for track, path in usable[["track", "path"]].itertuples(index=False, name=None):
        for name in (track, *_imported_names(catalog.root, path)):
            found.setdefault(name, set()).add(track)
    return {name: next(iter(tracks)) for name, tracks in found.items() if len(tracks) == 1}


def _imported_names(root: Path, stem: str) -> tuple[str, ...]:
    """What the metadata of a stem's track say of its origin; nothing where it was not imported."""
    file = (root / stem).parent.parent / METADATA
    try:
        content = load(read_plain(file, MAX_BYTES), str(file))
    except (OSError, InputError):
        return ()
    about = content.get("import") if isinstance(content, dict) else None
    if not isinstance(about, dict):
        return ()
    song = str(about.get("song") or "")
    return tuple({name for name in (song, song.rpartition("/")[2], str(about.get("id") or "")) if name})


def _any(found: list[SongTarget], otherwise: str) -> list[SongTarget]:
    if not found:
        raise InputError(otherwise)
    return found


def _hash(*parts: object) -> bytes:
    return blake2b("/".join(map(str, parts)).encode(), digest_size=8).digest()
