"""HDF5 shards of rendered clips: written once, checked, read from anywhere (docs/shard-format.md)."""

from __future__ import annotations

from slakh_hier.shards.clip import Clip
from slakh_hier.shards.read import ShardSet, open_shards

__all__ = ["Clip", "ShardSet", "open_shards"]
