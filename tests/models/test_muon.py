"""Muon against singular vectors, Adam against PyTorch's, and a training that resumes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from slakh_hier.models.config import Config
from slakh_hier.models.muon import LIKE_ADAM, Muon, orthogonal
from slakh_hier.models.training import train
from slakh_hier.models.weights import load_weights


@pytest.mark.parametrize("shape", [(32, 20), (20, 32), (3, 24, 40)])
def test_singular_vectors_stay_and_values_become_one(shape: tuple[int, ...]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    u, _, v = torch.linalg.svd(matrices, full_matrices=False)
    found = orthogonal(matrices)
    values = torch.diagonal(u.mT @ found @ v.mT, dim1=-2, dim2=-1)
    assert values.min() > 0.6
    assert values.max() < 1.3
    off = u.mT @ found @ v.mT - torch.diag_embed(values)
    assert off.abs().max() < 1e-3
    assert not orthogonal(torch.zeros(shape)).any()


def test_gates_are_matrices_of_their_own_and_biases_are_adams() -> None:
    torch.manual_seed(0)
    lstm = nn.LSTM(20, 16)
    before = {name: parameter.detach().clone() for name, parameter in lstm.named_parameters()}
    muon = Muon(lstm, 0.1)
    twin = nn.LSTM(20, 16)
    twin.load_state_dict(lstm.state_dict())
    adam = torch.optim.Adam(twin.parameters(), lr=0.1)
    gradients = {name: torch.randn_like(parameter) for name, parameter in before.items()}
    for module, optimizer in ((lstm, muon), (twin, adam)):
        for name, parameter in module.named_parameters():
            parameter.grad = gradients[name].clone()
        optimizer.step()
        optimizer.step()
    for name, parameter in twin.named_parameters():
        if "bias" in name:
            torch.testing.assert_close(lstm.get_parameter(name), parameter)
    # Both steps go along the same orthogonal matrices: their direction does not depend on the momentum's length.
    name = "weight_ih_l0"
    expected = torch.cat([orthogonal(gate) for gate in gradients[name].chunk(4)])
    moved = before[name] - lstm.get_parameter(name).detach()
    torch.testing.assert_close(moved, 2 * 0.1 * LIKE_ADAM * 20**0.5 * expected, rtol=1e-3, atol=1e-4)


def test_a_training_with_muon_resumes_to_the_bit(
    guitar_shards: Path, tiny_config: Callable[..., Config], tmp_path: Path
) -> None:
    def run(name: str, *epochs: int) -> torch.Tensor:
        for number in epochs:
            settings = (
                "optimizer.kind=muon",
                "network.units=16",
                "training.keep=last",
                f"training.epochs={number}",
            )
            train(tiny_config("sss", *settings), guitar_shards, tmp_path / name)
        return load_weights(tmp_path / name).separator.state_dict()["network.head.weight"]

    torch.testing.assert_close(run("at once", 2), run("in two", 1, 2), rtol=0, atol=0)
