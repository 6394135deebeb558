"""Baseline separators on PyTorch: data, networks, losses, training, evaluation, separation.

Needs the extra ``train``; without it, importing this package says how to install it. Names are imported when
they are first used, because PyTorch alone takes seconds.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from slakh_hier.errors import MissingExtraError

if TYPE_CHECKING:
    from slakh_hier.models.batches import Batches as Batches
    from slakh_hier.models.config import Config as Config
    from slakh_hier.models.config_file import load_config as load_config
    from slakh_hier.models.data import ClipDataset as ClipDataset
    from slakh_hier.models.evaluation import evaluate as evaluate
    from slakh_hier.models.metrics import METRICS as METRICS
    from slakh_hier.models.metrics import Metric as Metric
    from slakh_hier.models.objective import Estimate as Estimate
    from slakh_hier.models.reader import Reader as Reader
    from slakh_hier.models.registry import LossOptions as LossOptions
    from slakh_hier.models.registry import NetworkOptions as NetworkOptions
    from slakh_hier.models.registry import NetworkSpec as NetworkSpec
    from slakh_hier.models.registry import import_file as import_file
    from slakh_hier.models.registry import register_loss as register_loss
    from slakh_hier.models.registry import register_network as register_network
    from slakh_hier.models.selection import select_clips as select_clips
    from slakh_hier.models.separation import separate as separate
    from slakh_hier.models.separation_files import separate_files as separate_files
    from slakh_hier.models.separator import Separator as Separator
    from slakh_hier.models.separator import build_separator as build_separator
    from slakh_hier.models.song_evaluation import evaluate_songs as evaluate_songs
    from slakh_hier.models.stored import signals_of as signals_of
    from slakh_hier.models.training import train as train
    from slakh_hier.models.weights import load_weights as load_weights

_WHERE = {
    "Batches": "batches",
    "ClipDataset": "data",
    "Config": "config",
    "Estimate": "objective",
    "LossOptions": "registry",
    "METRICS": "metrics",
    "Metric": "metrics",
    "NetworkOptions": "registry",
    "NetworkSpec": "registry",
    "Reader": "reader",
    "Separator": "separator",
    "build_separator": "separator",
    "evaluate": "evaluation",
    "evaluate_songs": "song_evaluation",
    "import_file": "registry",
    "load_config": "config_file",
    "load_weights": "weights",
    "register_loss": "registry",
    "register_network": "registry",
    "select_clips": "selection",
    "separate": "separation",
    "separate_files": "separation_files",
    "signals_of": "stored",
    "train": "training",
}
__all__ = sorted(_WHERE)  # noqa: PLE0605

for _package, _module in (
    ("torch", "torch"),
    ("pytorch-lightning", "pytorch_lightning"),
    ("torchmetrics", "torchmetrics"),
    ("safetensors", "safetensors"),
    ("tensorboard", "tensorboard"),
):
    if find_spec(_module) is None:
        raise MissingExtraError(_package, "train")


# PyTorch's threads wait for each other by spinning, some milliseconds each time by default: where the CPU cores are
# shared, several threads are then several times slower than one. Some microseconds are as fast where they are not, twice
# as fast as sleeping at once, and hold nobody up. Read when PyTorch is loaded; a choice of yours stays. Under Linux,
# since other systems' OpenMP knows no count and would spin for ever.
if sys.platform.startswith("linux") and not os.environ.keys() & {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}:
    os.environ.update(OMP_WAIT_POLICY="ACTIVE", GOMP_SPINCOUNT="3000")


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
