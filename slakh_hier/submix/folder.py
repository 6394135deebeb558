"""The output folder as a whole: whose it is, what it was begun with, and how it is started again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from slakh_hier.errors import InputError
from slakh_hier.files import publish, publish_json
from slakh_hier.locks import LOCK_NAME
from slakh_hier.plain_files import read_plain
from slakh_hier.slakh.broken import FAILURES_NAME
from slakh_hier.submix.finished import NOTE
from slakh_hier.version import VERSION

RECORD = "submix.json"
TREE = "hierarchy.yaml"
FORMAT = "slakh-hier submix"
FORMAT_VERSION = 1
_MAX_RECORD = 1 << 20
RECIPE = 1
"""Raised when the same parameters give other audio: an old folder is then not continued with new sound."""


def check_place(out: Path, root: Path) -> None:
    """Refuse an output folder inside the data set, which is only read."""
    place = out.resolve()
    if place == root or root in place.parents:
        raise InputError(f"{out} lies inside the data set {root}, which is only read; choose another folder")


def check_folder(out: Path, parameters: dict[str, Any]) -> None:
    """Refuse a folder that holds something else, or submixes made otherwise: with the difference. Changes nothing."""
    there = _read_parameters(out)
    if there is None:
        return
    old, new = _flat(there), _flat({"recipe": RECIPE, **parameters})
    if differences := [
        f"  {name}: {_show(old.get(name))} in the folder, {_show(new.get(name))} now"
        for name in dict.fromkeys((*old, *new))
        if old.get(name) != new.get(name)
    ]:
        raise InputError(
            "\n".join(
                [
                    f"{out}: holds submixes made otherwise; nothing was changed. The difference:",
                    *differences,
                    "Choose another folder, or start this one again with --overwrite",
                ]
            )
        )


def claim(out: Path, parameters: dict[str, Any], tree: str | None) -> None:
    """Write down what the folder is made with, and the tree's text, where that is not there yet."""
    if tree is not None and not (out / TREE).exists():
        publish(out / TREE, tree.encode())
    if not (out / RECORD).exists():
        record = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "tool_version": VERSION,
            "parameters": {"recipe": RECIPE, **parameters},
        }
        publish_json(out / RECORD, record)


def clear(out: Path) -> None:
    """Remove what an earlier run made, and nothing else: the tracks, then the record.

    Raises
    ------
    InputError
        The folder holds things, and was not made by submix.
    """
    _read_parameters(out)
    for note in [*out.glob(f"*/{NOTE}"), *out.glob(f"*/*/{NOTE}")]:
        if out.resolve() not in note.parent.resolve().parents or note.parent.is_symlink():
            continue  # behind a link, where a run writes nothing
        shutil.rmtree(note.parent)
        if note.parent.parent != out and not any(note.parent.parent.iterdir()):
            note.parent.parent.rmdir()
    for name in (TREE, FAILURES_NAME, RECORD):
        (out / name).unlink(missing_ok=True)


def _read_parameters(out: Path) -> dict[str, Any] | None:
    """The parameters that a folder was begun with; None where it is empty or not there."""
    path = out / RECORD
    try:
        record = json.loads(read_plain(path, _MAX_RECORD))
        if record["format"] != FORMAT or record["format_version"] != FORMAT_VERSION:
            raise InputError(f"{path}: written by another version of slakh-hier; choose another folder")
        parameters = dict(record["parameters"])
        str(parameters)  # what is too deep to be shown is too deep to be compared
        return parameters
    except (FileNotFoundError, NotADirectoryError):
        names = sorted(child.name for child in out.iterdir()) if out.is_dir() else []
        # What a run leaves that was killed before it wrote its record.
        others = [name for name in names if name not in (LOCK_NAME, TREE) and not name.startswith(".tmp-")]
        if others:
            raise InputError(
                f"{out} holds {', '.join(others[:3])}{', ...' if len(others) > 3 else ''} and no {RECORD}: it was not "
                "made by submix. Choose an empty or new folder"
            ) from None
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path} cannot be read ({reason}); choose another folder") from error


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {name: value}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat |= _flat(item, f"{name}.{key}" if name else str(key))
    return flat


def _show(value: Any) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 70 else text[:67] + "..."
