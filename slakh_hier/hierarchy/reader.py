"""Reading tree files: strict, with every problem of a file in one report."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from slakh_hier.errors import HierarchyError, InputError
from slakh_hier.hierarchy.build import build
from slakh_hier.hierarchy.model import Hierarchy
from slakh_hier.hierarchy.recipes import as_tree, is_recipe
from slakh_hier.hierarchy.report import Report, check_shape, check_traps
from slakh_hier.hierarchy.schema import HierarchyText, RecipeText
from slakh_hier.paths import StrPath
from slakh_hier.safe_yaml import read_bytes, read_marked
from slakh_hier.wording import did_you_mean

_PACKAGE = "slakh_hier.hierarchies"
_SUFFIX = ".yaml"


def load_hierarchy(name_or_path: StrPath) -> Hierarchy:
    """The tree of a file, or a tree that comes with the package.

    Parameters
    ----------
    name_or_path
        A name of :func:`shipped`, which goes before a file of the same name, or a path: a tree, or a submix
        definition of slakh-utils.

    Raises
    ------
    InputError
        There is no such file or tree, or it cannot be read.
    HierarchyError
        The file has problems: all of them.
    """
    if isinstance(name_or_path, str) and name_or_path in shipped():
        file = name_or_path + _SUFFIX
        return _parse(files(_PACKAGE).joinpath(file).read_bytes(), file)
    path = Path(name_or_path)
    try:
        data = read_bytes(path)
    except FileNotFoundError:
        raise InputError(
            f"{path}: no such file, and no tree of that name comes with slakh-hier: "
            f"{did_you_mean(str(path), shipped())}"
        ) from None
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return _parse(data, str(path))


def parse_hierarchy(text: str, file: str) -> Hierarchy:
    """The tree that a text describes.

    Parameters
    ----------
    text
        YAML: a tree, or a submix definition of slakh-utils.
    file
        Name of its file for messages; a submix definition, which has no name of its own, is named after it.

    Raises
    ------
    HierarchyError
        With every problem: what is not YAML alone, because the rest could not be read; else all that is wrong
        with keys, values, names, rules and the tree.
    """
    return _parse(text.encode("utf-8", "surrogatepass"), file)


def shipped() -> tuple[str, ...]:
    """The names of the trees that come with the package, the paper's first."""
    names = {
        entry.name.removesuffix(_SUFFIX)
        for entry in files(_PACKAGE).iterdir()
        if entry.name.endswith(_SUFFIX)
    }
    return tuple(sorted(names, key=lambda name: (name != "slakh34", name)))


def _parse(data: bytes, file: str) -> Hierarchy:
    raw, places, problems = read_marked(data, file)
    if raw is None and not places.complete:
        raise HierarchyError(problems)
    report = Report(file, places, problems)
    check_traps(report)
    report.next_stage()
    if is_recipe(raw):
        check_shape(report, RecipeText, raw)
        raw = as_tree(raw, report, file)
        report.next_stage()
    if raw is not None or not report.problems:
        check_shape(report, HierarchyText, raw)
        report.next_stage()
    if not isinstance(raw, dict):
        raise HierarchyError(report.problems)
    return build(raw, report, complete=places.complete, text=data.decode(errors="replace"), file=file)
