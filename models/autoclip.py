"""AutoClip: gradient clipping whose threshold is a percentile of all gradient norms so far.

Seetharaman, Wichern, Pardo, Le Roux, *AutoClip: Adaptive Gradient Clipping for Source Separation Networks*,
MLSP 2020.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class AutoClip:
    """Clips by norm to a percentile of the history of norms, the current one included.

    Parameters
    ----------
    percentile
        0 to 100; 10 in the paper. None measures and records norms, but does not clip.

    Attributes
    ----------
    history : float64 array (steps,)
        Unclipped global L2 norms. Norms that are NaN or infinite are left out: one of them would make every
        later threshold meaningless.
    """

    def __init__(self, percentile: float | None = 10.0):
        self.percentile = percentile
        self._norms = np.empty(1024)
        self._count = 0

    @property
    def history(self) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return self._norms[: self._count]

    def threshold(self, norm: float) -> float:
        """Append a finite norm and return the threshold: the percentile, linearly interpolated."""
        if self._count == len(self._norms):
            self._norms = np.concatenate((self._norms, np.empty_like(self._norms)))
        self._norms[self._count] = norm
        self._count += 1
        return math.inf if self.percentile is None else float(np.percentile(self.history, self.percentile))

    def clip(self, parameters: Iterable[nn.Parameter]) -> tuple[float, float]:
        """Clip the gradients in place; return the norm before and the threshold.

        Gradients whose norm is not finite are left as they are, and so is the history: the threshold is then NaN.
        """
        parameters = list(parameters)
        gradients = [p.grad for p in parameters if p.grad is not None]
        total = nn.utils.get_total_norm(gradients)
        norm = float(total)
        if not math.isfinite(norm):
            return norm, math.nan
        threshold = self.threshold(norm)
        if norm > threshold:
            nn.utils.clip_grads_with_norm_(parameters, threshold, total)
        return norm, threshold

    def state_dict(self) -> dict[str, Any]:
        """The history as a tensor (checkpoints hold nothing that needs pickle)."""
        return {"history": torch.from_numpy(self.history.copy())}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        history: Tensor = state["history"]
        self._norms = np.concatenate((history.numpy(), np.empty(1024)))
        self._count = len(history)
