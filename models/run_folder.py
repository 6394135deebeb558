"""A run folder that explains itself: what was asked for, on what, with what; and whether a rerun may go on."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from slakh_hier.errors import ConfigError, InputError
from slakh_hier.files import (
    TEMPORARY_PREFIX,
    file_sha256,
    make_folder,
    publish,
    publish_json,
    refuse_link,
    remove_temporaries,
)
from slakh_hier.locks import LOCK_NAME
from slakh_hier.models.checkpoints import FOLDER as CHECKPOINTS
from slakh_hier.models.checkpoints import newest
from slakh_hier.models.config import Config, HardwareConfig
from slakh_hier.models.config_file import config_yaml, obstacles, read_config
from slakh_hier.models.registry import IMPORTED
from slakh_hier.models.selection import Selection
from slakh_hier.models.warm_start import WarmStart
from slakh_hier.models.weights import ABOUT, WEIGHTS
from slakh_hier.parallel import cpu_cores
from slakh_hier.plain_files import parse_json, read_plain
from slakh_hier.shards.index import INDEX_NAME
from slakh_hier.shards.read import ShardSet

CONFIG, ENVIRONMENT, DATA, START = "config.yaml", "environment.json", "data.json", "init_from.json"
STEPS, METRICS, LOG, TENSORBOARD = "steps.csv", "metrics.csv", "log.txt", "tensorboard"
MAX_DATA = 1 << 20
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
    """Make the folder ready and return the checkpoint to go on from, if there is one.

    Call it while holding the folder's lock.

    Parameters
    ----------
    data
        What :func:`data_record` says of the shards.
    overwrite
        Remove what an earlier run left.

    Raises
    ------
    InputError
        The folder belongs to something else, or to a run with another configuration or other data, or a folder in it is
        a symbolic link.
    """
    if overwrite:
        clear(run)
    elif (run / CONFIG).exists():
        _refuse_other(run, config, data)
    else:
        strange = [
            p.name for p in run.iterdir() if p.name != LOCK_NAME and not p.name.startswith(TEMPORARY_PREFIX)
        ]
        if strange:
            raise InputError(f"{run}: holds {strange[0]} and no run of ours; choose a new or empty folder")
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


def clear(run: Path) -> None:
    """Remove everything that a training writes, and nothing else."""
    for name in OURS:
        path = run / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


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


def note_start(run: Path, started: WarmStart) -> None:
    """Write down which weights a run starts from, and which of its tensors are not among them."""
    publish_json(run / START, asdict(started))


def environment(hardware: HardwareConfig) -> dict[str, Any]:
    """Versions, commit, machine and devices."""
    # To ask for a GPU's name takes half a GB of it, which a training on processors must not.
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
        "processors": cpu_cores(),
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


def _refuse_other(run: Path, config: Config, data: dict[str, Any]) -> None:
    try:
        before = read_config(run / CONFIG)
        known = parse_json(read_plain(run / DATA, MAX_DATA, links=True)) if (run / DATA).exists() else data
    except (ConfigError, InputError, OSError, ValueError) as error:
        raise InputError(f"{run}: its configuration cannot be read; {_ADVICE}\n{error}") from None
    lines = [f"{key}: {old} there, {new} now" for key, (old, new) in obstacles(before, config).items()]
    lines += [
        f"{key}: {known.get(key)} there, {data[key]} now"
        for key in ("plan_digest", "hierarchy_digest", "levels", "names", "splits")
        if known.get(key) != data[key]
    ]
    if lines:
        raise InputError(
            f"{run}: holds a run with another configuration or data; {_ADVICE}\n" + "\n".join(lines)
        )


_ADVICE = "choose another folder, or --overwrite to start again"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
