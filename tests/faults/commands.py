"""Every command that writes, with a job of a few seconds, started in a fork of a process that imported all it needs.

Shared by the scripts of this folder. They are scripts because pytest's process has threads, and must not be forked.
"""

from __future__ import annotations

import csv
import hashlib
import os
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

COMMANDS = ("activity", "render", "mask", "submix", "synth", "train")
TEMPORARY = ("*.tmp-*", "*.parts", "*-replaced")
SPEEDS = ("clips_per_second", "audio_seconds_per_second", "data_wait")
"""Columns of a training's tables that tell of time, and so differ from run to run."""
TRAINING = {
    "stft": {"window": 128, "hop": 64},
    "network": {"layers": 1, "units": 8, "dropout": 0.2},
    "optimizer": {"lr": 0.01},
    "training": {"epochs": 2, "batch_size": 4, "steps_per_epoch": 6, "checkpoint_every": 1},
    "hardware": {"accelerator": "cpu", "threads": 1},
}


class Broken(Exception):
    """A promise that was not kept."""


@dataclass(frozen=True)
class Case:
    """A command that writes into a folder.

    Attributes
    ----------
    arguments
        Of the command line, for an output folder.
    prepare
        Makes what must be there before the first run into a folder.
    outputs
        Digest of everything that must be the same, by name.
    """

    arguments: Callable[[Path], list[str]]
    prepare: Callable[[Path], object]
    outputs: Callable[[Path], dict[str, str]]


def make_inputs(work: Path) -> Path:
    """A small data set, a plan that takes a second or two, a rendered set to train on."""
    from slakh_hier import load_hierarchy, plan_clips, render, scan
    from slakh_hier.plan import measure_activity
    from slakh_hier.testing import make_slakh

    data = work / "data"
    if not data.exists():
        root = make_slakh(data / "slakh", seconds=8.3, sample_rate=11025, stems=6, every_category=False)
        catalog = scan(root, load_hierarchy("slakh34"), split_scheme="folders", jobs=1)
        plan = plan_clips(
            catalog, catalog.hierarchy, clips={"train": 10, "validation": 6, "test": 4}, clip_seconds=2, step=0.5, jobs=1
        )  # fmt: skip
        plan.save(data / "plan")
        measure_activity(catalog, data / "measured" / "activity.h5", part=(1, 1), jobs=1)
        guitars = plan_clips(
            catalog, catalog.hierarchy, target="clean_guitars", clips={"train": 6, "validation": 3}, clip_seconds=1,
            step=0.5, jobs=1,
        )  # fmt: skip
        render(guitars, data / "shards", sample_rate=4000, shard_mb=0.05, jobs=1)
        (data / "train.yaml").write_text(yaml.safe_dump(TRAINING))
    return data


def cases(data: Path, jobs: int = 2) -> dict[str, Case]:
    """Every command, with a job of a few seconds; the merge that ends ``activity``, alone; ``scan`` and ``plan``."""
    slakh, rate, parallel = str(data / "slakh"), ["--split-scheme", "folders"], ["-j", str(jobs)]
    clips = ["--clips", "train=10,validation=6,test=4", "--clip-seconds", "2", "--step", "0.5"]
    render = ["--plan", str(data / "plan"), "--sample-rate", "44100", "--shard-mb", "2.5"]
    sss = ["train", "sss", str(data / "shards"), "--config", str(data / "train.yaml")]

    def activity(out: Path) -> list[str]:
        return ["activity", slakh, "-o", str(out / "activity.h5"), *rate, *parallel]

    return {
        "activity": Case(activity, make, digests),
        "merge": Case(activity, lambda out: shutil.copytree(data / "measured", out), digests),
        "scan": Case(
            lambda out: ["scan", slakh, "-o", str(out / "catalog.csv"), *rate, *parallel], make, digests
        ),
        "plan": Case(
            lambda out: ["plan", slakh, "-o", str(out), *clips, *rate, *parallel],
            make,
            digests,
        ),
        "render": Case(lambda out: ["render", slakh, "-o", str(out), *render, *parallel], make, digests),
        "mask": Case(
            lambda out: ["mask", str(out), "--add", "leaf:90"],
            lambda out: shutil.copytree(data / "shards", out),
            digests,
        ),
        "submix": Case(
            lambda out: ["submix", slakh, "-o", str(out), "--hierarchy", "band", *rate, *parallel],
            make,
            digests,
        ),
        "synth": Case(
            lambda out: ["synth", "--compose", "4", "--seconds", "8", "-o", str(out), *parallel],
            make,
            digests,
        ),
        "train": Case(lambda out: [*sss, "-o", str(out)], make, training),
    }


