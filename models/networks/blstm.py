"""The paper's network: mask inference by BLSTM layers, for one path (SSS) or for the sound of a query (QBE).

Sizes and features follow Manilow, Wichern, Le Roux, ISMIR 2020, sections 4 and 5.2.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from slakh_hier.models.layers import BlstmStack, QueryOptions, log_magnitude, query_encoder, standardised
from slakh_hier.models.registry import NetworkSpec, register_network
from slakh_hier.models.section import Layers, Probability, Width


class BlstmOptions(QueryOptions):
    """The paper's sizes.

    Attributes
    ----------
    layers, units, dropout
        BLSTM layers, units per direction, dropout between layers. The query's encoder has as many units.
    batch_norm
        Standardise each bin of the log magnitude over batch and frames. None: as in the paper, for SSS only.
    """

    kind: Literal["blstm"] = "blstm"
    layers: Layers = 4
    units: Width = 600
    dropout: Probability = 0.3
    batch_norm: bool | None = None


class Blstm(nn.Module):
    """Log magnitude, batch norm, BLSTM layers, one linear layer, sigmoid: one mask for each level.

    At the paper's size SSS has 31.9 M parameters for one level and 33.1 M for three. With a query its anchor stands
    beside every frame of the mixture: 58.3 M and 59.6 M parameters with the encoder.
    """

    def __init__(self, options: BlstmOptions, spec: NetworkSpec):
        super().__init__()
        self.levels = spec.levels
        norm = not spec.query if options.batch_norm is None else options.batch_norm
        self.norm = standardised(spec.bins, norm)
        self.query = query_encoder(
            options, spec, units=options.units, dropout=options.dropout, batch_norm=norm
        )
        anchor = options.embedding if spec.query else 0
        self.blstm = BlstmStack(spec.bins + anchor, options.units, options.layers, options.dropout)
        self.head = nn.Linear(2 * options.units, spec.bins * spec.levels)

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
            float32 in [0, 1], (batch, levels, bins, frames), leaf first.
        """
        features = self.norm(log_magnitude(mixture)).transpose(1, 2)  # (batch, frames, bins)
        if self.query is not None:
            assert anchor is not None
            repeated = anchor.unsqueeze(1).expand(-1, features.shape[1], -1)  # (batch, frames, embedding)
            features = torch.cat((features, repeated), 2)
        logits: Tensor = self.head(self.blstm(features)).float()  # (batch, frames, levels x bins)
        batch, frames, _ = logits.shape
        return torch.sigmoid(logits).view(batch, frames, self.levels, -1).permute(0, 2, 3, 1)


register_network("blstm", BlstmOptions, Blstm)
