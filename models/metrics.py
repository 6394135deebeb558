"""How estimates are measured: a table of metrics, to which a file for ``--import`` can add its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio

from slakh_hier.errors import InputError
from slakh_hier.scores.summary import MetricAbout

FLOOR_DB = -120.0
"""Of the leakage: less than 16-bit audio can hold."""


@dataclass(frozen=True)
class Metric:
    """How one property of estimates is measured."""

    function: Callable[[Tensor, Tensor, Tensor], Tensor]
    """Of estimates, targets and mixtures, float32 (clips, levels, channels, samples), the mixtures broadcast over levels:
    the value of each, (clips, levels); NaN where there is none."""
    unit: str
    heading: str
    better: Literal["higher", "lower"]
    where: Literal["sounding", "silent"] = "sounding"
    """``unit`` to ``where``: see :class:`~slakh_hier.scores.summary.MetricAbout`."""

    @property
    def about(self) -> MetricAbout:
        """What it is, for people."""
        return MetricAbout(heading=self.heading, unit=self.unit, better=self.better, where=self.where)


def measure(name: str, estimates: Tensor, targets: Tensor, mixtures: Tensor) -> Tensor:
    """A metric of estimates, float64 (clips, levels); shapes as for :class:`Metric`.

    Raises
    ------
    InputError
        The metric's function gives another shape.
    """
    found = METRICS[name].function(estimates, targets, mixtures)
    if found.shape != targets.shape[:2]:
        raise InputError(
            f"metric {name} gave {tuple(found.shape)} values; (clips, levels) is {tuple(targets.shape[:2])} here"
        )
    return found.double()


def si_sdr(estimate: Tensor, target: Tensor) -> Tensor:
    """Scale-invariant SDR in dB: zero mean, optimal scaling (Le Roux et al., ICASSP 2019), by torchmetrics.

    With the mean of each channel removed from the estimate e and the target s, one scale a = <e, s> / <s, s> for all
    channels, and products that are sums over all channels: 10 log10 (|a s|^2 / |e - a s|^2).

    Parameters
    ----------
    estimate, target
        (..., channels, samples), broadcast against each other. Computed in float64.

    Returns
    -------
    Tensor
        float64, (...). NaN where the estimate or the target is constant (silent): torchmetrics would return
        0 dB for a silent estimate, better than most mixtures.
    """
    shape = torch.broadcast_shapes(estimate.shape, target.shape)  # type: ignore[no-untyped-call]
    estimate, target = (_centred(signal).expand(shape).flatten(-2) for signal in (estimate, target))
    value = scale_invariant_signal_distortion_ratio(estimate, target)
    silent = _silent(estimate) | _silent(target)
    return value.masked_fill(silent, math.nan)


def leakage(estimate: Tensor, mixture: Tensor) -> Tensor:
    """Energy of an estimate that should be silent, in dB of the mixture's; (..., channels, samples) to float64 (...)."""
    energies = [signal.double().square().sum((-2, -1)) for signal in (estimate, mixture)]
    energy = energies[0] / energies[1].clamp_min(1e-30)
    return 10 * torch.log10(energy.clamp_min(10 ** (FLOOR_DB / 10)))


def _centred(signal: Tensor) -> Tensor:
    signal = signal.double()
    return signal - signal.mean(-1, keepdim=True)


def _silent(centred: Tensor) -> Tensor:
    return centred.abs().amax(-1) < 1e-12


METRICS: dict[str, Metric] = {
    "si_sdr": Metric(lambda estimate, target, mixture: si_sdr(estimate, target), "dB", "SI-SDR", "higher"),
    "leakage": Metric(
        lambda estimate, target, mixture: leakage(estimate, mixture), "dB", "leakage", "lower", "silent"
    ),
}
"""All metrics by name; a new metric is a new entry. ``si_sdr`` decides which clips count."""
