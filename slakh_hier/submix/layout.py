"""Which files a track gets, and which stems are added up in each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from slakh_hier.errors import InputError
from slakh_hier.hierarchy import MIX, UNASSIGNED, Hierarchy

Level = int | Literal["category", "stems"] | None
"""A level's number, its categories, its single stems, or (None) all numbered levels."""

CATEGORY: Literal["category"] = "category"
STEMS: Literal["stems"] = "stems"


class Output(NamedTuple):
    """A file that a track gets.

    ``level`` is None for a stem; ``parent`` is the nearest ancestor that is written too, None for the mix. ``stems`` are
    the ids of those that are added up.
    """

    name: str
    level: int | None
    parent: str | None
    stems: tuple[str, ...]

    def path(self, suffix: str) -> str:
        """Where the file lies below the track's folder; stems lie where Slakh has them."""
        return f"stems/{self.name}.{suffix}" if self.level is None else f"{self.name}.{suffix}"


class Files(NamedTuple):
    """The files of a track, the mix first, and the nodes that none of its stems belongs to."""

    outputs: tuple[Output, ...]
    absent: tuple[str, ...]


def check_level(hierarchy: Hierarchy, level: Level) -> None:
    """Raise InputError, naming what there is, when the tree has no such level."""
    if isinstance(level, str) and level not in (CATEGORY, STEMS):
        raise InputError(f"a level is a number, category or stems, not {level!r}")
    if level != STEMS:
        hierarchy.columns(_numbers(hierarchy, level))


def files_of(hierarchy: Hierarchy, level: Level, categories: Mapping[str, str | None]) -> Files:
    """The files of a track: the mix, then nodes coarse to fine, then ``unassigned``.

    The files of one level add up to the mix: ``unassigned`` holds the stems without a category, and among categories
    a finest node that holds its rule itself stands for its category.

    Parameters
    ----------
    categories
        Category by id of every stem that is in the mix, None where it has none.
    """
    everything = tuple(categories)
    mix = Output(MIX, hierarchy.levels + 1, None, everything)
    if level == STEMS:
        return Files((mix, *(Output(stem, None, MIX, (stem,)) for stem in everything)), ())
    paths = {
        stem: () if category is None else hierarchy.path(category) for stem, category in categories.items()
    }
    names = _names(hierarchy, level)
    outputs, absent = [mix], []
    for name, number in names.items():
        stems = tuple(stem for stem, path in paths.items() if name in path)
        if stems:
            parent = next((above for above in hierarchy.path(name)[1:] if above in names), MIX)
            outputs.append(Output(name, number, parent, stems))
        else:
            absent.append(name)
    if lost := tuple(stem for stem, category in categories.items() if category is None):
        outputs.append(Output(UNASSIGNED, 1, MIX, lost))
    return Files(tuple(outputs), tuple(absent))


def level_name(level: Level) -> str | int:
    """The level as a person writes it."""
    return "all" if level is None else CATEGORY if level == 0 else level


def _names(hierarchy: Hierarchy, level: Level) -> dict[str, int]:
    """Names of the nodes to be written, coarse to fine, and their levels."""
    if level in (0, CATEGORY):
        return dict.fromkeys(hierarchy.categories, 0)
    numbers = sorted(_numbers(hierarchy, level), reverse=True)
    return {name: number for number in numbers for name in hierarchy.level_nodes(number)}


def _numbers(hierarchy: Hierarchy, level: Level) -> list[int]:
    if level is None:
        return list(range(1, hierarchy.levels + 1))
    return [level if isinstance(level, int) else 0]
