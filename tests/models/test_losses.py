"""The losses on examples small enough to do by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

from slakh_hier.errors import ConfigError
from slakh_hier.models.config_file import load_config
from slakh_hier.models.losses.complex import complex_terms
from slakh_hier.models.losses.si_sdr import si_sdr_terms
from slakh_hier.models.losses.tpsa import tpsa_terms, truncated_target
from slakh_hier.models.objective import Estimate, masked_sums
from slakh_hier.models.registry import LOSSES
from slakh_hier.models.stft import Stft


def test_two_bins_by_hand() -> None:
    """|X| = 2; S = 1 at 60 degrees gives 0.5, S = 3 in phase is cut to 2; masks 0.5 and 0.75."""
    mixture = torch.tensor([2.0 + 0j, 2.0 + 0j]).reshape(1, 1, 2, 1)
    source = torch.polar(torch.tensor([1.0, 3.0]), torch.tensor([math.pi / 3, 0.0])).reshape(1, 1, 1, 2, 1)
    masks = torch.tensor([0.5, 0.75]).reshape(1, 1, 1, 2, 1)
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
    mixture = torch.tensor([[[[1.0 + 1j]]]])
    source = torch.tensor([[[[[0.5 - 1j]]]]])
    masks = torch.full((1, 1, 1, 1, 1), 0.5)
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


def spectra(
    seed: int = 0, batch: int = 2, levels: int = 3, channels: int = 2, samples: int = 2000
) -> tuple[torch.Tensor, torch.Tensor]:
    """A mixture's and its sources' signals: (batch, channels, samples) and (batch, levels, channels, samples)."""
    rng = torch.Generator().manual_seed(seed)
    parts = torch.randn(batch, levels + 1, channels, samples, generator=rng)
    parts[:, 0] *= 3
    parts[:, :, 0] *= 2  # the left channel is louder
    return parts.sum(1), parts[:, :-1].cumsum(1)


@pytest.mark.parametrize("hop", [32, 16])
def test_si_sdr_of_spectra_is_that_of_signals(hop: int) -> None:
    """A complex mask that turns the mixture into any signal, so that the estimate's spectrum is one."""
    stft = Stft(64, hop)
    mixture, sources = spectra()
    estimates = sources.roll(1, 1) + 0.3 * torch.randn(
        sources.shape, generator=torch.Generator().manual_seed(1)
    )
    x = stft(mixture)
    masks = stft(estimates) / x.unsqueeze(1)
    found = si_sdr_terms(masks, x, stft(sources))
    expected = -scale_invariant_signal_distortion_ratio(estimates.flatten(2), sources.flatten(2))
    torch.testing.assert_close(found, expected, atol=0.05, rtol=0)
    # Twice as loud is the same, but for the level.
    louder = si_sdr_terms(2 * masks, x, stft(sources), level=1.0) - found
    level = 20 * torch.log10(2 * estimates.flatten(2).norm(dim=2) / sources.flatten(2).norm(dim=2)).abs()
    torch.testing.assert_close(louder, level, atol=0.05, rtol=0)


def test_si_sdr_of_real_masks_is_that_of_the_complex_ones() -> None:
    stft = Stft(64, 32)
    mixture, sources = spectra()
    x, s = stft(mixture), stft(sources)
    masks = torch.rand(s.shape, generator=torch.Generator().manual_seed(2))
    torch.testing.assert_close(
        si_sdr_terms(masks, x, s, 0.1), si_sdr_terms(masks.to(x.dtype), x, s, 0.1), atol=1e-3, rtol=1e-4
    )


def test_si_sdr_leaves_silent_targets_out_and_stays_finite_at_both_ends() -> None:
    stft = Stft(64, 32)
    mixture, sources = spectra()
    sources[0, 0] = 0
    sources[1, 2] = mixture[1]
    masks = torch.ones(2, 3, 2, stft.bins, stft.frames(2000), requires_grad=True)
    terms = si_sdr_terms(masks, stft(mixture), stft(sources), 0.1)
    assert terms[0, 0] == 0
    assert float(terms[1, 2].detach()) == pytest.approx(-40, abs=0.1)  # perfect, and no better than that
    (terms.sum() + si_sdr_terms(0 * masks, stft(mixture), stft(sources), 0.1).sum()).backward()
    assert masks.grad is not None
    assert masks.grad.isfinite().all()
    assert not masks.grad[0, 0].any()


def test_closed_masks_are_no_optimum_of_si_sdr_as_they_are_of_tpsa() -> None:
    """A target that is the weaker part of every bin: L1 closes the masks, SI-SDR opens them."""
    stft = Stft(64, 32)
    mixture, _ = spectra(batch=1)
    x = stft(mixture)
    s = (
        0.3
        * x.unsqueeze(1)
        * torch.rand((1, 1, *x.shape[1:]), generator=torch.Generator().manual_seed(3)).round()
    )
    gradients = []
    for loss in (tpsa_terms, lambda m, x, s: si_sdr_terms(m, x, s, 0.1)):
        masks = torch.full(s.shape, 0.02, requires_grad=True)
        loss(masks, x, s).sum().backward()
        assert masks.grad is not None
        gradients.append(float((masks.grad * x.abs()).sum()))  # of opening all masks together
    assert gradients[1] < 0


def test_a_sum_of_losses_is_their_sum() -> None:
    config = load_config("sss", settings=["loss.kind=sum", "loss.parts={complex: 2, tpsa: 0.5}"])
    stft = Stft(64, 32)
    mixture, sources = spectra()
    x, s = stft(mixture), stft(sources)
    masks = torch.rand(s.shape)
    available = torch.ones(2, 3, dtype=torch.bool)
    signals = torch.cat((mixture.unsqueeze(1), sources), 1)
    found = LOSSES.build(config.loss)(Estimate(masks, x, s, signals, available, stft))
    torch.testing.assert_close(found, 2 * complex_terms(masks, x, s) + 0.5 * tpsa_terms(masks, x, s))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["loss.parts={tpsaa: 1}"], "did you mean tpsa"),
        (["loss.parts={sum: 1}"], "cannot be a part of itself"),
        (["loss.parts={}"], "loss.parts"),
        (["loss.parts={tpsa: 1}", "network.kind=bandsplit"], "needs real masks"),
    ],
)
def test_sums_that_cannot_be(settings: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config("sss", settings=["loss.kind=sum", *settings])


def test_weights_count_above_and_below_the_line() -> None:
    terms = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    available = torch.tensor([[True, True], [False, True]])
    weights = torch.tensor([[1.0, 0.5], [2.0, 0.0]])
    total, count = masked_sums(terms, available, "available", weights)
    assert (total.item(), count.item()) == (2.0, 1.5)
    total, count = masked_sums(terms, available, "all", weights)
    assert (total.item(), count.item()) == (2.0, 3.5)
