"""The losses on examples small enough to do by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from slakh_hier.models.losses.complex import complex_terms
from slakh_hier.models.losses.tpsa import tpsa_terms, truncated_target
from slakh_hier.models.objective import masked_sums


def test_two_bins_by_hand() -> None:
    """|X| = 2; S = 1 at 60 degrees gives 0.5, S = 3 in phase is cut to 2; masks 0.5 and 0.75."""
    mixture = torch.tensor([2.0 + 0j, 2.0 + 0j]).reshape(1, 2, 1)
    source = torch.polar(torch.tensor([1.0, 3.0]), torch.tensor([math.pi / 3, 0.0])).reshape(1, 1, 2, 1)
    masks = torch.tensor([0.5, 0.75]).reshape(1, 1, 2, 1)
    expected = (abs(0.5 * 2 - 0.5) + abs(0.75 * 2 - 2.0)) / 2
    torch.testing.assert_close(tpsa_terms(masks, mixture, source), torch.tensor([[expected]]))


def test_target_against_its_formula() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 50)) + 1j * rng.standard_normal((3, 50))
    s = rng.standard_normal((3, 50)) + 1j * rng.standard_normal((3, 50))
    expected = np.clip(np.abs(s) * np.cos(np.angle(s) - np.angle(x)), 0, np.abs(x))
    found = truncated_target(torch.from_numpy(x), torch.from_numpy(s)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_target_is_zero_where_the_mixture_is() -> None:
    zero = torch.zeros(1, 1, dtype=torch.complex64)
    assert truncated_target(zero, zero + 1).item() == 0


def test_complex_loss_by_hand() -> None:
    mixture = torch.tensor([[[1.0 + 1j]]])
    source = torch.tensor([[[[0.5 - 1j]]]])
    masks = torch.full((1, 1, 1, 1), 0.5)
    # 0.5 (1 + 1j) - (0.5 - 1j) = 0 + 1.5j
    torch.testing.assert_close(complex_terms(masks, mixture, source), torch.tensor([[1.5]]))


def test_withheld_terms_contribute_nothing() -> None:
    terms = torch.tensor([[1.0, 2.0], [1e30, 4.0]], requires_grad=True)
    available = torch.tensor([[True, True], [False, True]])
    total, count = masked_sums(terms, available, "all")
    assert (total.item(), count.item()) == (7.0, 4.0)
    total, count = masked_sums(terms, available, "available")
    assert (total.item(), count.item()) == (7.0, 3.0)
    total.backward()
    assert terms.grad is not None
    torch.testing.assert_close(terms.grad, available.float())


@pytest.mark.parametrize("denominator", ["all", "available"])
def test_a_batch_without_ground_truth_has_no_gradient(denominator: str) -> None:
    terms = torch.ones(2, 3, requires_grad=True)
    total, count = masked_sums(terms, torch.zeros(2, 3, dtype=torch.bool), denominator)  # type: ignore[arg-type]
    loss = total / count.clamp_min(1)
    loss.backward()
    assert loss.item() == 0
    assert terms.grad is not None
    assert not terms.grad.any()


def test_parts_of_a_batch_add_up() -> None:
    terms = torch.rand(6, 3, generator=torch.Generator().manual_seed(0))
    available = torch.rand(6, 3, generator=torch.Generator().manual_seed(1)) > 0.4
    whole = masked_sums(terms, available, "available")
    parts = [masked_sums(terms[part], available[part], "available") for part in (slice(0, 1), slice(1, 6))]
    torch.testing.assert_close(whole[0] / whole[1], sum(p[0] for p in parts) / sum(p[1] for p in parts))
