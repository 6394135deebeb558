"""Muon: momentum whose matrices are made orthogonal, which learns more per step than Adam.

Jordan et al., *Muon: an optimizer for hidden layers in neural networks*, 2024; the scale that lets matrices share Adam's
learning rate is from Liu et al., *Muon is scalable for LLM training*, 2025, section 2.2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

MOMENTUM = 0.95
ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the Newton-Schulz iteration: steep at zero, so that singular values end between about 0.7 and 1.2 in five steps."""
LIKE_ADAM = 0.2
"""Root mean square of Adam's updates, in learning rates."""
SMALLEST = 16
"""Matrices with fewer rows or columns are left to Adam."""
GATES = {nn.LSTM: 4, nn.GRU: 3, nn.RNN: 1}


class Muon(torch.optim.Optimizer):
    """Muon for matrices, Adam for everything else (biases, normalisation, narrow matrices), with one learning rate.

    Matrices of recurrent layers are several, one for each gate, and are made orthogonal independently. Kernels of
    convolutions count as matrices with a row for each output.

    Parameters
    ----------
    module
        Whose parameters are trained.
    lr
        Of both.
    betas
        Of Adam.
    """

    def __init__(self, module: nn.Module, lr: float, betas: tuple[float, float] = (0.9, 0.999)):
        blocks = _blocks(module)
        parameters = list(module.parameters())
        groups = [
            {"params": [p for p in parameters if blocks.get(p) == number], "blocks": number}
            for number in sorted(set(blocks.values()))
        ]
        groups.append({"params": [p for p in parameters if p not in blocks], "blocks": 0})
        super().__init__(
            [group for group in groups if group["params"]], {"lr": lr, "betas": betas, "eps": 1e-8}
        )

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step; parameters without a gradient are left alone."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._adam(parameter, group) if group["blocks"] == 0 else self._muon(parameter, group)
        return loss

    def _muon(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state, gradient = self.state[parameter], parameter.grad
        assert gradient is not None
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(gradient, 1 - MOMENTUM)
        ahead = gradient.lerp(state["momentum"], MOMENTUM)  # Nesterov's
        matrices = ahead.reshape(group["blocks"], -1, parameter[0].numel())
        scale = LIKE_ADAM * max(matrices.shape[-2:]) ** 0.5
        parameter.add_(orthogonal(matrices).view_as(parameter), alpha=-group["lr"] * scale)

    def _adam(self, parameter: Tensor, group: dict[str, Any]) -> None:
        state, gradient = self.state[parameter], parameter.grad
        assert gradient is not None
        if not state:
            state["steps"] = 0
            state["mean"], state["square"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        state["steps"] += 1
        one, two = group["betas"]
        state["mean"].lerp_(gradient, 1 - one)
        state["square"].mul_(two).addcmul_(gradient, gradient, value=1 - two)
        root = (state["square"] / (1 - two ** state["steps"])).sqrt_().add_(group["eps"])
        parameter.addcdiv_(state["mean"], root, value=-group["lr"] / (1 - one ** state["steps"]))


def orthogonal(matrices: Tensor) -> Tensor:
    """Matrices with nearly the singular vectors of others, and singular values near 1; (..., rows, columns).

    Newton-Schulz iterations, which are matrix products alone.
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[-2] > matrices.shape[-1]
    x: Tensor = matrices.mT if tall else matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp_min(1e-12)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


def _blocks(module: nn.Module) -> dict[Tensor, int]:
    """Of how many matrices each parameter consists that is one."""
    gates = {
        parameter: number
        for part in module.modules()
        for kind, number in GATES.items()
        if isinstance(part, kind)
        for parameter in part.parameters(recurse=False)
    }
    return {
        parameter: gates.get(parameter, 1)
        for parameter in module.parameters()
        if parameter.ndim >= 2
        and min(len(parameter) // gates.get(parameter, 1), parameter[0].numel()) >= SMALLEST
    }