def run(case: Case, out: Path, said: Path, *, largest: int | None = None) -> int:
    """Run a command to its end; its exit code."""
    return wait(start(case, out, said, largest=largest))


def start(case: Case, out: Path, said: Path, *, largest: int | None = None) -> int:
    """Start a command by forking this process, which saves the seconds of its imports; its process id.

    Files that would grow beyond ``largest`` bytes are refused, as on a full disk. All output goes to ``said``.
    """
    from slakh_hier.cli import main as command

    arguments = case.arguments(out)
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        with open(said, "wb") as file:
            for descriptor in (1, 2):
                os.dup2(file.fileno(), descriptor)
        if largest is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))
        command.main(arguments)
    except SystemExit as stop:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # the command has ended; what follows is this script's
        sys.stdout.flush()
        sys.stderr.flush()
        shut_down()
        os._exit(int(stop.code or 0))
    except BaseException:  # noqa: BLE001 - the child ends here, whatever happened
        traceback.print_exc()
    finally:
        os._exit(99)


def shut_down() -> None:
    """What an ordinary exit does, and os._exit does not."""
    import atexit
    import threading

    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()


def wait(pid: int, patience: float = 240) -> int:
    """The exit code of a child process; it must end in time."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.killpg(pid, signal.SIGKILL)
    raise Broken("the command hangs")


def cache() -> Path:
    """The cache folder of the commands."""
    return Path(os.environ["SLAKH_HIER_CACHE"])


def make(out: Path) -> None:
    out.mkdir(parents=True)


def digests(out: Path) -> dict[str, str]:
    """sha256 of every file but locks and temporary ones (which are looked for later), by its path."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(out.rglob("*"))
        if path.is_file() and not path.name.startswith((".lock", ".tmp-")) and ".tmp-" not in str(path)
    }


def training(run: Path) -> dict[str, str]:
    """What a training computed: its weights, and its tables without the speeds."""
    found = {
        name: hashlib.sha256((run / name).read_bytes()).hexdigest()
        for name in ("weights.safetensors", "config.yaml")
    }
    for name in ("steps.csv", "metrics.csv"):
        with open(run / name, newline="", encoding="utf-8") as file:
            rows = [{k: v for k, v in row.items() if k not in SPEEDS} for row in csv.DictReader(file)]
        found[name] = hashlib.sha256(repr(rows).encode()).hexdigest()
    found["checkpoints"] = str(
        sorted(path.name for path in (run / "checkpoints").iterdir() if ".tmp-" not in path.name)
    )
    return found


def wait_for_no_temporaries(name: str, out: Path, *, finished: bool = True, patience: float = 5) -> None:
    """A worker of a killed command may live for a moment; then nothing may be left, in the cache neither.

    Unless it ``finished``, what an unfinished run keeps to resume from may be there.
    """
    end = time.monotonic() + patience
    patterns = TEMPORARY if finished else TEMPORARY[:1]
    while left := [
        *(path for pattern in patterns for path in out.rglob(pattern)),
        *cache().rglob(TEMPORARY[0]),
    ]:
        if time.monotonic() > end:
            raise Broken(f"{name}: left behind: {', '.join(map(str, left))}")
        time.sleep(0.1)
