"""What a separator is compared with: the unprocessed mixture, and the best that masks can do."""

from __future__ import annotations

import torch
from torch import Tensor

from slakh_hier.models.losses.tpsa import truncated_target
from slakh_hier.models.stft import Stft


def oracle(stft: Stft, mixture: Tensor, sources: Tensor) -> Tensor:
    """Estimates by the ideal truncated phase-sensitive mask: an upper bound for real masks in [0, 1].

    Parameters
    ----------
    stft
        The separator's transform.
    mixture
        float32, (batch, channels, samples).
    sources
        float32, (batch, levels, channels, samples): the ground truth.

    Returns
    -------
    Tensor
        float32, (batch, levels, channels, samples).
    """
    spectrum = stft(mixture).unsqueeze(1)
    magnitude = truncated_target(spectrum, stft(sources))
    phase = torch.polar(torch.ones_like(spectrum.real), spectrum.angle())
    return stft.inverse(magnitude * phase, mixture.shape[-1])
