"""The paper's networks: mask inference by BLSTM layers, for one path (SSS) or for the sound of a query (QBE).

Sizes and features follow Manilow, Wichern, Le Roux, ISMIR 2020, sections 4 and 5.2.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from slakh_hier.errors import InputError
from slakh_hier.models.stft import magnitude

LOG_FLOOR = 1e-4
"""Added to magnitudes before the logarithm; a full-scale sine has a magnitude of about 330 in a 1024 window."""
QUERY_RANGE = 1e-3
"""Query bins more than 60 dB below the query's maximum say nothing about its timbre."""


class BlstmStack(nn.Module):
    """BLSTM layers with dropout between them.

    One module a layer instead of ``nn.LSTM(num_layers=...)``: cuDNN keeps its own dropout state, which would
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


class SSS(nn.Module):
    """Single-source separation: one mask for each level of one path of the tree.

    Log magnitude, batch norm, four BLSTM layers, one linear layer, sigmoid. 31.9 M parameters for one level and
    33.1 M for three at the paper's size.

    Parameters
    ----------
    bins
        Frequency bins of the STFT.
    levels
        Masks to estimate.
    layers, units, dropout
        Of the BLSTM; ``units`` per direction.
    batch_norm
        Standardise each frequency bin of the log magnitude over batch and frames.
    """

    takes_query = False

    def __init__(
        self,
        bins: int = 513,
        levels: int = 1,
        *,
        layers: int = 4,
        units: int = 600,
        dropout: float = 0.3,
        batch_norm: bool = True,
    ):
        super().__init__()
        self.levels = levels
        self.norm = nn.BatchNorm1d(bins) if batch_norm else nn.Identity()
        self.blstm = BlstmStack(bins, units, layers, dropout)
        self.head = nn.Linear(2 * units, bins * levels)

    def encode(self, query: Tensor) -> Tensor:
        """There is no query to encode."""
        raise InputError("this separator was trained for one source; it takes no query")

    def forward(self, mixture: Tensor, anchor: Tensor | None = None) -> Tensor:
        """Masks of a mixture.

        Parameters
        ----------
        mixture
            complex64, (batch, bins, frames).
        anchor
            Not used; here so that all networks are called alike.

        Returns
        -------
        Tensor
            float32 in [0, 1], (batch, levels, bins, frames), leaf first.
        """
        features = self.norm(log_magnitude(mixture))  # (batch, bins, frames)
        hidden = self.blstm(features.transpose(1, 2))  # (batch, frames, 2 units)
        return _masks(self.head(hidden), self.levels)


class QueryEncoder(nn.Module):
    """What a query sounds like, in a few numbers: the *anchor*.

    Two BLSTM layers embed every time-frequency bin of the query; the anchor is the mean embedding of the bins
    within 60 dB of the query's maximum, scaled to length one.
    """

    def __init__(
        self,
        bins: int = 513,
        *,
        layers: int = 2,
        units: int = 600,
        dropout: float = 0.3,
        embedding: int = 20,
        batch_norm: bool = False,
    ):
        super().__init__()
        self.bins, self.embedding = bins, embedding
        self.norm = nn.BatchNorm1d(bins) if batch_norm else nn.Identity()
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


class QBE(nn.Module):
    """Query by example: masks for the source that sounds like the query, one a level of its path.

    The SSS network without batch norm, with the query's anchor beside every frame of the mixture. 58.3 M
    parameters for one level and 59.6 M for three at the paper's size.
    """

    takes_query = True

    def __init__(
        self,
        bins: int = 513,
        levels: int = 1,
        *,
        layers: int = 4,
        units: int = 600,
        dropout: float = 0.3,
        query_layers: int = 2,
        embedding: int = 20,
        batch_norm: bool = False,
    ):
        super().__init__()
        self.levels = levels
        self.norm = nn.BatchNorm1d(bins) if batch_norm else nn.Identity()
        self.query = QueryEncoder(
            bins,
            layers=query_layers,
            units=units,
            dropout=dropout,
            embedding=embedding,
            batch_norm=batch_norm,
        )
        self.blstm = BlstmStack(bins + embedding, units, layers, dropout)
        self.head = nn.Linear(2 * units, bins * levels)

    def encode(self, query: Tensor) -> Tensor:
        """The anchor of a query: complex64 (batch, bins, query frames) to float32 (batch, embedding)."""
        anchor: Tensor = self.query(query)
        return anchor

    def forward(self, mixture: Tensor, anchor: Tensor | None = None) -> Tensor:
        """Masks of what sounds like the query.

        Parameters
        ----------
        mixture
            complex64, (batch, bins, frames).
        anchor
            float32, (batch, embedding), from :meth:`encode`.

        Returns
        -------
        Tensor
            float32 in [0, 1], (batch, levels, bins, frames), leaf first.
        """
        assert anchor is not None
        features = self.norm(log_magnitude(mixture)).transpose(1, 2)  # (batch, frames, bins)
        repeated = anchor.unsqueeze(1).expand(-1, features.shape[1], -1)  # (batch, frames, embedding)
        hidden = self.blstm(torch.cat((features, repeated), 2))
        return _masks(self.head(hidden), self.levels)


def log_magnitude(spectrum: Tensor) -> Tensor:
    """Natural logarithm of the magnitude plus :data:`LOG_FLOOR`; float32, the shape of ``spectrum``."""
    return torch.log(magnitude(spectrum) + LOG_FLOOR)


def _masks(logits: Tensor, levels: int) -> Tensor:
    """(batch, frames, levels x bins) to masks in [0, 1], float32, (batch, levels, bins, frames)."""
    batch, frames, _ = logits.shape
    return torch.sigmoid(logits.float()).view(batch, frames, levels, -1).permute(0, 2, 3, 1)
