"""The paper's loss: L1 to the truncated phase-sensitive target."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from slakh_hier.models.objective import Estimate
from slakh_hier.models.registry import LossOptions, register_loss
from slakh_hier.models.stft import magnitude


class TpsaOptions(LossOptions):
    """The loss takes real masks only: the target has the mixture's phase."""

    kind: Literal["tpsa"] = "tpsa"

    @property
    def real_masks(self) -> bool:
        return True


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


def tpsa_terms(tf_masks: Tensor, mixture: Tensor, sources: Tensor) -> Tensor:
    """L1 between M |X| and the truncated phase-sensitive target, averaged over channels, bins and frames.

    Parameters
    ----------
    tf_masks
        Real, (batch, levels, channels, bins, frames).
    mixture
        complex64, (batch, channels, bins, frames).
    sources
        complex64, (batch, levels, channels, bins, frames).

    Returns
    -------
    Tensor
        float32, (batch, levels).
    """
    mixture = mixture.unsqueeze(1)
    loudness = magnitude(mixture)
    return (tf_masks.float() * loudness - _truncated(mixture, loudness, sources)).abs().mean((2, 3, 4))


def build(options: TpsaOptions) -> Callable[[Estimate], Tensor]:
    """The loss as a function of what a separator made of a batch."""
    return lambda found: tpsa_terms(found.tf_masks, found.mixture, found.sources)


register_loss("tpsa", TpsaOptions, build)
