"""Negative scale-invariant SDR, with a small term that fixes the scale."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from slakh_hier.models.objective import Estimate
from slakh_hier.models.registry import LossOptions, register_loss
from slakh_hier.models.section import Weight
from slakh_hier.models.stft import energy, inner_product

SILENT = 1e-8
"""A target whose energy is this far (80 dB) below the mixture's is silent."""
CEILING, FLOOR = 1e-4, 1e-6
"""Beyond +40 dB and below -60 dB nothing more is won or lost, so that no clip outweighs all others."""


class SiSdrOptions(LossOptions):
    """The loss takes real and complex masks."""

    kind: Literal["si_sdr"] = "si_sdr"
    level: Weight = 0.1
    """Weight of the difference in level (dB) between estimate and target, beside the SI-SDR (dB), which any scale
    leaves as it is. 0: the scale is left to chance."""


def si_sdr_terms(tf_masks: Tensor, mixture: Tensor, sources: Tensor, level: float = 0.0) -> Tensor:
    """-SI-SDR in dB (Le Roux et al., ICASSP 2019) plus ``level`` times the absolute difference in level in dB.

    The estimate has one scale for all channels: every product is a sum over them.

    Inner products are those of the spectra: the STFT is a tight frame, so that they are those of the signals, times a
    constant, but for the part of a masked spectrum that no signal has. That part counts as error. This saves the way back
    to signals, and its gradient, and means are not removed, since music has none.

    Shapes as for :func:`~slakh_hier.models.losses.tpsa.tpsa_terms`; masks may be complex. 0 where the target is silent.
    """
    mixture = mixture.unsqueeze(1)
    if tf_masks.is_complex():
        estimate = tf_masks * mixture
        overlap, estimated = inner_product(estimate, sources), energy(estimate)
    else:
        masks = tf_masks.float()
        overlap, estimated = inner_product(mixture, sources, masks), energy(mixture, masks.square())
    unit = energy(mixture).sum(-1).clamp_min(torch.finfo(torch.float32).tiny)
    overlap, estimated, target = (
        products.sum(-1) / unit for products in (overlap, estimated, energy(sources))
    )
    silent = target < SILENT
    target = target.clamp_min(SILENT)
    projected = overlap.clamp_min(0).square() / target  # what points the other way is not the target
    noise = (estimated - overlap.square() / target).clamp_min(0)
    scale = estimated + SILENT
    ratio = (noise + CEILING * scale) / (projected + FLOOR * scale)
    terms = _decibels(ratio) + level * _decibels(scale / target).abs()
    return terms.masked_fill(silent, 0.0)


def build(options: SiSdrOptions) -> Callable[[Estimate], Tensor]:
    """The loss as a function of what a separator made of a batch."""
    return lambda found: si_sdr_terms(found.tf_masks, found.mixture, found.sources, options.level)


def _decibels(ratio: Tensor) -> Tensor:
    return 10 * torch.log10(ratio)


register_loss("si_sdr", SiSdrOptions, build)
