"""How a plan is to be rendered: checked before any work starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

from slakh_hier.errors import InputError, check_choice
from slakh_hier.hierarchy import Column
from slakh_hier.output.audio import check_rate
from slakh_hier.plan.plan import Plan
from slakh_hier.shards.format import Dtype
from slakh_hier.shards.mask import Mask

MAX_SHARD_MB = 1024


@dataclass(frozen=True)
class RenderOptions:
    """Checked options; ``columns`` are the nodes that follow from the levels and the plan's target."""

    sample_rate: int
    levels: tuple[int, ...]
    dtype: Dtype
    shard_mb: float
    masks: tuple[Mask, ...]
    columns: tuple[Column, ...]

    @classmethod
    def of(
        cls,
        plan: Plan,
        sample_rate: int,
        levels: Sequence[int] | None,
        dtype: Dtype,
        shard_mb: float,
        masks: Sequence[str | Mask],
    ) -> RenderOptions:
        """Check what :func:`slakh_hier.rendering.run.render` was asked for; raises InputError."""
        check_rate(sample_rate)
        check_choice("the sample type", dtype, get_args(Dtype))
        if not 0 < shard_mb <= MAX_SHARD_MB:
            raise InputError(f"a shard must have between 0 and {MAX_SHARD_MB} MB, not {shard_mb:g}")
        parsed = sorted(
            (mask if isinstance(mask, Mask) else Mask.parse(mask) for mask in masks),
            key=lambda m: m.name,
        )
        names = [mask.name for mask in parsed]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(f"the mask {twice[0]} was asked for twice")
        columns = plan.hierarchy.columns(levels, target=plan.parameters.target)
        chosen = tuple(
            sorted({column.level for column in columns[1:]} if levels is None else set(levels), reverse=True)
        )
        return cls(sample_rate, chosen, dtype, float(shard_mb), tuple(parsed), columns)

    def as_dict(self) -> dict[str, Any]:
        """Plain values: what of them decides the shards' bytes."""
        return {
            "sample_rate": self.sample_rate,
            "levels": list(self.levels),
            "dtype": self.dtype,
            "shard_mb": self.shard_mb,
            "masks": [asdict(mask) for mask in self.masks],
        }
