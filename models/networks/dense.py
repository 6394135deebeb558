"""A small network that learns fast on a CPU: dense layers around BLSTM layers, with a connection past them.

Like the masking network of Stöter et al., *Open-Unmix*, JOSS 2019: a dense layer compresses each frame before the recurrent
layers, which then are small, and what they say is read together with what it compressed. Notes of an instrument look alike
wherever they sound, at their own frequencies, so that dense layers over all bins learn them sooner than convolutions.
With a query, its anchor scales and shifts the compressed frames (Perez et al., *FiLM*, AAAI 2018).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from slakh_hier.models.layers import MaskNetwork, beside_frames, log_magnitude
from slakh_hier.models.registry import NetworkOptions, NetworkSpec, register_network
from slakh_hier.models.section import Layers, Probability, Width


class DenseOptions(NetworkOptions):
    """Sizes, and dropout before every layer but the first."""

    kind: Literal["dense"] = "dense"
    hidden: Width = 192
    """Features that a frame is compressed to."""
    layers: Layers = 1
    units: Width = 96
    """``layers`` and ``units``: BLSTM layers and units per direction."""
    bottleneck: Width = 128
    """Features from which the masks are made."""
    dropout: Probability = 0.1
    embedding: Width = 32
    query_units: Width = 128
    """``embedding`` and ``query_units``: length of the anchor, and features of a query's frame."""


class Dense(MaskNetwork):
    """Log magnitude, dense layer, BLSTM layers, dense layer, one linear layer, sigmoid."""

    def __init__(self, options: DenseOptions, spec: NetworkSpec):
        super().__init__(spec)
        o, anchor = options, options.embedding if spec.query else 0
        self.norm = nn.BatchNorm1d(spec.bins)
        self.compress = nn.Linear(spec.bins, o.hidden, bias=False)
        self.compress_norm = nn.BatchNorm1d(o.hidden)
        self.query = QueryStatistics(spec.bins, o.query_units, o.embedding) if spec.query else None
        self.condition = nn.Linear(o.embedding, 2 * o.hidden) if spec.query else None
        self.dropout = nn.Dropout(o.dropout)
        inputs = [o.hidden] + [2 * o.units] * (o.layers - 1)
        self.blstm = nn.ModuleList(
            nn.LSTM(n + anchor, o.units, batch_first=True, bidirectional=True) for n in inputs
        )
        self.join = nn.Linear(o.hidden + 2 * o.units, o.bottleneck, bias=False)
        self.join_norm = nn.BatchNorm1d(o.bottleneck)
        self.head = nn.Linear(o.bottleneck, spec.bins * spec.levels)

    def forward(self, mixture: Tensor, anchor: Tensor | None = None) -> Tensor:
        frame = self.norm(log_magnitude(mixture)).transpose(1, 2)  # (batch, frames, bins)
        frame = normalised(self.compress_norm, self.compress(frame))  # (batch, frames, hidden)
        if self.condition is not None:
            assert anchor is not None
            scale, shift = self.condition(anchor).unsqueeze(1).chunk(2, 2)
            frame = frame * (1 + scale) + shift
        hidden = frame = torch.relu(frame)
        for number, layer in enumerate(self.blstm):
            found, _ = layer(beside_frames(anchor, self.dropout(hidden)))
            hidden = hidden + found if number else found  # (batch, frames, 2 units)
        joined = normalised(self.join_norm, self.join(torch.cat((frame, hidden), 2)))
        return self.real_masks(self.head(torch.relu(joined)))


class QueryStatistics(nn.Module):
    """What a query sounds like: dense layers over short stretches, their mean and maximum over time, and two dense layers."""

    def __init__(self, bins: int, units: int, embedding: int):
        super().__init__()
        edges = merged_bands(bins)
        widths = torch.diff(torch.tensor(edges))
        # They follow from the number of bins: not in the state dict.
        self.register_buffer(
            "band",
            torch.repeat_interleave(torch.arange(len(widths)), widths, output_size=bins),
            persistent=False,
        )
        self.register_buffer("width", widths.float().unsqueeze(1), persistent=False)
        self.norm = nn.BatchNorm1d(len(widths))
        self.stretches = nn.Sequential(
            nn.Conv1d(len(widths), units, 3, padding=1, bias=False),
            nn.BatchNorm1d(units),
            nn.ReLU(),
            nn.Conv1d(units, units, 3, padding=1, bias=False),
            nn.BatchNorm1d(units),
            nn.ReLU(),
        )
        self.anchor = nn.Sequential(nn.Linear(2 * units, units), nn.ReLU(), nn.Linear(units, embedding))

    band: Tensor
    width: Tensor

    def forward(self, query: Tensor) -> Tensor:
        """complex64 (batch, bins, frames) to float32 (batch, embedding)."""
        power = query.real.square() + query.imag.square()
        bands = power.new_zeros((len(power), len(self.width), power.shape[2])).index_add_(1, self.band, power)
        features = 0.5 * torch.log(bands / self.width + 1e-8)  # (batch, bands, frames)
        hidden = self.stretches(self.norm(features))
        anchor: Tensor = self.anchor(torch.cat((hidden.mean(2), hidden.amax(2)), 1))
        return anchor.float()


def merged_bands(bins: int) -> list[int]:
    """Edges of bands that cover ``bins`` bins: single bins, then bands of a quarter tone (1.5 % of the frequency)."""
    edges = [0]
    while edges[-1] < bins:
        edges.append(min(bins, edges[-1] + max(1, int(edges[-1] * 0.015))))
    return edges


def normalised(norm: nn.BatchNorm1d, frames: Tensor) -> Tensor:
    """Batch norm of features over batch and frames: (batch, frames, features) in and out."""
    out: Tensor = norm(frames.flatten(0, 1)).view_as(frames)
    return out


register_network("dense", DenseOptions, Dense)
