"""Sizes, shapes and the anchor of the networks."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import nn

from slakh_hier.errors import InputError
from slakh_hier.models.config import Config
from slakh_hier.models.config_file import load_config
from slakh_hier.models.layers import QueryEncoder, log_magnitude
from slakh_hier.models.networks.bandsplit import BandSplit, band_widths
from slakh_hier.models.networks.dense import merged_bands
from slakh_hier.models.separator import Separator, build_separator

OWN: dict[str, dict[str, object]] = {
    "blstm": {"query_layers": 1},
    "bandsplit": {"query_layers": 1, "features": 4},
    "dense": {"hidden": 6, "bottleneck": 5, "query_units": 4},
}


def tiny(task: str, kind: str, **more: object) -> Config:
    return Config.model_validate(
        {
            "task": task,
            "stft": {"window": 64, "hop": 32},
            "network": {
                "kind": kind,
                "layers": 1,
                "units": 4,
                "embedding": 3,
                **OWN[kind],
            },
            "loss": {"kind": "complex"},
            **more,
        }
    )


@pytest.mark.parametrize(
    ("task", "levels", "millions"), [("sss", 1, 31.9), ("sss", 3, 33.1), ("qbe", 1, 58.3), ("qbe", 3, 59.6)]
)
def test_the_papers_networks_have_the_papers_size(task: str, levels: int, millions: float) -> None:
    with torch.device("meta"):
        separator = build_separator(load_config(task), levels)  # type: ignore[arg-type]
    assert separator.parameter_count / 1e6 == pytest.approx(millions, rel=0.01)


@pytest.mark.parametrize("task", ["sss", "qbe"])
@pytest.mark.parametrize("kind", OWN)
@pytest.mark.parametrize("levels", [1, 3])
@pytest.mark.parametrize("channels", [1, 2])
def test_all_separators_are_called_alike(task: str, kind: str, levels: int, channels: int) -> None:
    separator = build_separator(tiny(task, kind), levels, channels)
    assert separator.takes_query == (task == "qbe")
    mixture, query = torch.randn(2, channels, 1000), torch.randn(2, channels, 777)
    estimates = separator(mixture, query if task == "qbe" else None)
    assert estimates.shape == (2, levels, channels, 1000)
    anchor = separator.encode(query) if task == "qbe" else None
    masks = separator.tf_masks(separator.stft(mixture), anchor)
    assert masks.shape == (2, levels, channels, 33, 33)
    assert bool((masks.abs().diff(dim=1) >= -1e-6).all())
    estimates.square().sum().backward()
    for name, parameter in separator.named_parameters():
        assert parameter.grad is not None, name


def test_real_masks_are_between_zero_and_one_and_use_the_mixtures_phase() -> None:
    separator = build_separator(tiny("sss", "blstm"), 2)
    spectrum = separator.stft(torch.randn(1, 1, 640))
    masks = separator.tf_masks(spectrum)
    assert not masks.is_complex()
    assert 0 <= float(masks.detach().min()) <= float(masks.detach().max()) <= 1


@pytest.mark.parametrize("layers", [1, 3])
def test_a_querys_anchor_changes_what_a_dense_network_hears(layers: int) -> None:
    config = tiny("qbe", "dense", network={"kind": "dense", "layers": layers, "units": 4, "hidden": 6})
    separator = build_separator(config, 2).eval()
    spectrum = separator.stft(torch.randn(1, 1, 640))
    one, other = (separator.encode(torch.randn(1, 1, 640)) for _ in range(2))
    assert not torch.allclose(separator.tf_masks(spectrum, one), separator.tf_masks(spectrum, other))


@pytest.mark.parametrize("bins", [9, 33, 513, 1025])
def test_merged_bands_cover_all_bins_and_widen(bins: int) -> None:
    edges = merged_bands(bins)
    assert (edges[0], edges[-1]) == (0, bins)
    widths = [b - a for a, b in pairwise(edges)]
    assert all(1 <= width <= max(1, 0.015 * edge) for width, edge in zip(widths, edges, strict=False))


@pytest.mark.parametrize("kind", ["blstm", "dense"])
def test_each_channel_is_a_clip_of_its_own(kind: str) -> None:
    """Weights, and masks of a channel, are those of mono."""
    separator = build_separator(tiny("sss", kind), 2, 2).eval()
    mono = build_separator(tiny("sss", kind), 2).eval()
    assert {name: x.shape for name, x in separator.state_dict().items()} == {
        name: x.shape for name, x in mono.state_dict().items()
    }
    mixture = torch.randn(3, 2, 640)
    estimates = separator(mixture)
    for channel in range(2):
        torch.testing.assert_close(estimates[:, :, [channel]], mono(mixture[:, [channel]]))


def test_a_band_split_network_sees_all_channels_at_once() -> None:
    separator = build_separator(tiny("sss", "bandsplit"), 2, 2).eval()
    mixture = torch.randn(1, 2, 640)
    other = torch.stack([mixture[:, 0], torch.randn(1, 640)], 1)
    assert not torch.allclose(separator(mixture)[:, :, 0], separator(other)[:, :, 0], atol=1e-4)
    with pytest.raises(InputError, match="takes mixtures of 2 channels, not of 1"):
        separator(mixture[:, :1])


def test_a_silent_channel_of_a_query_changes_nothing() -> None:
    separator = build_separator(tiny("qbe", "blstm"), 1).eval()
    query = torch.sin(torch.arange(6400) * 0.1)[None, None]
    one = separator.encode(query)
    half = separator.encode(torch.cat([query, torch.zeros_like(query)], 1))
    torch.testing.assert_close(half, one)


def test_a_missing_query_is_named() -> None:
    with pytest.raises(InputError, match="needs a query"):
        build_separator(tiny("qbe", "blstm"), 1)(torch.randn(1, 1, 640))


@pytest.mark.parametrize("kind", OWN)
def test_a_query_for_sss_is_refused(kind: str) -> None:
    with pytest.raises(InputError, match="takes no query"):
        build_separator(tiny("sss", kind), 1)(torch.randn(1, 1, 640), torch.randn(1, 1, 640))


def test_the_estimate_follows_the_query() -> None:
    separator = build_separator(tiny("qbe", "blstm"), 1)
    generator = torch.Generator().manual_seed(0)
    mixture = torch.randn(1, 1, 640, generator=generator)
    low = torch.sin(torch.arange(640) * 0.1)[None, None]
    high = torch.sin(torch.arange(640) * 2.5)[None, None]
    assert not torch.allclose(separator(mixture, low), separator(mixture, high), atol=1e-4)


def test_the_anchor_is_the_mean_embedding_of_loud_bins() -> None:
    """Against the definition: embed every bin, average those within 60 dB of the maximum, scale to length 1."""
    torch.manual_seed(0)
    encoder = QueryEncoder(33, layers=1, units=5, dropout=0.0, embedding=4)
    query = torch.randn(2, 33, 7, dtype=torch.complex64)
    query[:, 20:] *= 1e-5
    hidden = encoder.blstm(log_magnitude(query).transpose(1, 2))
    embedded = nn.functional.linear(hidden, encoder.head.weight, encoder.head.bias).view(2, 7, 33, 4)
    for clip in range(2):
        magnitude = query[clip].abs().T  # (frames, bins)
        loud = 20 * torch.log10(magnitude / magnitude.max()) >= -60
        assert 0 < int(loud.sum()) < loud.numel()
        anchor = embedded[clip][loud].mean(0)
        torch.testing.assert_close(encoder(query)[clip], anchor / anchor.norm(), atol=1e-5, rtol=1e-4)


def test_a_silent_query_gives_a_finite_anchor() -> None:
    anchor = QueryEncoder(33, layers=1, units=4, embedding=3)(torch.zeros(1, 33, 5, dtype=torch.complex64))
    assert bool(torch.isfinite(anchor).all())


def test_initial_weights_follow_from_the_seed_alone() -> None:
    config = tiny("sss", "blstm")
    torch.manual_seed(1)
    one = build_separator(config, 2).state_dict()
    torch.manual_seed(2)
    other = build_separator(config, 2).state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    changed = build_separator(tiny("sss", "blstm", training={"seed": 3}), 2).state_dict()
    assert not torch.equal(one["network.head.weight"], changed["network.head.weight"])


@pytest.mark.parametrize("bins", [1, 5, 33, 64, 65, 257, 513, 1025, 2049])
def test_bands_cover_every_bin_once(bins: int) -> None:
    widths = band_widths(bins)
    assert sum(widths) == bins
    assert min(widths) >= 1
    # A short rest joins the last band, so the widest has less than twice as many bins.
    assert max(widths) < (64 if bins <= 1025 else 128)


def test_the_third_network_needs_less_than_the_papers() -> None:
    """Fewer steps one after another, and fewer multiplications by its recurrent weights."""
    with torch.device("meta"):
        sss = build_separator(load_config("sss"), 3)
        split = build_separator(load_config("sss", preset="bandsplit"), 3)
    frames = sss.stft.frames(160_000)
    network = split.network
    assert isinstance(network, BandSplit)
    bands = len(network.widths)
    assert len(network.along_time) * (frames + bands) < 4 * frames
    assert _products(split, frames, bands) < _products(sss, frames, bands)


def _products(separator: Separator, frames: int, bands: int) -> int:
    """Multiplications of a 10-s clip in LSTM and linear layers."""
    total = 0
    for name, module in separator.named_modules():
        if isinstance(module, nn.LSTM):
            weights = sum(p.numel() for n, p in module.named_parameters() if n.startswith("weight"))
            total += weights * frames * (bands if "along" in name else 1)
        elif isinstance(module, nn.Linear | nn.Conv1d):
            total += module.weight.numel() * frames * (bands if "along" in name else 1)
    return total
