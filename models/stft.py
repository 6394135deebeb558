"""The short-time Fourier transform that all separators share, and its exact inverse."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from slakh_hier.errors import InputError


class Stft(nn.Module):
    """STFT with a periodic square-root Hann window for both directions.

    Analysis times synthesis window is a Hann window, whose shifts by half a window add up to one: an unchanged
    spectrum comes back as the signal it was made from (better than 100 dB SNR in float32).

    Parameters
    ----------
    window
        Window and FFT length in samples (even). 1024, as in the paper: 64 ms at 16 kHz.
    hop
        Samples between frames: half a window, or a smaller part of it that divides it.
    """

    window: Tensor

    def __init__(self, window: int = 1024, hop: int = 512):
        super().__init__()
        if window < 2 or window % 2 or hop < 1 or window % hop or hop > window // 2:
            raise InputError(
                f"the STFT needs an even window and a hop that divides it and is at most half of it, "
                f"not window {window} and hop {hop}"
            )
        self.length, self.hop = window, hop
        # Not in the state dict: it follows from the configuration.
        self.register_buffer("window", torch.hann_window(window, periodic=True).sqrt(), persistent=False)

    @property
    def bins(self) -> int:
        """Frequency bins: 513 for a window of 1024."""
        return self.length // 2 + 1

    def frames(self, samples: int) -> int:
        """Frames of a signal of that many samples."""
        return -(-samples // self.hop) + 1

    def forward(self, signal: Tensor) -> Tensor:
        """Spectrum of signals.

        Frames are centred at multiples of the hop, with zeros outside the signal, which is first padded to whole
        hops: without that its last samples would lie under the falling end of one window only, and the inverse
        of a masked spectrum would be amplified there.

        Parameters
        ----------
        signal
            float, (..., samples). Computed in float32: half precision has no FFT.

        Returns
        -------
        Tensor
            complex64, (..., bins, frames).
        """
        signal = signal.float()
        lead = signal.shape[:-1]
        padded = nn.functional.pad(signal.reshape(-1, signal.shape[-1]), (0, -signal.shape[-1] % self.hop))
        spectrum = torch.stft(
            padded,
            self.length,
            self.hop,
            window=self.window,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )
        return spectrum.reshape(*lead, *spectrum.shape[-2:])

    def inverse(self, spectrum: Tensor, samples: int) -> Tensor:
        """Signals of spectra: complex64 (..., bins, frames) to float32 (..., samples)."""
        lead = spectrum.shape[:-2]
        signal = torch.istft(
            spectrum.reshape(-1, *spectrum.shape[-2:]),
            self.length,
            self.hop,
            window=self.window,
            center=True,
            length=(spectrum.shape[-1] - 1) * self.hop,
        )
        return signal[:, :samples].reshape(*lead, samples)


def magnitude(spectrum: Tensor) -> Tensor:
    """Magnitude of a complex tensor, as float of its shape; half the time of ``abs``, which guards against overflow."""
    return (spectrum.real.square() + spectrum.imag.square()).sqrt()


def inner_product(one: Tensor, other: Tensor, factor: Tensor | None = None) -> Tensor:
    """Real part of the inner product of spectra, each bin of it times ``factor``; bins below zero Hz included.

    With the window of :class:`Stft` it is that of the signals times the FFT length and the number of windows that overlap.

    Parameters
    ----------
    one, other
        Complex, (..., bins, frames), broadcast against each other.
    factor
        Real, the broadcast shape; None: 1.

    Returns
    -------
    Tensor
        Real, (...).
    """
    product = one.real * other.real + one.imag * other.imag
    bins = (product if factor is None else product * factor).sum(-1)
    # Spectra of real signals hold the bins at one side of zero Hz, which count for both; the first and the last are alone.
    return 2 * bins.sum(-1) - bins[..., 0] - bins[..., -1]


def energy(spectrum: Tensor, factor: Tensor | None = None) -> Tensor:
    """Energy of spectra, (..., bins, frames) to (...); see :func:`inner_product`."""
    return inner_product(spectrum, spectrum, factor)
