"""Data sets of recordings that are known by their layout: no map has to be written for them."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from slakh_hier.errors import InputError
from slakh_hier.importing.layouts.contract import Layout, LayoutOptions
from slakh_hier.importing.sources import Listing
from slakh_hier.wording import did_you_mean, typed

__all__ = ["LAYOUTS", "Layout", "LayoutOptions", "get_layout", "list_songs", "recognise", "what_is"]

LAYOUTS: Mapping[str, Layout] = {
    kind.name: kind()
    for module in iter_modules(__path__, f"{__name__}.")
    for kind in vars(import_module(module.name)).values()
    if isinstance(kind, type)
    and issubclass(kind, Layout)
    and kind.__module__ == module.name != Layout.__module__
}
"""The layouts of this package's modules by the name that ``--layout`` takes."""


def list_songs(name: str, folder: Path, options: LayoutOptions) -> Listing:
    """The songs of a data set's folder.

    Raises
    ------
    InputError
        There is no such layout, the folder is not the data set's (with the right one, where that is known), or an option
        belongs to another layout.
    """
    layout = get_layout(name)
    if foreign := [option for option in options.given if option not in layout.options]:
        owner = next(other for other in LAYOUTS.values() if foreign[0] in other.options)
        raise InputError(f"--{foreign[0].replace('_', '-')} belongs to {owner.title}, not to {layout.title}")
    try:
        root = layout.find(folder)
    except InputError as error:
        other = recognise(folder)
        if other is not None and other is not layout:
            raise InputError(
                f"{folder} is {other.title}, not {layout.title}: --layout {other.name}"
            ) from error
        raise
    return layout.songs(root, options)


def get_layout(name: str) -> Layout:
    """The layout of that name; InputError with the nearest right one."""
    if name not in LAYOUTS:
        raise InputError(f"no layout is called {name!r}: {did_you_mean(name, LAYOUTS)}")
    return LAYOUTS[name]


def recognise(folder: Path) -> Layout | None:
    """The data set whose folder this is."""
    return next((layout for layout in LAYOUTS.values() if layout.is_root(folder)), None)


def what_is(folder: Path) -> str | None:
    """What a folder is to do with the data sets that are known, and the command for it; None for a folder of no such kind."""
    if found := recognise(folder):
        return f"{folder} is {found.title}: {_command(found, folder)} needs no map"
    for layout in LAYOUTS.values():
        if whole := layout.around(folder):
            return f"{folder} is a part of {layout.title}: {_command(layout, whole)} takes the whole of it, without a map"
    below = ((layout, layout.below(folder)) for layout in LAYOUTS.values())
    if there := [
        f"{place} is {layout.title}: {_command(layout, place)} needs no map"
        for layout, place in below
        if place
    ]:
        return "\n".join(there)
    return next((reason for layout in LAYOUTS.values() if (reason := layout.why_not(folder))), None)


def _command(layout: Layout, folder: Path) -> str:
    return typed("import", "--layout", layout.name, folder, "-o", "DATA")
