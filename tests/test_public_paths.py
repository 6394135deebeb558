"""Every function of the API reference takes a path as ``str`` or as any ``os.PathLike``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import slakh_hier as sh
from slakh_hier import models
from slakh_hier.errors import SlakhHierError
from slakh_hier.reporting.write import write_report

API = Path(__file__).parents[1] / "docs" / "api"
PATH_ALONE = re.compile(r"(?<![\w.])Path(?![\w])")
SEEN_AT_LEAST = 20


class Bare:
    """A path that is neither a text nor one of pathlib's."""

    def __init__(self, path: Path):
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


def documented() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Functions of the API reference, and the public methods of its classes."""
    for page in sorted(API.glob("*.md")):
        for name in re.findall(r"^::: (\S+)$", page.read_text(), re.MULTILINE):
            module, _, last = name.rpartition(".")
            found = getattr(import_module(module), last)
            if inspect.isfunction(found):
                yield name, found
            elif inspect.isclass(found):
                for method, made in inspect.getmembers(found, inspect.isroutine):
                    if not method.startswith("_"):
                        yield f"{name}.{method}", made


def test_paths_of_the_api_reference() -> None:
    taken = {
        f"{name}({parameter.name})": str(parameter.annotation)
        for name, function in documented()
        if (function.__module__ or "").startswith("slakh_hier")
        for parameter in inspect.signature(function).parameters.values()
        if re.search("Path", str(parameter.annotation))
    }
    assert len(taken) >= SEEN_AT_LEAST
    assert [place for place, kind in taken.items() if PATH_ALONE.search(kind)] == []


@pytest.mark.parametrize(
    "call",
    [
        lambda place: sh.load_hierarchy(place),
        lambda place: sh.open_shards(place),
        lambda place: sh.Plan.load(place, place),
        lambda place: models.load_weights(place),
        lambda place: models.load_config("sss", place),
        lambda place: models.evaluate(place, place),
        lambda place: models.separate(place, np.zeros(8), 8000),
        lambda place: models.separate_files(place, [place], place),
        lambda place: write_report([place], place),
    ],
)
@pytest.mark.parametrize("kind", [str, Path, Bare])
def test_a_path_that_leads_nowhere(call: Callable[[Any], Any], kind: type, tmp_path: Path) -> None:
    with pytest.raises(SlakhHierError, match="nothing_here"):
        call(kind(tmp_path / "nothing_here.yaml"))
