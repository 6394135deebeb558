"""A run folder that explains itself: what was asked for, on what, with what; and whether it may be resumed."""

from __future__ import annotations

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from slakh_hier.errors import ConfigError, InputError
from slakh_hier.files import (
    file_sha256,
    make_folder,
    publish,
    publish_json,
    refuse_link,
    remove_temporaries,
)
from slakh_hier.models.checkpoints import FOLDER as CHECKPOINTS
from slakh_hier.models.checkpoints import newest
from slakh_hier.models.config import Config, HardwareConfig
from slakh_hier.models.config_file import config_yaml, lasting, read_config
from slakh_hier.models.registry import IMPORTED
from slakh_hier.models.selection import Selection
from slakh_hier.models.weights import ABOUT, WEIGHTS
from slakh_hier.output.folder import ADVICE, refuse_other, refuse_strange, remove_made
from slakh_hier.parallel import cpu_cores
from slakh_hier.plain_files import parse_json, read_plain
from slakh_hier.shards.index import INDEX_NAME
from slakh_hier.shards.read import ShardSet

CONFIG, ENVIRONMENT, DATA, START = "config.yaml", "environment.json", "data.json", "init_from.json"
STEPS, METRICS, LOG, TENSORBOARD = "steps.csv", "metrics.csv", "log.txt", "tensorboard"
MAX_DATA = 1 << 20
_COMPARED = ("plan_digest", "hierarchy_digest", "levels", "names", "splits")
"""What of the data must be the same when a run is resumed."""
OURS = (
    CONFIG,
    ENVIRONMENT,
    DATA,
    START,
    STEPS,
    METRICS,
    LOG,
    WEIGHTS,
    ABOUT,
    TENSORBOARD,
    CHECKPOINTS,
    "evaluation",
)


def prepare(run: Path, config: Config, data: dict[str, Any], *, overwrite: bool = False) -> Path | None:
    """Make the folder ready and return the checkpoint to resume from, if there is one.

    Call it while holding the folder's lock.

    Parameters
    ----------
    data
        What :func:`data_record` says of the shards.
    overwrite
        Remove what an earlier run made first.

    Raises
    ------
    InputError
        The folder belongs to something else, or to a run with another configuration or other data, or a folder in it is
        a symbolic link.
    """
    if overwrite:
        clear(run)
    elif (run / CONFIG).exists():
        refuse_other_run(run, config, data)
    else:
        refuse_strange(run, CONFIG, "it was not made by train")
    for name in (CHECKPOINTS, TENSORBOARD):
        refuse_link(run / name)
    # First, since by it the folder is known as a run, whatever a kill leaves out.
    publish(run / CONFIG, config_yaml(config).encode())
    for name in (CHECKPOINTS, TENSORBOARD):
        make_folder(run / name)
    for folder in (run, run / CHECKPOINTS):
        remove_temporaries(folder)
    publish_json(run / DATA, data)
    publish_json(run / ENVIRONMENT, environment(config.hardware))
    return newest(run)


def refuse_other_run(
    run: Path, config: Config, data: dict[str, Any] | None = None, advice: str = ADVICE
) -> None:
    """Raise InputError, with the difference, for a run of another configuration or (where given) other data."""
    try:
        before = read_config(run / CONFIG)
        known = parse_json(read_plain(run / DATA, MAX_DATA, links=True)) if (run / DATA).exists() else data
        there, here = ({name: (which or {})[name] for name in _COMPARED if data} for which in (known, data))
    except (ConfigError, InputError, OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        raise InputError(f"{run}: its configuration or data cannot be read: {error}. {advice}") from None
    refuse_other(run, "train", {**lasting(before), "data": there}, {**lasting(config), "data": here}, advice)


def clear(run: Path) -> None:
    """Remove everything that a training writes, and nothing else."""
    for name in OURS:
        remove_made(run / name)


def data_record(
    shards: dict[str, ShardSet], selections: dict[str, Selection], names: tuple[str, ...]
) -> dict[str, Any]:
    """Which data a run sees: place and digests of the shards, clips and hours of each split."""
    some = next(iter(shards.values()))
    return {
        "shards": str(some.folder),
        "index_sha256": file_sha256(some.folder / INDEX_NAME),
        "plan_digest": some.index.plan_digest,
        "hierarchy_digest": some.index.hierarchy_digest,
        "sample_rate": some.sample_rate,
        "channels": some.channels,
        "clip_seconds": some.clip_seconds,
        "levels": list(selections["train"].levels),
        "names": list(names),
        "splits": {
            split: {
                "clips": len(selection),
                "of": len(shards[split]),
                "hours": round(len(selection) * some.clip_seconds / 3600, 4),
                "available": selection.available.sum(0).tolist(),
            }
            for split, selection in selections.items()
        },
    }


def environment(hardware: HardwareConfig) -> dict[str, Any]:
    """Versions, commit, machine and devices."""
    # To ask for a GPU's name takes half a GB of it, which a training on the CPU must not.
    gpus = (
        range(torch.cuda.device_count())
        if hardware.accelerator in ("auto", "gpu") and torch.cuda.is_available()
        else ()
    )
    devices = [torch.cuda.get_device_name(i) for i in gpus] or [
        "mps" if hardware.accelerator == "mps" else "cpu"
    ]
    return {
        "slakh-hier": _version("slakh-hier"),
        "commit": commit(),
        "command": sys.argv,
        "imported": IMPORTED,
        "python": platform.python_version(),
        "packages": {
            name: _version(name)
            for name in ("torch", "pytorch-lightning", "torchmetrics", "safetensors", "numpy", "h5py", "soxr")
        },
        "platform": platform.platform(),
        "cpu_cores": cpu_cores(),
        "threads": torch.get_num_threads(),
        "devices": devices,
        "cuda": torch.version.cuda,
    }


def commit() -> str | None:
    """The checkout's commit, with ``+changes`` where it has any; None outside a checkout."""
    here = Path(__file__).resolve().parent

    def git(*words: str) -> str:
        command = ["git", "-C", str(here), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        head = git("rev-parse", "HEAD")
        # An installed copy inside somebody else's checkout is not that checkout.
        if not head or not git("ls-files", Path(__file__).name):
            return None
        return head + ("+changes" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.TimeoutExpired):
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
