"""The hierarchical constraint against hand-made masks and a plain loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from slakh_hier.models.constraint import hierarchical_maximum


def column(*values: float) -> torch.Tensor:
    """One bin: (1, levels, 1, 1), finest first."""
    return torch.tensor(values).reshape(1, -1, 1, 1)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ((0.9, 0.5, 0.2), (0.9, 0.9, 0.9)),
        ((0.2, 0.5, 0.9), (0.2, 0.5, 0.9)),
        ((0.5, 0.2, 0.9), (0.5, 0.5, 0.9)),
    ],
)
def test_a_parent_is_never_below_its_child(before: tuple[float, ...], after: tuple[float, ...]) -> None:
    torch.testing.assert_close(hierarchical_maximum(column(*before)), column(*after))


def test_it_is_the_pairwise_maximum_from_the_leaf_up() -> None:
    masks = torch.rand(2, 4, 5, 6, generator=torch.Generator().manual_seed(1))
    expected = masks.numpy().copy()
    for level in range(1, 4):
        expected[:, level] = np.maximum(expected[:, level], expected[:, level - 1])
    np.testing.assert_array_equal(hierarchical_maximum(masks).numpy(), expected)


def test_the_gradient_goes_through_the_winner() -> None:
    masks = column(0.9, 0.5, 0.95).requires_grad_()
    weights = column(1.0, 10.0, 100.0)
    (hierarchical_maximum(masks) * weights).sum().backward()
    assert masks.grad is not None
    # The leaf wins at its own level and the next; the top keeps its own mask.
    torch.testing.assert_close(masks.grad, column(11.0, 0.0, 100.0))


def test_complex_masks_are_raised_in_magnitude_and_keep_their_phase() -> None:
    masks = torch.polar(column(0.9, 0.5, 2.0), column(0.1, 1.2, -3.0))
    raised = hierarchical_maximum(masks)
    torch.testing.assert_close(raised.abs(), column(0.9, 0.9, 2.0))
    torch.testing.assert_close(raised.angle(), column(0.1, 1.2, -3.0))
