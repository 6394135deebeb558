"""From a plan to a folder of shards."""

from slakh_hier.rendering.run import RenderReport, render

__all__ = ["RenderReport", "render"]
