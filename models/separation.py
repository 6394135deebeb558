"""Separate audio of any length and rate; nothing is lost: residual + coarsest level = input."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Literal

import numpy as np
import soxr
import torch
from numpy.typing import NDArray
from torch import Tensor

from slakh_hier.errors import InputError
from slakh_hier.memory import keep_freed_memory
from slakh_hier.models.separator import Separator
from slakh_hier.models.weights import RESIDUAL, Trained, load_weights
from slakh_hier.paths import StrPath

Audio = NDArray[np.float32]
Read = Callable[[int, int], Audio]
Device = Literal["auto", "cpu", "cuda"]
GPU_WINDOWS = 8
SILENT_QUERY = "the query is silent; give a recording of the instrument to separate"


@dataclass(frozen=True)
class Block:
    """A finished stretch of a separation: consecutive blocks make up the whole."""

    mixture: Audio
    """The input, float32, (channels, samples)."""
    estimates: Audio
    """float32, (levels, channels, samples), finest first."""


def separate(
    separator: Trained | StrPath,
    audio: Audio,
    sample_rate: int,
    *,
    query: Audio | None = None,
    query_rate: int | None = None,
    window_seconds: float | None = 30.0,
    overlap_seconds: float = 3.0,
    device: Device = "auto",
) -> dict[str, Audio]:
    """Separate a signal in memory.

    Parameters
    ----------
    separator
        A run folder, or what :func:`~slakh_hier.models.weights.load_weights` returned.
    audio
        float, (samples,) or (channels, samples), full scale 1.0; see :class:`Model` for what becomes of channels.
    sample_rate
        Of ``audio``, Hz; the separator works at its own rate, and the estimates come back at this one.
    query
        QBE: the sound to look for, (samples,) or (channels, samples).
    query_rate
        Of ``query``, Hz; None: ``sample_rate``.
    window_seconds, overlap_seconds
        Audio is processed in windows that overlap and are cross-faded; None: all at once, which takes
        memory in proportion to the length.
    device
        ``auto``: a GPU where there is one.

    Returns
    -------
    dict
        The shape of ``audio`` for each level's name, finest first, and ``residual``: the input minus the coarsest
        level.

    Raises
    ------
    InputError
        A query is missing or not wanted, or audio is empty or not finite.
    """
    trained = separator if isinstance(separator, Trained) else load_weights(separator)
    many = _channels(audio, "audio")
    model = Model(trained, device=device, query=query, query_rate=query_rate or sample_rate)
    blocks = list(
        model.blocks(
            lambda start, count: many[:, start : start + count],
            many.shape[1],
            sample_rate,
            window_seconds=window_seconds,
            overlap_seconds=overlap_seconds,
        )
    )
    estimates = np.concatenate([block.estimates for block in blocks], 2)
    found = dict(zip(trained.about.names, estimates, strict=True))
    found[RESIDUAL] = many - estimates[-1]
    return {name: signal.reshape(np.shape(audio)) for name, signal in found.items()}


class Model:
    """A separator on a device, with its query encoded, ready for any number of signals.

    ``at_once`` windows of a signal are processed together: several on a GPU, one on a CPU.

    A separator whose network sees each channel by itself takes any number of them. One that sees two at once takes stereo
    signals as they are; each channel of others sounds in both of its channels, and the estimate is their mean.
    """

    def __init__(
        self,
        trained: Trained,
        *,
        device: Device = "auto",
        query: Audio | None = None,
        query_rate: int | None = None,
    ):
        keep_freed_memory()
        self.folder, self.rate, self.device = trained.folder, trained.about.sample_rate, pick_device(device)
        self.at_once = GPU_WINDOWS if self.device.type == "cuda" else 1
        self.separator: Separator = trained.separator.to(self.device)
        self.anchor: Tensor | None = None
        if self.separator.takes_query and query is None:
            raise InputError(
                f"{trained.folder} was trained for qbe: it needs a query, a recording of the instrument to separate "
                "(--query FILE)"
            )
        if query is not None:
            if not self.separator.takes_query:
                raise InputError(
                    f"{trained.folder} was trained for sss ({trained.about.names[0]}): it takes no query; leave it out"
                )
            many = _channels(query, "query")
            if not many.any():
                raise InputError(SILENT_QUERY)
            sound = torch.from_numpy(_resample(many, query_rate or self.rate, self.rate))
            with torch.inference_mode():
                self.anchor = self.separator.encode(sound.to(self.device).unsqueeze(0))

    def blocks(
        self,
        read: Read,
        frames: int,
        rate: int,
        *,
        window_seconds: float | None = 30.0,
        overlap_seconds: float = 3.0,
    ) -> Iterator[Block]:
        """Separate ``frames`` samples that ``read(start, count)`` gives as (channels, count), in order.

        Windows are cross-faded over the middle two thirds of their overlap. The outer sixths are left out:
        there a window has heard too little of what comes before or after.
        """
        if window_seconds is None:
            window, step = frames, frames
        else:
            check_windows(window_seconds, overlap_seconds)
            window, step = self._window(window_seconds, overlap_seconds, rate)
        overlap = window - step
        rise = np.clip((np.arange(overlap) + 0.5 - overlap / 6) / max(overlap * 2 / 3, 1), 0, 1).astype(
            np.float32
        )
        tail: Audio | None = None
        for mixture, estimates, last in self._windows(read, frames, rate, window, step):
            if tail is not None:
                estimates[..., :overlap] = tail + rise * (estimates[..., :overlap] - tail)
            end = mixture.shape[1] if last else step
            yield Block(mixture[:, :end], estimates[..., :end])
            tail = estimates[..., step:]

    def _window(self, window_seconds: float, overlap_seconds: float, rate: int) -> tuple[int, int]:
        """Length and step of windows in samples of the input; whole STFT hops at the separator's own rate."""
        hop = self.separator.stft.hop
        overlap = max(1, round(overlap_seconds * self.rate / hop)) * hop
        step = max(1, round((window_seconds - overlap_seconds) * self.rate / hop)) * hop
        step_here = round(step * rate / self.rate)
        return step_here + round(overlap * rate / self.rate), step_here

    def _windows(
        self, read: Read, frames: int, rate: int, window: int, step: int
    ) -> Iterator[tuple[Audio, Audio, bool]]:
        """Mixture and estimates of each window, in order, and whether it is the last; several at a time on a GPU."""
        starts = range(0, max(1, frames - (window - step)), step)
        for _, same in groupby(starts, key=lambda start: min(window, frames - start)):
            for group in _batched(same, self.at_once):
                mixtures = [read(start, min(window, frames - start)) for start in group]
                for start, mixture, estimates in zip(
                    group, mixtures, self._estimate(mixtures, rate), strict=True
                ):
                    yield mixture, estimates, start == starts[-1]

    @torch.inference_mode()
    def _estimate(self, mixtures: list[Audio], rate: int) -> list[Audio]:
        """Estimates, (levels, channels, samples) each, of mixtures, (channels, samples) each, all of one length."""
        channels, samples = mixtures[0].shape
        batch = torch.from_numpy(_resample(np.concatenate(mixtures), rate, self.rate)).to(self.device)
        wide = self.separator.channels
        if wide in (None, channels):
            batch = batch.reshape(-1, channels, batch.shape[-1])
        else:
            assert wide is not None
            batch = batch.unsqueeze(1).expand(-1, wide, -1)  # (windows x channels, wide, samples)
        anchor = None if self.anchor is None else self.anchor.expand(len(batch), -1)
        found = self.separator.estimate(batch, anchor)  # (batch, levels, channels, samples)
        if wide not in (None, channels):
            found = found.mean(2)
            found = found.reshape(-1, channels, *found.shape[1:]).transpose(1, 2)
        estimates = found.cpu().numpy()  # (windows, levels, channels, samples)
        if not np.isfinite(estimates).all():
            raise InputError(
                f"{self.folder}: its weights give estimates that are NaN or infinite; train it again"
            )
        flat = _resample(estimates.reshape(-1, estimates.shape[-1]), self.rate, rate, samples)
        return list(flat.reshape(*estimates.shape[:-1], samples))


