"""Hierarchical submixes of Slakh-like data sets: instrument trees, HDF5 shards, baseline separators.

Names are imported when they are first used, so that ``import slakh_hier`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from slakh_hier.version import VERSION as __version__

if TYPE_CHECKING:
    from slakh_hier.hierarchy import Hierarchy, load_hierarchy
    from slakh_hier.plan import Plan, measure_activity, plan_clips
    from slakh_hier.rendering import render
    from slakh_hier.shards import open_shards
    from slakh_hier.slakh.catalog import Catalog
    from slakh_hier.slakh.scan import scan
    from slakh_hier.submix import write_submixes
    from slakh_hier.synth import make_data_set

_PLACES = {
    "Catalog": "slakh_hier.slakh",
    "Hierarchy": "slakh_hier.hierarchy",
    "Plan": "slakh_hier.plan",
    "load_hierarchy": "slakh_hier.hierarchy",
    "make_data_set": "slakh_hier.synth",
    "measure_activity": "slakh_hier.plan",
    "open_shards": "slakh_hier.shards",
    "plan_clips": "slakh_hier.plan",
    "render": "slakh_hier.rendering",
    "scan": "slakh_hier.slakh",
    "write_submixes": "slakh_hier.submix",
}

__all__ = [
    "Catalog",
    "Hierarchy",
    "Plan",
    "__version__",
    "load_hierarchy",
    "make_data_set",
    "measure_activity",
    "open_shards",
    "plan_clips",
    "render",
    "scan",
    "write_submixes",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return __all__
