"""Hierarchical submixes of Slakh-like data sets: instrument trees, HDF5 shards, baseline separators.

Names are imported when they are first used, so that ``import slakh_hier`` costs nothing, and an extra is needed only by what
needs it. docs/api/index.md lists them all.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from slakh_hier.version import VERSION as __version__

if TYPE_CHECKING:
    from slakh_hier.errors import SlakhHierError, SlakhHierWarning
    from slakh_hier.hierarchy import Hierarchy, load_hierarchy, shipped
    from slakh_hier.importing import import_data_set
    from slakh_hier.models import evaluate, load_config, load_weights, separate_files, train
    from slakh_hier.plan import Plan, measure_activity, plan_clips
    from slakh_hier.rendering import render
    from slakh_hier.reporting.write import write_report
    from slakh_hier.shards import Clip, ShardSet, open_shards
    from slakh_hier.shards.verify import verify
    from slakh_hier.slakh.catalog import Catalog
    from slakh_hier.slakh.scan import scan
    from slakh_hier.submix import write_submixes
    from slakh_hier.synth import make_data_set

_PLACES = {
    "Catalog": "slakh_hier.slakh",
    "Clip": "slakh_hier.shards",
    "Hierarchy": "slakh_hier.hierarchy",
    "Plan": "slakh_hier.plan",
    "ShardSet": "slakh_hier.shards",
    "SlakhHierError": "slakh_hier.errors",
    "SlakhHierWarning": "slakh_hier.errors",
    "evaluate": "slakh_hier.models",
    "import_data_set": "slakh_hier.importing",
    "load_config": "slakh_hier.models",
    "load_hierarchy": "slakh_hier.hierarchy",
    "load_weights": "slakh_hier.models",
    "make_data_set": "slakh_hier.synth",
    "measure_activity": "slakh_hier.plan",
    "open_shards": "slakh_hier.shards",
    "plan_clips": "slakh_hier.plan",
    "render": "slakh_hier.rendering",
    "scan": "slakh_hier.slakh",
    "separate_files": "slakh_hier.models",
    "shipped": "slakh_hier.hierarchy",
    "train": "slakh_hier.models",
    "verify": "slakh_hier.shards.verify",
    "write_report": "slakh_hier.reporting.write",
    "write_submixes": "slakh_hier.submix",
}

__all__ = [
    "Catalog",
    "Clip",
    "Hierarchy",
    "Plan",
    "ShardSet",
    "SlakhHierError",
    "SlakhHierWarning",
    "__version__",
    "evaluate",
    "import_data_set",
    "load_config",
    "load_hierarchy",
    "load_weights",
    "make_data_set",
    "measure_activity",
    "open_shards",
    "plan_clips",
    "render",
    "scan",
    "separate_files",
    "shipped",
    "train",
    "verify",
    "write_report",
    "write_submixes",
]


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return __all__