def check_windows(window_seconds: float, overlap_seconds: float) -> None:
    """Raise :class:`~slakh_hier.errors.InputError` unless windows overlap, by half at most."""
    if not 0 < overlap_seconds <= window_seconds / 2:
        raise InputError(
            f"windows of {window_seconds:g} s cannot overlap by {overlap_seconds:g} s; at most by half"
        )


def pick_device(device: Device) -> torch.device:
    """The device that is asked for; ``auto`` takes a GPU where there is one."""
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("device cuda was asked for, but PyTorch finds no GPU; use --device cpu")
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")


def _channels(audio: Audio, what: str) -> Audio:
    """Checked audio as float32, (channels, samples)."""
    many = np.atleast_2d(np.asarray(audio, np.float32))
    if many.ndim != 2 or many.size == 0:
        raise InputError(
            f"the {what} must have shape (samples,) or (channels, samples), not {np.shape(audio)}"
        )
    if not np.isfinite(many).all():
        raise InputError(f"the {what} holds NaN or Inf")
    return many


def _resample(signals: Audio, rate: int, to: int, samples: int | None = None) -> Audio:
    """Resample (signals, samples) with soxr HQ; cut or pad with zeros to ``samples`` where that is given."""
    if rate != to:
        signals = np.ascontiguousarray(soxr.resample(signals.T, rate, to, quality="HQ").T, np.float32)
    if samples is not None and signals.shape[1] != samples:
        signals = signals[:, :samples]
        signals = np.pad(signals, ((0, 0), (0, samples - signals.shape[1])))
    return signals


def _batched(items: Iterator[int], size: int) -> Iterator[list[int]]:
    while group := list(islice(items, size)):
        yield group
