"""The paper's network: mask inference by BLSTM layers, for one path (SSS) or for the sound of a query (QBE).

Sizes and features follow Manilow, Wichern, Le Roux, *Hierarchical Musical Instrument Separation*, ISMIR 2020.
"""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from slakh_hier.models.layers import (
    BlstmStack,
    MaskNetwork,
    QueryOptions,
    beside_frames,
    log_magnitude,
    query_encoder,
    standardised,
)
from slakh_hier.models.registry import NetworkSpec, register_network
from slakh_hier.models.section import Layers, Probability, Width


class BlstmOptions(QueryOptions):
    """The paper's sizes."""

    kind: Literal["blstm"] = "blstm"
    layers: Layers = 4
    units: Width = 600
    dropout: Probability = 0.3
    """``layers`` to ``dropout``: BLSTM layers, units per direction, dropout between layers. The query's encoder has as
    many units."""
    batch_norm: bool | None = None
    """Standardise each bin of the log magnitude over batch and frames. None: as in the paper, for SSS only."""


class Blstm(MaskNetwork):
    """Log magnitude, batch norm, BLSTM layers, one linear layer, sigmoid: one mask for each level.

    At the paper's size SSS has 31.9 M parameters for one level and 33.1 M for three. With a query its anchor stands
    beside every frame of the mixture: 58.3 M and 59.6 M parameters with the encoder.
    """

    def __init__(self, options: BlstmOptions, spec: NetworkSpec):
        super().__init__(spec)
        norm = not spec.query if options.batch_norm is None else options.batch_norm
        self.norm = standardised(spec.bins, norm)
        self.query = query_encoder(
            options, spec, units=options.units, dropout=options.dropout, batch_norm=norm
        )
        anchor = options.embedding if spec.query else 0
        self.blstm = BlstmStack(spec.bins + anchor, options.units, options.layers, options.dropout)
        self.head = nn.Linear(2 * options.units, spec.bins * spec.levels)

    def forward(self, mixture: Tensor, anchor: Tensor | None = None) -> Tensor:
        features = self.norm(log_magnitude(mixture)).transpose(1, 2)  # (batch, frames, bins)
        return self.real_masks(self.head(self.blstm(beside_frames(anchor, features))))


register_network("blstm", BlstmOptions, Blstm)
