"""Pages to look at and listen to: a shard set, a run, an experiment, or two runs side by side.

Needs the extra ``report``; without it, importing this package says how to install it. Pages of runs also need the
extra ``train``; pages of shard sets do not.
"""

from __future__ import annotations

from importlib.util import find_spec

from slakh_hier.errors import MissingExtraError

for _package in ("jinja2", "matplotlib"):
    if find_spec(_package) is None:
        raise MissingExtraError(_package, "report")
