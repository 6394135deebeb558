"""A separator: mixture (and query) in, one estimate for each level out. All networks are used through it."""

from __future__ import annotations

from typing import Protocol, cast

import torch
from torch import Tensor, nn

from slakh_hier.errors import InputError
from slakh_hier.models.config import Config
from slakh_hier.models.networks.bandsplit import BandSplit
from slakh_hier.models.networks.blstm import QBE, SSS, QueryEncoder
from slakh_hier.models.networks.constraint import hierarchical_maximum
from slakh_hier.models.stft import Stft


class MaskNetwork(Protocol):
    """What a network must offer; see :mod:`slakh_hier.models.networks`."""

    levels: int
    takes_query: bool

    def encode(self, query: Tensor) -> Tensor: ...

    def __call__(self, mixture: Tensor, anchor: Tensor | None = None) -> Tensor: ...


class Separator(nn.Module):
    """STFT, mask network, hierarchical constraint, and the way back with the mixture's phase.

    Parameters
    ----------
    network
        Gives the masks.
    stft
        The transform.
    constraint
        Raise each level's mask to the one below it, in training and inference alike.
    """

    def __init__(self, network: MaskNetwork, stft: Stft, *, constraint: bool = True):
        super().__init__()
        assert isinstance(network, nn.Module)
        self.network: nn.Module = network
        self.stft = stft
        self.constraint = constraint
        self.levels = network.levels
        self.takes_query = network.takes_query

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
        return cast(Tensor, self.network.encode(self.stft(query)))  # type: ignore[operator]

    def masks(self, mixture: Tensor, anchor: Tensor | None = None) -> Tensor:
        """Masks of spectra.

        Parameters
        ----------
        mixture
            complex64, (batch, bins, frames).
        anchor
            float32, (batch, embedding), for separators that take a query.

        Returns
        -------
        Tensor
            (batch, levels, bins, frames), leaf first; real in [0, 1], or complex (band-split network).
        """
        if self.takes_query and anchor is None:
            raise InputError("this separator needs a query: the sound of what it shall separate")
        masks = cast(Tensor, self.network(mixture, anchor))
        return hierarchical_maximum(masks) if self.constraint else masks

    def estimate(self, mixture: Tensor, anchor: Tensor | None = None) -> Tensor:
        """Estimates of signals, with the query already encoded; see :meth:`forward`."""
        spectrum = self.stft(mixture)
        return self.stft.inverse(self.masks(spectrum, anchor) * spectrum.unsqueeze(1), mixture.shape[-1])

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
        """Trainable numbers."""
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
    n = config.network
    stft = Stft(config.stft.window, config.stft.hop)
    network: MaskNetwork
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.training.seed)
        if n.kind == "bandsplit":
            query = None
            if config.task == "qbe":
                query = QueryEncoder(
                    stft.bins,
                    layers=n.query_layers,
                    units=n.query_units or n.units,
                    dropout=n.dropout,
                    embedding=n.embedding,
                )
            network = BandSplit(
                stft.bins,
                levels,
                layers=n.layers,
                features=n.features,
                units=n.units,
                dropout=n.dropout,
                query=query,
            )
        elif config.task == "qbe":
            network = QBE(
                stft.bins,
                levels,
                layers=n.layers,
                units=n.units,
                dropout=n.dropout,
                query_layers=n.query_layers,
                embedding=n.embedding,
                batch_norm=bool(n.batch_norm),
            )
        else:
            network = SSS(
                stft.bins,
                levels,
                layers=n.layers,
                units=n.units,
                dropout=n.dropout,
                batch_norm=True if n.batch_norm is None else n.batch_norm,
            )
    return Separator(network, stft, constraint=config.constraint)
