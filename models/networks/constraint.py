"""The hierarchical constraint: a parent's mask is never below its child's (Manilow et al., 2020, section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor


def hierarchical_maximum(masks: Tensor, dim: int = 1) -> Tensor:
    """Raise each level's mask to the largest mask below it: M_l := max(M_l, M_{l-1}), from the leaf up.

    A cumulative maximum along the levels. The gradient goes to the mask that won.

    Parameters
    ----------
    masks
        Real or complex, (batch, levels, bins, frames), leaf first. Complex masks are compared by magnitude; a
        mask that loses keeps its phase.
    dim
        Axis of the levels.
    """
    if not masks.is_complex():
        return torch.cummax(masks, dim).values
    magnitude = masks.abs()
    return masks * (torch.cummax(magnitude, dim).values / magnitude.clamp_min(1e-8))
