"""L1 of real and imaginary part of the spectra."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from slakh_hier.models.objective import Estimate
from slakh_hier.models.registry import LossOptions, register_loss


class ComplexOptions(LossOptions):
    """The loss takes real and complex masks."""

    kind: Literal["complex"] = "complex"


def complex_terms(tf_masks: Tensor, mixture: Tensor, sources: Tensor) -> Tensor:
    """L1 of real and imaginary part of M X - S, averaged over channels, bins and frames.

    The frequency part of the band-split network's loss (Luo and Yu, 2023, equation 5). Shapes as for
    :func:`~slakh_hier.models.losses.tpsa.tpsa_terms`.
    """
    difference = torch.view_as_real(tf_masks * mixture.unsqueeze(1) - sources)
    return difference.abs().sum(-1).mean((2, 3, 4))


def build(options: ComplexOptions) -> Callable[[Estimate], Tensor]:
    """The loss as a function of what a separator made of a batch."""
    return lambda found: complex_terms(found.tf_masks, found.mixture, found.sources)


register_loss("complex", ComplexOptions, build)
