"""AutoClip against numpy's percentile and torch's clipping."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from slakh_hier.models.autoclip import AutoClip


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=60), st.floats(0, 100))
def test_threshold_is_the_percentile_of_all_norms_so_far(norms: list[float], percentile: float) -> None:
    clip = AutoClip(percentile)
    for step, norm in enumerate(norms):
        assert clip.threshold(norm) == pytest.approx(np.percentile(norms[: step + 1], percentile))


def parameter(values: list[float]) -> nn.Parameter:
    p = nn.Parameter(torch.zeros(len(values)))
    p.grad = torch.tensor(values)
    return p


def test_gradients_are_clipped_by_their_global_norm() -> None:
    clip = AutoClip(50.0)
    clip.threshold(1.0)
    weights = [parameter([3.0]), parameter([0.0, 4.0])]
    norm, threshold = clip.clip(weights)
    assert norm == pytest.approx(5.0)
    assert threshold == pytest.approx(3.0)  # the median of 1 and 5
    clipped = torch.cat([p.grad for p in weights if p.grad is not None])
    torch.testing.assert_close(clipped, torch.tensor([3.0, 0.0, 4.0]) * 3 / 5, rtol=1e-5, atol=0)
    np.testing.assert_allclose(clip.history, [1.0, 5.0])  # recorded before clipping


def test_small_gradients_stay() -> None:
    clip = AutoClip(100.0)
    weights = [parameter([0.3])]
    clip.clip(weights)
    assert weights[0].grad is not None
    assert weights[0].grad.item() == pytest.approx(0.3, rel=1e-7)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_norms_that_are_not_finite_are_ignored(bad: float) -> None:
    clip = AutoClip(10.0)
    clip.threshold(2.0)
    norm, threshold = clip.clip([parameter([bad])])
    assert not math.isfinite(norm)
    assert math.isnan(threshold)
    np.testing.assert_array_equal(clip.history, [2.0])


def test_without_a_percentile_nothing_is_clipped() -> None:
    clip = AutoClip(None)
    weights = [parameter([100.0])]
    clip.threshold(1.0)
    assert clip.clip(weights) == (100.0, math.inf)
    assert weights[0].grad is not None
    assert weights[0].grad.item() == 100.0


def test_the_history_survives_saving() -> None:
    clip, other = AutoClip(10.0), AutoClip(10.0)
    for norm in np.random.default_rng(0).random(3000):
        clip.threshold(float(norm))
    other.load_state_dict(clip.state_dict())
    assert other.threshold(0.5) == clip.threshold(0.5)
    assert len(other.history) == 3001
