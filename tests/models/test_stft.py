"""The STFT against numpy's FFT, and its inverse against the signal."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from slakh_hier.errors import InputError
from slakh_hier.models.stft import Stft


def snr(signal: torch.Tensor, estimate: torch.Tensor) -> float:
    return float(
        10 * torch.log10(signal.double().square().sum() / (signal - estimate).double().square().sum())
    )


@pytest.mark.parametrize("samples", [1, 511, 512, 513, 1023, 1024, 5120, 16_001])
@pytest.mark.parametrize(("window", "hop"), [(1024, 512), (1024, 256), (64, 32)])
def test_inverse_gives_the_signal_back(samples: int, window: int, hop: int) -> None:
    signal = torch.randn(2, 3, samples, generator=torch.Generator().manual_seed(samples))
    stft = Stft(window, hop)
    spectrum = stft(signal)
    assert spectrum.shape == (2, 3, window // 2 + 1, stft.frames(samples))
    assert snr(signal, stft.inverse(spectrum, samples)) > 100


def test_masked_spectrum_is_not_amplified_at_the_ends() -> None:
    """A random mask in [0, 1] must not make any part much louder than the signal."""
    generator = torch.Generator().manual_seed(0)
    stft = Stft(1024, 512)
    signal = torch.randn(1, 512 * 20 + 511, generator=generator)
    spectrum = stft(signal)
    mask = torch.rand(spectrum.shape, generator=generator)
    masked = stft.inverse(spectrum * mask, signal.shape[-1])
    assert masked[:, :256].abs().max() < 2 * signal.abs().max()
    assert masked[:, -256:].abs().max() < 2 * signal.abs().max()


def test_frames_are_those_of_numpy() -> None:
    signal = np.random.default_rng(0).standard_normal(4096)
    spectrum = Stft(1024, 512)(torch.from_numpy(signal)[None])[0].numpy()
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(1024) / 1024))
    for frame in (1, 3, 5):
        excerpt = signal[(frame - 1) * 512 : (frame - 1) * 512 + 1024]
        np.testing.assert_allclose(spectrum[:, frame], np.fft.rfft(window * excerpt), atol=1e-4)


@pytest.mark.parametrize(("window", "hop"), [(1023, 512), (1024, 500), (1024, 1024), (1024, 0)])
def test_windows_that_cannot_be_inverted_are_refused(window: int, hop: int) -> None:
    with pytest.raises(InputError, match="window"):
        Stft(window, hop)
