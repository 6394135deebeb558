"""A separator: mixture (and query) in, one estimate per level out. All networks are used through it."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from slakh_hier.errors import InputError
from slakh_hier.models.config import Config
from slakh_hier.models.constraint import hierarchical_maximum
from slakh_hier.models.registry import NETWORKS, NetworkSpec
from slakh_hier.models.stft import Stft


class Separator(nn.Module):
    """STFT, mask network, hierarchical constraint, and the way back with the mixture's phase.

    Parameters
    ----------
    network
        Gives the masks; see :mod:`slakh_hier.models.networks`.
    stft
        The transform.
    levels
        How many levels the network estimates.
    takes_query
        The network has a ``query``.
    joint_channels
        The network sees all channels of a clip at once.
    constraint
        Raise each level's mask to the one below it, in training and inference alike.
    """

    def __init__(
        self,
        network: nn.Module,
        stft: Stft,
        levels: int,
        *,
        takes_query: bool = False,
        joint_channels: bool = False,
        constraint: bool = True,
    ):
        super().__init__()
        self.network, self.stft, self.levels = network, stft, levels
        self.takes_query, self.joint_channels, self.constraint = takes_query, joint_channels, constraint

    def encode(self, query: Tensor) -> Tensor:
        """What a query sounds like.

        Parameters
        ----------
        query
            float32, (batch, samples).

        Returns
        -------
        Tensor
            The anchor: float32, (batch, embedding).

        Raises
        ------
        InputError
            The separator takes no query.
        """
        if not self.takes_query:
            raise InputError("this separator was trained for one source; it takes no query")
        return cast(Tensor, cast(nn.Module, self.network.query)(self.stft(query)))

    def tf_masks(self, mixture: Tensor, anchor: Tensor | None = None) -> Tensor:
        """Time-frequency masks of spectra: the network's, constrained.

        Shapes as for :meth:`~slakh_hier.models.layers.MaskNetwork.forward`; with ``anchor`` for separators that take a query.

        Raises
        ------
        InputError
            A query is missing, or the network gives masks of another shape.
        """
        if self.takes_query and anchor is None:
            raise InputError("this separator needs a query: the sound of what it shall separate")
        found = cast(Tensor, self.network(mixture.unsqueeze(1) if self.joint_channels else mixture, anchor))
        if self.joint_channels:
            found = found.squeeze(2)  # of one channel
        expected = (len(mixture), self.levels, *mixture.shape[1:])
        if found.shape != expected:
            raise InputError(
                f"network {type(self.network).__name__} gave masks of shape {tuple(found.shape)}; (batch, levels, bins, "
                f"frames) is {expected} here"
            )
        return hierarchical_maximum(found) if self.constraint else found

    def estimate(self, mixture: Tensor, anchor: Tensor | None = None) -> Tensor:
        """Estimates of signals, with the query already encoded; see :meth:`forward`."""
        spectrum = self.stft(mixture)
        return self.stft.inverse(self.tf_masks(spectrum, anchor) * spectrum.unsqueeze(1), mixture.shape[-1])

    def forward(self, mixture: Tensor, query: Tensor | None = None) -> Tensor:
        """Estimates of signals.

        Parameters
        ----------
        mixture
            float32, (batch, samples).
        query
            float32, (batch, query samples), for separators that take one.

        Returns
        -------
        Tensor
            float32, (batch, levels, samples), leaf first.
        """
        return self.estimate(mixture, None if query is None else self.encode(query))

    @property
    def parameter_count(self) -> int:
        """Trainable parameters."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


def build_separator(config: Config, levels: int) -> Separator:
    """A separator with fresh weights, which follow from ``config.training.seed`` alone.

    Parameters
    ----------
    config
        Task, network, STFT, constraint.
    levels
        How many levels it estimates.
    """
    stft, query = Stft(config.stft.window, config.stft.hop), config.task == "qbe"
    joint = config.network.joint_channels
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        network = NETWORKS.build(config.network, NetworkSpec(stft.bins, 1, levels, query))
    if query and not isinstance(getattr(network, "query", None), nn.Module):
        raise InputError(
            f"network {config.network.kind} takes no query (it has no module `query`); it is for sss"
        )
    return Separator(
        network, stft, levels, takes_query=query, joint_channels=joint, constraint=config.constraint
    )
