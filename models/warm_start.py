"""Starting a training from the weights of another run."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from slakh_hier.errors import InputError
from slakh_hier.models.config import Config
from slakh_hier.models.separator import Separator
from slakh_hier.models.weights import load_weights
from slakh_hier.paths import StrPath


@dataclass(frozen=True)
class WarmStart:
    """What a training took from another run."""

    run: str
    step: int
    sha256: str
    """``run`` to ``sha256``: the other run, the step of its weights, and their digest."""
    taken: tuple[str, ...]
    """Names of the tensors that were taken."""
    missing: tuple[str, ...]
    """Tensors of the training that the other run has not."""
    shapes: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]
    """Tensors that both have, but with other shapes: theirs, and the training's."""
    unused: tuple[str, ...]
    """Tensors of the other run that the training has not."""

    def lines(self) -> list[str]:
        """What was and what was not taken, for people."""
        total = len(self.taken) + len(self.missing) + len(self.shapes)
        lines = [f"starts from {self.run} (step {self.step}): {len(self.taken)} of {total} tensors taken"]
        lines += [
            f"  not taken: {name} is {_size(a)} there, {_size(b)} here"
            for name, (a, b) in self.shapes.items()
        ]
        lines += [f"  not taken: {name}, which is not there" for name in self.missing]
        lines += [f"  not needed: {name}" for name in self.unused]
        return lines


def warm_start(separator: Separator, config: Config, run: StrPath) -> WarmStart:
    """Give a separator the weights of a run, as far as names and shapes are the same.

    Data, levels and task may differ. What batch norm has seen is taken too; optimizer and learning rate start afresh.

    Raises
    ------
    InputError
        The run holds no weights or has another kind of network, or nothing fits.
    """
    trained = load_weights(run)
    theirs, kind = trained.about.config.network.kind, config.network.kind
    if theirs != kind:
        raise InputError(
            f"{run}: has a network of kind {theirs}; this training has {kind}, which cannot start from its weights"
        )
    found, own = trained.separator.state_dict(), separator.state_dict()
    fitting = {
        name: tensor for name, tensor in found.items() if name in own and own[name].shape == tensor.shape
    }
    if not any(tensor.is_floating_point() and tensor.numel() > 1 for tensor in fitting.values()):
        raise InputError(f"{run}: none of its weights fit this training's network; compare {run}/config.yaml")
    with torch.no_grad():
        separator.load_state_dict({**own, **fitting})
    return WarmStart(
        run=str(run),
        step=trained.about.step,
        sha256=trained.about.sha256,
        taken=tuple(fitting),
        missing=tuple(name for name in own if name not in found),
        shapes={
            name: (tuple(found[name].shape), tuple(own[name].shape))
            for name in own
            if name in found and name not in fitting
        },
        unused=tuple(name for name in found if name not in own),
    )


def _size(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a number"
