"""The optimizer step of a training without all that is around it: no loading, no Lightning."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from slakh_hier.models.autoclip import AutoClip
from slakh_hier.models.losses.tpsa import tpsa_terms
from slakh_hier.models.objective import masked_sums
from slakh_hier.models.separator import Separator

Terms = Callable[[Tensor, Tensor, Tensor], Tensor]


def stepper(
    separator: Separator, signals: Tensor, query: Tensor | None = None, terms: Terms = tpsa_terms
) -> Callable[[], None]:
    """A function that makes a step: STFT, network, loss, backward, AutoClip and Adam.

    Parameters
    ----------
    signals
        (clips, 1 + levels, channels, samples), the mixture first, where the separator is; all ground truth is available.
    query
        (clips, channels, samples), for a separator that takes one.
    terms
        The loss of each clip and level.
    """
    adam, clip = torch.optim.Adam(separator.parameters(), lr=1e-4, fused=True), AutoClip(10)
    available = torch.ones(len(signals), signals.shape[1] - 1, dtype=torch.bool, device=signals.device)

    def step() -> None:
        adam.zero_grad()
        spectra = separator.stft(signals)
        anchor = separator.encode(query) if query is not None else None
        mixture, truth = spectra[:, 0], spectra[:, 1:]
        total, count = masked_sums(
            terms(separator.tf_masks(mixture, anchor), mixture, truth), available, "all"
        )
        (total / count).backward()
        clip.clip(list(separator.parameters()))  # waits for a GPU
        adam.step()

    return step
