"""A separator: mixture (and query) in, one estimate per level out. All networks are used through it."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from slakh_hier.errors import InputError
from slakh_hier.models.config import Config
from slakh_hier.models.constraint import hierarchical_maximum
from slakh_hier.models.registry import NETWORKS, NetworkSpec
from slakh_hier.models.stft import Stft, energy


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
    channels
        How many channels of a clip the network sees at once; None: each of them is a clip of its own.
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
        channels: int | None = None,
        constraint: bool = True,
    ):
        super().__init__()
        self.network, self.stft, self.levels = network, stft, levels
        self.takes_query, self.channels, self.constraint = takes_query, channels, constraint

    def encode(self, query: Tensor) -> Tensor:
        """What a query sounds like.

        Parameters
        ----------
        query
            float32, (batch, channels, samples), any number of channels. The mean of what each sounds like, weighted by its
            energy, so that one that is silent, or two that cancel each other, do no harm.

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
        spectra = self.stft(query)  # (batch, channels, bins, frames)
        anchors = cast(nn.Module, self.network.query)(spectra.flatten(0, 1)).unflatten(0, spectra.shape[:2])
        energies = energy(spectra)
        weights = energies / energies.sum(1, keepdim=True).clamp_min(torch.finfo(torch.float32).tiny)
        return cast(Tensor, (weights.unsqueeze(-1) * anchors).sum(1))

    def tf_masks(self, mixture: Tensor, anchor: Tensor | None = None) -> Tensor:
        """Time-frequency masks of spectra: the network's, constrained.

        Parameters
        ----------
        mixture
            complex64, (batch, channels, bins, frames).
        anchor
            float32, (batch, embedding), for separators that take a query.

        Returns
        -------
        Tensor
            (batch, levels, channels, bins, frames), finest first; real in [0, 1], or complex, as the network has them.

        Raises
        ------
        InputError
            A query is missing, the mixture has not the channels that the network sees at once, or the network gives masks
            of another shape.
        """
        if self.takes_query and anchor is None:
            raise InputError("this separator needs a query: the sound of what it shall separate")
        joint, (batch, channels) = self.channels is not None, mixture.shape[:2]
        if self.channels not in (None, channels):
            raise InputError(f"this separator takes mixtures of {self.channels} channels, not of {channels}")
        seen = mixture if joint else mixture.flatten(0, 1)
        if anchor is not None and not joint:
            anchor = anchor.repeat_interleave(channels, 0)
        found = cast(Tensor, self.network(seen, anchor))
        if found.shape != (expected := (len(seen), self.levels, *seen.shape[1:])):
            axes = "(batch, levels, channels, bins, frames)" if joint else "(batch, levels, bins, frames)"
            raise InputError(
                f"network {type(self.network).__name__} gave masks of shape {tuple(found.shape)}; {axes} is {expected} here"
            )
        if not joint:
            found = found.reshape(batch, channels, *found.shape[1:]).transpose(1, 2)
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
            float32, (batch, channels, samples).
        query
            float32, (batch, channels, query samples), for separators that take one.

        Returns
        -------
        Tensor
            float32, (batch, levels, channels, samples), finest first.
        """
        return self.estimate(mixture, None if query is None else self.encode(query))

    @property
    def parameter_count(self) -> int:
        """Trainable parameters."""
        return sum(p.numel() for p in self.parameters() if p.requires_grad)


def build_separator(config: Config, levels: int, channels: int = 1) -> Separator:
    """A separator with fresh weights, which follow from ``config.training.seed`` alone.

    Parameters
    ----------
    config
        Task, network, STFT, constraint.
    levels
        How many levels it estimates.
    channels
        Of its mixtures; counts for networks that see all channels at once.
    """
    stft, query = Stft(config.stft.window, config.stft.hop), config.task == "qbe"
    joint = channels if config.network.joint_channels else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        network = NETWORKS.build(config.network, NetworkSpec(stft.bins, joint or 1, levels, query))
    if query and not isinstance(getattr(network, "query", None), nn.Module):
        raise InputError(
            f"network {config.network.kind} takes no query (it has no module `query`); it is for sss"
        )
    return Separator(network, stft, levels, takes_query=query, channels=joint, constraint=config.constraint)
