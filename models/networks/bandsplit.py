"""A band-split recurrent network with complex masks.

After Luo and Yu, *Music Source Separation with Band-Split RNN*, IEEE/ACM TASLP 31, 2023: the spectrum is cut
into bands, narrow where instruments have their fundamentals; recurrent layers run along time within each band
and along the bands within each frame; a small network per band estimates complex masks. Here with fewer layers
and bands than in the article, one mask per level and channel, and optionally the anchor of a query. All channels of a
clip are seen at once: a band's features are those of all of them.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from slakh_hier.models.layers import MaskNetwork, QueryOptions, query_encoder
from slakh_hier.models.registry import NetworkSpec, register_network
from slakh_hier.models.section import Layers, Probability, Width

BAND_PLAN = ((64, 8), (256, 16), (1024, 32))
"""Up to bin 64 bands of 8 bins, up to bin 256 of 16, up to bin 1024 of 32, above of 64: 125, 250 and 500 Hz at 16 kHz and 1024
points; 86, 172, 345 and 689 Hz at 44.1 kHz and 4096 points."""
WIDEST = 64


class BandSplitOptions(QueryOptions):
    """Sized to have fewer sequential steps and fewer multiplications than the paper's SSS network."""

    complex_masks: ClassVar[bool] = True
    joint_channels: ClassVar[bool] = True
    kind: Literal["bandsplit"] = "bandsplit"
    layers: Layers = 3
    """Pairs of a layer along time and a layer along bands."""
    features: Width = 64
    """Features per band."""
    units: Width = 96
    dropout: Probability = 0.0
    """``units`` and ``dropout``: LSTM units per direction; dropout before the linear layer behind each LSTM."""
    query_layers: Layers = 1
    query_units: Width = 128
    """LSTM units per direction of the query's encoder."""


class BandSplit(MaskNetwork):
    """Complex masks for each level of a path, by recurrent layers along time and along frequency bands."""

    def __init__(self, options: BandSplitOptions, spec: NetworkSpec):
        super().__init__(spec)
        features = options.features
        self.query = query_encoder(options, spec, units=options.query_units, dropout=options.dropout)
        self.widths = band_widths(spec.bins)
        self.split = nn.ModuleList(
            nn.Sequential(nn.GroupNorm(1, numbers), nn.Conv1d(numbers, features, 1))
            for numbers in (2 * spec.channels * width for width in self.widths)
        )
        self.condition = nn.Linear(options.embedding, features) if spec.query else None
        self.along_time, self.along_bands = (
            nn.ModuleList(
                ResidualBlstm(features, options.units, options.dropout) for _ in range(options.layers)
            )
            for _ in range(2)
        )
        self.heads = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(features),
                nn.Linear(features, 4 * features),
                nn.Tanh(),
                nn.Linear(4 * features, 4 * width * spec.channels * spec.levels),
                nn.GLU(),
            )
            for width in self.widths
        )

    def forward(self, mixture: Tensor, anchor: Tensor | None = None) -> Tensor:
        batch, channels, _, frames = mixture.shape
        parts = torch.view_as_real(mixture).permute(0, 2, 1, 4, 3)  # (batch, bins, channels, 2, frames)
        bands = [
            split(part.flatten(1, 3))  # (batch, features, frames)
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
        tf_masks = [
            head(hidden[:, band]).float().unflatten(2, (self.levels, channels, width, 2))
            for band, (head, width) in enumerate(zip(self.heads, self.widths, strict=True))
        ]
        joined = torch.cat(tf_masks, 4).permute(
            0, 2, 3, 4, 1, 5
        )  # (batch, levels, channels, bins, frames, 2)
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


register_network("bandsplit", BandSplitOptions, BandSplit)
