"""The hierarchical constraint: a parent's mask is never below its child's (Manilow et al., ISMIR 2020)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def hierarchical_maximum(masks: Tensor, dim: int = 1) -> Tensor:
    """Raise each level's mask to the largest mask below it: M_l := max(M_l, M_{l-1}), from the finest level up.

    A cumulative maximum along the levels. The gradient goes to the mask that won; among equals to the coarsest.

    Parameters
    ----------
    masks
        Real or complex, (batch, levels, channels, bins, frames), finest first. Complex masks are compared by magnitude; a
        mask that loses keeps its phase.
    dim
        Axis of the levels.
    """
    if not masks.is_complex():
        raised: Tensor = _CumulativeMaximum.apply(masks, dim)  # type: ignore[no-untyped-call]
        return raised
    magnitude = masks.abs()
    return masks * (hierarchical_maximum(magnitude, dim) / magnitude.clamp_min(1e-8))


class _CumulativeMaximum(torch.autograd.Function):
    """``torch.cummax`` for few steps: a fifth of the time, and the result lies in memory like the input."""

    @staticmethod
    def forward(ctx: Any, masks: Tensor, dim: int) -> Tensor:
        raised = masks.clone()
        for below, level in pairwise(raised.unbind(dim)):
            torch.maximum(below, level, out=level)
        ctx.save_for_backward(masks, raised)
        ctx.dim = dim
        return raised

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        masks, raised = ctx.saved_tensors
        lost = (masks != raised).unbind(ctx.dim)
        gradient = gradient.clone()
        levels = gradient.unbind(ctx.dim)
        for number in range(len(levels) - 1, 0, -1):
            passed = levels[number] * lost[number]
            levels[number - 1].add_(passed)
            levels[number].sub_(passed)
        return gradient, None
