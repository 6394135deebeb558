"""Training losses: one number for each clip and level, and how they become one loss."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from slakh_hier.models.stft import magnitude

Denominator = Literal["all", "available"]


def truncated_target(mixture: Tensor, source: Tensor) -> Tensor:
    """Truncated phase-sensitive target: |S| cos(theta_S - theta_X), clipped to [0, |X|].

    After Erdogan et al., ICASSP 2015 (phase-sensitive filter). It is the magnitude that, with the mixture's
    phase, comes closest to the source, as far as a mask in [0, 1] can give it.

    Parameters
    ----------
    mixture
        X: complex, (..., bins, frames).
    source
        S: complex, broadcast against ``mixture``.

    Returns
    -------
    Tensor
        Real, the broadcast shape. Zero where X is zero.
    """
    return _truncated(mixture, magnitude(mixture), source)


def _truncated(mixture: Tensor, loudness: Tensor, source: Tensor) -> Tensor:
    """:func:`truncated_target` where the mixture's magnitude is known already."""
    product = source.real * mixture.real + source.imag * mixture.imag  # the real part of S X*
    projected = product / loudness.clamp_min(torch.finfo(loudness.dtype).tiny)
    return torch.minimum(projected.clamp_min(0), loudness)


def tpsa_terms(masks: Tensor, mixture: Tensor, sources: Tensor) -> Tensor:
    """L1 between M |X| and the truncated phase-sensitive target, averaged over bins and frames.

    Parameters
    ----------
    masks
        Real, (batch, levels, bins, frames).
    mixture
        complex64, (batch, bins, frames).
    sources
        complex64, (batch, levels, bins, frames).

    Returns
    -------
    Tensor
        float32, (batch, levels).
    """
    mixture = mixture.unsqueeze(1)
    loudness = magnitude(mixture)
    return (masks.float() * loudness - _truncated(mixture, loudness, sources)).abs().mean((2, 3))


def complex_terms(masks: Tensor, mixture: Tensor, sources: Tensor) -> Tensor:
    """L1 of real and imaginary part of M X - S, averaged over bins and frames; shapes as :func:`tpsa_terms`.

    The frequency part of the band-split network's loss (Luo and Yu, 2023, equation 5); works for real masks too.
    """
    difference = torch.view_as_real(masks * mixture.unsqueeze(1) - sources)
    return difference.abs().sum(4).mean((2, 3))


def masked_sums(terms: Tensor, available: Tensor, denominator: Denominator) -> tuple[Tensor, Tensor]:
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

    Returns
    -------
    tuple
        Two scalars: the sum of the available terms, and what to divide it by (may be zero).
    """
    total = terms.where(available, terms.new_zeros(())).sum()
    count = available.sum() if denominator == "available" else torch.tensor(available.numel())
    return total, count.to(total)
