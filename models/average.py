"""An exponential moving average of a separator's weights, which is validated and published in their place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

State = dict[str, Tensor]


class Average:
    """Average of a module's weights and of what batch norm has seen, over the last steps.

    Each step moves the average towards the weights by 1 - ``decay``, more in the first steps, whose weights say little:
    step n by at least 9 / (10 + n).

    Parameters
    ----------
    module
        What is trained.
    decay
        Part of the average that a step leaves: 0.999 averages over about the last 1,000 steps.
    """

    def __init__(self, module: nn.Module, decay: float):
        self._module, self._decay = module, decay
        self.steps = 0
        self.state: State = {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        """Take the weights after a step into the average."""
        self.steps += 1
        kept = min(self._decay, (1 + self.steps) / (10 + self.steps))
        for name, tensor in self._module.state_dict().items():
            average = self.state[name]
            if average.device != tensor.device:
                average = self.state[name] = average.to(tensor.device)
            if average.is_floating_point():
                average.lerp_(tensor, 1 - kept)
            else:
                average.copy_(tensor)  # a count

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Within the block the module has the average as its weights."""
        own = {name: tensor.detach().clone() for name, tensor in self._module.state_dict().items()}
        self._module.load_state_dict(self.state)
        try:
            yield
        finally:
            self._module.load_state_dict(own)

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps, "weights": self.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.steps, self.state = state["steps"], state["weights"]
