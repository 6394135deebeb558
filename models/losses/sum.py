"""A weighted sum of other losses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor

from slakh_hier.models.objective import Estimate
from slakh_hier.models.registry import LOSSES, LossOptions, register_loss


class SumOptions(LossOptions):
    """Several losses at once, each with the default values of its own options."""

    kind: Literal["sum"] = "sum"
    parts: Annotated[dict[str, Annotated[float, Field(gt=0, le=1e6)]], Field(min_length=1)] = Field(
        default_factory=lambda: {"si_sdr": 1.0, "tpsa": 50.0}
    )
    """Weights by kind. The default adds up to a loss in dB whose tPSA part keeps levels and silent targets right."""

    @model_validator(mode="after")
    def _known(self) -> Self:
        for kind in self.parts:
            if kind == self.kind:
                raise ValueError("a sum cannot be a part of itself")
            try:
                LOSSES.find(kind)
            except LookupError as error:
                raise ValueError(str(error)) from None
        return self

    @property
    def real_masks(self) -> bool:
        """One of the parts needs them."""
        return any(LOSSES.parse({"kind": kind}).real_masks for kind in self.parts)


def build(options: SumOptions) -> Callable[[Estimate], Tensor]:
    """The loss as a function of what a separator made of a batch."""
    parts = [(weight, LOSSES.build(LOSSES.parse({"kind": kind}))) for kind, weight in options.parts.items()]

    def summed(found: Estimate) -> Tensor:
        total: Tensor = sum(weight * loss(found) for weight, loss in parts)
        return total

    return summed


register_loss("sum", SumOptions, build)
