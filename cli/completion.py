"""What the shell completes: trees, presets, nodes, masks. What cannot be read completes to nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import wraps
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from slakh_hier.errors import SlakhHierError

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]
INDEX_NAME = "index.json"
PERCENTS = (10, 25, 50, 75, 90)


def _completes(*, files: bool = False) -> Callable[[Callable[[click.Context], Iterable[str]]], Complete]:
    """Turn a function that lists names into one that completes them; ``files``: or a file."""

    def decorate(names: Callable[[click.Context], Iterable[str]]) -> Complete:
        @wraps(names)
        def complete(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
            found: list[CompletionItem] = []
            with suppress(SlakhHierError, OSError):
                found = [CompletionItem(name) for name in names(ctx) if name.startswith(incomplete)]
            return [*found, CompletionItem(incomplete, type="file")] if files else found

        return complete

    return decorate


@_completes(files=True)
def trees(ctx: click.Context) -> Iterable[str]:
    from slakh_hier.hierarchy import shipped

    return shipped()


@_completes()
def presets(ctx: click.Context) -> Iterable[str]:
    from slakh_hier.models.config_file import presets as names

    return names()


@_completes()
def nodes(ctx: click.Context) -> Iterable[str]:
    """The nodes of the shards, or of the tree, that are given."""
    if shards := _shards(ctx):
        from slakh_hier.hierarchy import UNASSIGNED
        from slakh_hier.shards.index import read_index

        return [
            column.name
            for column in read_index(shards).columns[1:]
            if column.level and column.name != UNASSIGNED
        ]
    from slakh_hier.hierarchy import load_hierarchy

    return load_hierarchy(str(ctx.params.get("hierarchy") or "slakh34")).nodes


@_completes()
def new_masks(ctx: click.Context) -> Iterable[str]:
    from slakh_hier.shards.mask import MASK_KINDS

    return [f"{kind}-{percent}" for kind in MASK_KINDS for percent in PERCENTS]


@_completes()
def masks(ctx: click.Context) -> Iterable[str]:
    """The masks of the shards that are given."""
    from slakh_hier.shards.mask_files import list_masks

    return [found.mask.name for found in list_masks(shards)] if (shards := _shards(ctx)) else ()


@_completes()
def splits(ctx: click.Context) -> Iterable[str]:
    """The splits of the shards that are given."""
    from slakh_hier.shards.index import read_index

    return read_index(shards).splits if (shards := _shards(ctx)) else ()


def _shards(ctx: click.Context) -> Path | None:
    """The first argument that is a shard set. Click leaves them in ``args`` while an option still lacks its value."""
    return next((Path(word) for word in ctx.args if (Path(word) / INDEX_NAME).is_file()), None)
