"""What several networks are made of: their contract, BLSTM layers, the log magnitude, the encoder of a query."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor, nn

from slakh_hier.models.registry import NetworkOptions, NetworkSpec
from slakh_hier.models.section import Layers, Width
from slakh_hier.models.stft import magnitude

LOG_FLOOR = 1e-4
"""Added to magnitudes before the logarithm; a full-scale sine has a magnitude of about 330 in a 1024 window."""
QUERY_RANGE = 1e-3
"""Query bins more than 60 dB below the query's maximum say nothing about its timbre."""


class QueryOptions(NetworkOptions):
    """Options of networks that can take a query."""

    query_layers: Layers = 2
    """BLSTM layers of the query's encoder."""
    embedding: Width = 20
    """Length of the anchor."""


class MaskNetwork(nn.Module):
    """A network of the package: ``forward`` is the contract of :mod:`slakh_hier.models.networks`.

    Attributes
    ----------
    levels
        Masks that it estimates.
    """

    def __init__(self, spec: NetworkSpec):
        super().__init__()
        self.levels = spec.levels

    @abstractmethod
    def forward(self, mixture: Tensor, anchor: Tensor | None = None) -> Tensor:
        """Masks of a mixture.

        Parameters
        ----------
        mixture
            complex64, (batch, bins, frames).
        anchor
            float32, (batch, embedding), from ``query``; only for a network with one.

        Returns
        -------
        Tensor
            (batch, levels, bins, frames), finest first: float32 in [0, 1], or complex64 of any magnitude where the options
            have ``complex_masks``. With ``joint_channels`` it and ``mixture`` have an axis for channels before the bins.
        """

    def real_masks(self, logits: Tensor) -> Tensor:
        """Sigmoid of what a linear layer gives for each frame: (batch, frames, levels x bins) to the shape of masks."""
        batch, frames, _ = logits.shape
        return torch.sigmoid(logits.float()).view(batch, frames, self.levels, -1).permute(0, 2, 3, 1)


def beside_frames(anchor: Tensor | None, frames: Tensor) -> Tensor:
    """Frames, (batch, frames, features), with the anchor, (batch, embedding), as further features of each; None: as is."""
    if anchor is None:
        return frames
    return torch.cat((frames, anchor.unsqueeze(1).expand(-1, frames.shape[1], -1)), 2)


class BlstmStack(nn.Module):
    """BLSTM layers with dropout between them.

    One module per layer instead of ``nn.LSTM(num_layers=...)``: cuDNN keeps its own dropout state, which would
    depend on how long the process has been running, so that a resumed training would differ. Between layers of
    our own, dropout follows PyTorch's generator, which the trainer seeds for every step. It costs nothing: a
    bidirectional layer cannot begin before the one below has ended.
    """

    def __init__(self, inputs: int, units: int, layers: int, dropout: float):
        super().__init__()
        sizes = [inputs] + [2 * units] * (layers - 1)
        self.layers = nn.ModuleList(nn.LSTM(n, units, batch_first=True, bidirectional=True) for n in sizes)
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, frames, inputs) to (batch, frames, 2 units)."""
        for number, layer in enumerate(self.layers):
            features, _ = layer(self.dropout(features) if number else features)
        return features


class QueryEncoder(nn.Module):
    """What a query sounds like, in a few numbers: the *anchor*.

    BLSTM layers embed every time-frequency bin of the query; the anchor is the mean embedding of the bins
    within 60 dB of the query's maximum, scaled to length one.
    """

    def __init__(
        self,
        bins: int,
        *,
        layers: int,
        units: int,
        embedding: int,
        dropout: float = 0.0,
        batch_norm: bool = False,
    ):
        super().__init__()
        self.bins, self.embedding = bins, embedding
        self.norm = standardised(bins, batch_norm)
        self.blstm = BlstmStack(bins, units, layers, dropout)
        self.head = nn.Linear(2 * units, bins * embedding)

    def forward(self, query: Tensor) -> Tensor:
        """complex64 (batch, bins, frames) to float32 (batch, embedding).

        The linear layer has no activation behind it, so that the mean over bins can be taken before it: first
        the sum of the hidden states over the frames in which a bin is loud, then that bin's own weights. Equal
        to embedding each bin first, without the (batch, frames, bins, embedding) tensor, and with a fraction of
        the multiplications.
        """
        level = magnitude(query)
        loud = (level >= QUERY_RANGE * level.amax((1, 2), keepdim=True)).float()  # (batch, bins, frames)
        features = self.norm(log_magnitude(query))  # (batch, bins, frames)
        hidden = self.blstm(features.transpose(1, 2)).float()  # (batch, frames, 2 units)
        with torch.autocast(query.device.type, enabled=False):
            sums = loud @ hidden  # (batch, bins, 2 units)
            weight = self.head.weight.view(self.bins, self.embedding, -1)
            bias = self.head.bias.view(self.bins, self.embedding)
            total = torch.einsum("bfh,feh->be", sums, weight) + loud.sum(2) @ bias  # (batch, embedding)
            mean = total / loud.sum((1, 2)).unsqueeze(1)  # the loudest bin is always in it
            return nn.functional.normalize(mean, dim=1)


def query_encoder(
    options: QueryOptions, spec: NetworkSpec, *, units: int, dropout: float, batch_norm: bool = False
) -> QueryEncoder | None:
    """The encoder that a network needs; None where it takes no query."""
    if not spec.query:
        return None
    return QueryEncoder(
        spec.bins,
        layers=options.query_layers,
        units=units,
        dropout=dropout,
        embedding=options.embedding,
        batch_norm=batch_norm,
    )


def standardised(bins: int, wanted: bool) -> nn.Module:
    """A layer that standardises each bin of (batch, bins, frames) over batch and frames, or does nothing."""
    return nn.BatchNorm1d(bins) if wanted else nn.Identity()


def log_magnitude(spectrum: Tensor) -> Tensor:
    """Natural logarithm of the magnitude plus :data:`LOG_FLOOR`; float32, the shape of ``spectrum``."""
    return torch.log(magnitude(spectrum) + LOG_FLOOR)
