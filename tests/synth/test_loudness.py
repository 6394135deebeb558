"""Loudness against pyloudnorm."""

from __future__ import annotations

import math

import numpy as np
import pyloudnorm
import pytest

from slakh_hier.synth.loudness import LoudnessMeter, gain_to

RATE = 44_100


def metered(signal, block=10_000):
    meter = LoudnessMeter(RATE)
    for place in range(0, len(signal), block):
        meter.add(signal[place : place + block])
    return meter


def music(seconds, seed):
    """Noise in bursts of many levels, with silence between."""
    random = np.random.default_rng(seed)
    levels = np.repeat(10 ** random.uniform(-4, 0, math.ceil(seconds * 4)), RATE // 4)[
        : round(seconds * RATE)
    ]
    levels *= np.repeat(random.random(math.ceil(seconds)) > 0.3, RATE)[: len(levels)]
    return 0.3 * levels * random.standard_normal(len(levels))


@pytest.mark.parametrize("seconds", [0.4, 0.5, 1.0, 3.3, 12.0])
def test_as_pyloudnorm(seconds):
    for seed in range(4):
        signal = music(seconds, seed)
        expected = pyloudnorm.Meter(RATE).integrated_loudness(signal)
        assert metered(signal).integrated() == pytest.approx(expected, abs=0.005)


def test_at_a_gain_as_pyloudnorm_at_that_level():
    signal = music(10, 1)
    meter = metered(signal)
    for gain in (2.0, 0.1, 0.001):
        expected = pyloudnorm.Meter(RATE).integrated_loudness(signal * gain)
        assert meter.integrated(gain) == pytest.approx(expected, abs=0.01)


def test_blocks_do_not_matter():
    signal = music(3, 2)
    values = {metered(signal, block).integrated() for block in (1, 4410, 7001, len(signal)) if block > 1}
    assert max(values) - min(values) < 1e-9


@pytest.mark.parametrize("target", [-13.0, -30.0, -65.0])
def test_gain_to(target):
    for seed in range(3):
        signal = music(8, seed)
        gain = gain_to(metered(signal), target)
        assert pyloudnorm.Meter(RATE).integrated_loudness(signal * gain) == pytest.approx(target, abs=0.01)


def test_silence_has_no_loudness_and_keeps_its_gain():
    meter = metered(np.zeros(RATE))
    assert meter.integrated() == -math.inf
    assert gain_to(meter, -13.0) == 1.0
    assert gain_to(LoudnessMeter(RATE), -13.0) == 1.0


@pytest.mark.parametrize("samples", [1, 50, 5000])
def test_shorter_than_a_block(samples):
    signal = np.random.default_rng(0).standard_normal(samples) * 0.1
    meter = metered(signal)
    gain = gain_to(meter, -13.0)
    assert math.isfinite(gain)
    padded = np.concatenate([signal, np.zeros(RATE)])[: int(0.4 * RATE)]
    assert pyloudnorm.Meter(RATE).integrated_loudness(padded * gain) == pytest.approx(-13, abs=0.01)


def test_a_click_in_a_long_silence_has_a_finite_gain():
    signal = np.zeros(20 * RATE)
    signal[RATE] = 1e-5
    gain = gain_to(metered(signal), -13.0)
    assert pyloudnorm.Meter(RATE).integrated_loudness(signal * gain) == pytest.approx(-13, abs=0.05)
