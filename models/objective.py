"""What a loss sees of a batch, and how its terms become the one loss of a step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from slakh_hier.models.stft import Stft


@dataclass
class Estimate:
    """What a separator made of a batch, and the truth: all that a loss may look at."""

    tf_masks: Tensor
    """Time-frequency masks after the hierarchical constraint, (batch, levels, channels, bins, frames), finest first."""
    mixture: Tensor
    """Spectrum, complex64, (batch, channels, bins, frames)."""
    sources: Tensor
    """Spectra of the ground truth, complex64, (batch, levels, channels, bins, frames); zeros where withheld or silent."""
    signals: Tensor
    """float32, (batch, 1 + levels, channels, samples): the mixture, then the ground truth."""
    available: Tensor
    """bool, (batch, levels): False where ground truth is withheld."""
    stft: Stft
    """The separator's transform."""

    @cached_property
    def estimates(self) -> Tensor:
        """Estimated signals, float32, (batch, levels, channels, samples); computed for the losses that ask for them."""
        return self.stft.inverse(self.tf_masks * self.mixture.unsqueeze(1), self.signals.shape[-1])


def masked_sums(
    terms: Tensor,
    available: Tensor,
    denominator: Literal["all", "available"],
    weights: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Numerator and denominator of the loss of a part of a batch.

    The sums of all parts (devices) are added before one is divided by the other, so that the loss does not
    depend on how a batch is shared out.

    Parameters
    ----------
    terms
        (batch, levels): a loss for each clip and level.
    available
        bool, (batch, levels): False where the ground truth is withheld. Such terms contribute nothing.
    denominator
        ``all``: the number of terms, withheld ones too, as in the paper: what is withheld weakens the gradient.
        ``available``: the number of available terms.
    weights
        float32, (batch, levels): what each term counts, above and below the line; None: 1.

    Returns
    -------
    tuple
        Two scalars: the sum of the available terms, and what to divide it by (may be zero).
    """
    weights = torch.ones_like(terms) if weights is None else weights
    counted = weights * available
    total = (terms.where(available, terms.new_zeros(())) * counted).sum()
    return total, (counted if denominator == "available" else weights).sum()
