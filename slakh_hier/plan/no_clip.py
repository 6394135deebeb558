"""Why no clip can be drawn, in words."""

from __future__ import annotations

from collections.abc import Sequence

from slakh_hier.plan.draw import NodeReport
from slakh_hier.plan.parameters import Parameters
from slakh_hier.slakh import Catalog


def why_no_clip(catalog: Catalog, tree: str, parameters: Parameters, reports: Sequence[NodeReport]) -> str:
    """The reasons, split by split and node by node."""
    lines = [f"no clip can be drawn with the tree {tree}:"]
    splits = catalog.frame["split"].value_counts()
    for split in parameters.clips:
        own_reports = [report for report in reports if report.split == split]
        if not splits.get(split):
            found = ", ".join(map(str, splits.index)) or "none"
            lines.append(
                f"  {split}: the data set has no track of this split (it has: {found}); try another split scheme"
            )
        else:
            own = catalog.usable[catalog.usable["split"] == split]
            longest = (own["frames"] / own["sample_rate"]).max()  # NaN where no stem is usable
            if longest < parameters.clip_seconds:
                lines.append(
                    f"  {split}: no track of {parameters.clip_seconds:g} s: the longest lasts {longest:.1f} s"
                )
            else:
                lines += [f"  {split}: {report.node}: {report.reason}" for report in own_reports[:8]]
    if catalog.usable.empty:
        lines.append("  the data set has no usable stem at all; `slakh-hier scan` lists the reasons")
    return "\n".join(lines)
