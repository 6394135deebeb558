"""Which patch a stem carries in its metadata, and which programs can stand for a category.

The tree slakh34 decides both: it knows the 34 categories of Slakh2100 with their programs and patches.
"""

from __future__ import annotations

from functools import cache
from random import Random

from slakh_hier.hierarchy import Hierarchy, StemLabel, load_hierarchy

_NAMED_BY_PROGRAM = {"harpsichord.nkm": 6}
"""A patch that the tree moves to another node than its category's: drawn only for the sound it names, or the
label would say harpsichord and the audio piano."""


@cache
def tree() -> Hierarchy:
    """The tree slakh34."""
    return load_hierarchy("slakh34")


def category_of(program: int) -> str | None:
    """The category of a program (0 to 127; drums 128) without a patch, None where Slakh2100 has none."""
    found = tree().match(StemLabel(patch=None, program=program, is_drum=False))
    return None if found is None else found.category


@cache
def programs_of(category: str) -> tuple[int, ...]:
    """The programs of a category, sorted; drums are 128."""
    return tree().categories[category].rule.all_programs


@cache
def categories() -> tuple[str, ...]:
    """The 34 categories that a program leads to, in the tree's order."""
    return tuple(name for name in tree().categories if programs_of(name))


def draw_patch(program: int, random: Random) -> str | None:
    """A patch of the program's category, None for a program without one.

    Drawn uniformly from the category's patches, as Slakh2100 did; every patch leads back to the category or,
    for the few the tree overrides, to where it says.
    """
    category = category_of(program)
    if category is None:
        return None
    own = [patch for patch, of in _NAMED_BY_PROGRAM.items() if of == program]
    patches = own or [
        patch
        for patch in tree().categories[category].rule.patches
        if _NAMED_BY_PROGRAM.get(patch, program) == program
    ]
    return random.choice(sorted(patches))
