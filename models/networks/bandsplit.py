"""A stronger baseline: a band-split recurrent network with complex masks.

After Luo and Yu, *Music Source Separation with Band-Split RNN*, IEEE/ACM TASLP 31, 2023: the spectrum is cut
into bands, narrow where instruments have their fundamentals; recurrent layers run along time within each band
and along the bands within each frame; a small network a band estimates complex masks. Here with fewer layers
and bands than in the article, one mask a level, and optionally the anchor of a query.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from slakh_hier.errors import InputError
from slakh_hier.models.networks.blstm import QueryEncoder

BAND_PLAN = ((64, 8), (256, 16))
"""Up to bin 64 bands of 8 bins, up to bin 256 of 16, above of 32: 125, 250 and 500 Hz at 16 kHz and 1024 points."""
WIDEST = 32


class BandSplit(nn.Module):
    """Complex masks for each level of a path, by recurrent layers along time and along frequency bands.

    Parameters
    ----------
    bins
        Frequency bins of the STFT.
    levels
        Masks to estimate.
    layers
        Pairs of a layer along time and a layer along bands. Three have fewer steps one after another
        (3 x (frames + bands)) than the four BLSTM layers of :class:`~slakh_hier.models.networks.blstm.SSS`.
    features
        Numbers that describe a band of a frame.
    units
        LSTM units per direction.
    dropout
        Before each linear layer behind an LSTM.
    query
        With a :class:`~slakh_hier.models.networks.blstm.QueryEncoder`, whose anchor is added to every band.
    """

    def __init__(
        self,
        bins: int = 513,
        levels: int = 1,
        *,
        layers: int = 3,
        features: int = 64,
        units: int = 96,
        dropout: float = 0.0,
        query: QueryEncoder | None = None,
    ):
        super().__init__()
        self.levels = levels
        self.takes_query = query is not None
        self.widths = band_widths(bins)
        self.split = nn.ModuleList(
            nn.Sequential(nn.GroupNorm(1, 2 * width), nn.Conv1d(2 * width, features, 1))
            for width in self.widths
        )
        self.query = query
        self.condition = None if query is None else nn.Linear(query.embedding, features)
        self.along_time = nn.ModuleList(ResidualBlstm(features, units, dropout) for _ in range(layers))
        self.along_bands = nn.ModuleList(ResidualBlstm(features, units, dropout) for _ in range(layers))
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(features),
                nn.Linear(features, 4 * features),
                nn.Tanh(),
                nn.Linear(4 * features, 4 * width * levels),
                nn.GLU(),
            )
            for width in self.widths
        )

    def encode(self, query: Tensor) -> Tensor:
        """The anchor of a query: complex64 (batch, bins, query frames) to float32 (batch, embedding)."""
        if self.query is None:
            raise InputError("this separator was trained for one source; it takes no query")
        anchor: Tensor = self.query(query)
        return anchor

    def forward(self, mixture: Tensor, anchor: Tensor | None = None) -> Tensor:
        """Masks of a mixture.

        Parameters
        ----------
        mixture
            complex64, (batch, bins, frames).
        anchor
            float32, (batch, embedding), from :meth:`encode`; only for a network with a query encoder.

        Returns
        -------
        Tensor
            complex64, (batch, levels, bins, frames), leaf first; magnitudes are not bounded.
        """
        batch, _, frames = mixture.shape
        parts = torch.view_as_real(mixture).permute(0, 1, 3, 2)  # (batch, bins, 2, frames)
        bands = [
            split(part.flatten(1, 2))  # (batch, features, frames)
            for split, part in zip(self.split, torch.split(parts, self.widths, dim=1), strict=True)
        ]
        hidden = torch.stack(bands, 1).transpose(2, 3)  # (batch, bands, frames, features)
        if self.condition is not None:
            assert anchor is not None
            hidden = hidden + self.condition(anchor)[:, None, None]
        for along_time, along_bands in zip(self.along_time, self.along_bands, strict=True):
            hidden = along_time(hidden.flatten(0, 1)).unflatten(0, (batch, -1))
            hidden = hidden.transpose(1, 2)  # (batch, frames, bands, features)
            hidden = along_bands(hidden.flatten(0, 1)).unflatten(0, (batch, frames)).transpose(1, 2)
        masks = [
            head(hidden[:, band]).float().unflatten(2, (self.levels, width, 2))
            for band, (head, width) in enumerate(zip(self.heads, self.widths, strict=True))
        ]
        joined = torch.cat(masks, 3).permute(0, 2, 3, 1, 4)  # (batch, levels, bins, frames, 2)
        return torch.view_as_complex(joined.contiguous())


class ResidualBlstm(nn.Module):
    """Layer norm, BLSTM, linear layer, added to the input: (sequences, steps, features) in and out."""

    def __init__(self, features: int, units: int, dropout: float):
        super().__init__()
        self.norm = nn.LayerNorm(features)
        self.blstm = nn.LSTM(features, units, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(dropout)
        self.back = nn.Linear(2 * units, features)

    def forward(self, features: Tensor) -> Tensor:
        hidden, _ = self.blstm(self.norm(features))
        out: Tensor = features + self.back(self.dropout(hidden))
        return out


def band_widths(bins: int) -> list[int]:
    """Widths in bins of the bands that cover ``bins`` bins; the last one takes a short rest in."""
    widths: list[int] = []
    for end, width in (*BAND_PLAN, (bins, WIDEST)):
        while sum(widths) + width <= min(end, bins):
            widths.append(width)
    if rest := bins - sum(widths):
        if widths and rest < widths[-1]:
            widths[-1] += rest
        else:
            widths.append(rest)
    return widths
