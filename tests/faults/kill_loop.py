"""Kill a command at random moments, run it again, and compare with a run that nobody disturbed.

    python tests/faults/kill_loop.py --command render --kills 50 [--seed 588] [--twice 0.25] [--keep DIR]

Each kill is a SIGKILL, of the command itself or of one of its workers, at a moment drawn from (seed, number of the
kill). The same command is started again at once, while workers of the killed one may still be alive, and must end
with the same bytes as the undisturbed run and without a temporary file. A run that lost a worker must either have
finished all the same or stop with exit code 3 and name the work that was open. One line a command is printed; exit
code 1 and the first difference when anything is otherwise.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import yaml

COMMANDS = ("activity", "render", "mask", "submix", "synth", "train")
TEMPORARY = ("*.tmp-*", ".journal*", "*.parts", "*-replaced")
SPEEDS = ("clips_per_second", "audio_seconds_per_second", "data_wait")
"""Columns of a training's tables that tell of time, and so differ from run to run."""
TRAINING = {
    "stft": {"window": 128, "hop": 64},
    "network": {"layers": 1, "units": 8, "dropout": 0.2},
    "optimizer": {"lr": 0.01},
    "training": {"epochs": 2, "batch_size": 4, "steps_per_epoch": 6, "checkpoint_every": 1},
    "data": {"workers": 1},
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


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--command", choices=[*COMMANDS, "all"], required=True)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=588)
    parser.add_argument(
        "--twice", type=float, default=0.25, help="share of kills after which it is killed again"
    )
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it there")
    options = parser.parse_args()
    work = options.keep or Path(tempfile.mkdtemp(prefix="slakh-hier-kills-"))
    try:
        os.environ["SLAKH_HIER_CACHE"] = str(work / "cache")
        data = make_inputs(work)
        for name in COMMANDS if options.command == "all" else [options.command]:
            print(kill_loop(name, cases(data)[name], work / name, options), flush=True)
    except Broken as error:
        print(error)
        sys.exit(1)
    finally:
        if options.keep is None:
            shutil.rmtree(work, ignore_errors=True)


def make_inputs(work: Path) -> Path:
    """A small data set, a plan that takes a second or two, a rendered set to train on."""
    from slakh_hier import load_hierarchy, plan_clips, render, scan
    from slakh_hier.testing import make_slakh

    data = work / "data"
    if not data.exists():
        root = make_slakh(data / "slakh", seconds=8.3, sample_rate=11025, stems=6, every_category=False)
        catalog = scan(root, load_hierarchy("slakh34"), split_scheme="folders", jobs=1)
        plan = plan_clips(
            catalog, catalog.hierarchy, clips={"train": 10, "validation": 6, "test": 4}, clip_seconds=2, step=0.5, jobs=1
        )  # fmt: skip
        plan.save(data / "plan")
        guitars = plan_clips(
            catalog, catalog.hierarchy, target="clean_guitars", clips={"train": 6, "validation": 3}, clip_seconds=1,
            step=0.5, jobs=1,
        )  # fmt: skip
        render(guitars, data / "shards", sample_rate=4000, shard_mb=0.05, jobs=1)
        (data / "train.yaml").write_text(yaml.safe_dump(TRAINING))
    return data


def cases(data: Path) -> dict[str, Case]:
    """Every command, with a job of a few seconds."""
    slakh, rate = str(data / "slakh"), ["--split-scheme", "folders"]
    render = ["--plan", str(data / "plan"), "--sample-rate", "44100", "--shard-mb", "2.5"]
    sss = ["train", "sss", str(data / "shards"), "--config", str(data / "train.yaml")]
    return {
        "activity": Case(
            lambda out: ["activity", slakh, "-o", str(out / "activity.h5"), *rate, "-j", "2"], make, digests
        ),
        "render": Case(lambda out: ["render", slakh, "-o", str(out), *render, "-j", "2"], make, digests),
        "mask": Case(
            lambda out: ["mask", str(out), "--add", "leaf:90"],
            lambda out: shutil.copytree(data / "shards", out),
            digests,
        ),
        "submix": Case(
            lambda out: ["submix", slakh, "-o", str(out), "--hierarchy", "band", *rate, "-j", "2"],
            make,
            digests,
        ),
        "synth": Case(
            lambda out: ["synth", "--compose", "4", "--seconds", "8", "-o", str(out), "-j", "2"],
            make,
            digests,
        ),
        "train": Case(lambda out: [*sss, "-o", str(out)], make, training),
    }


def kill_loop(name: str, case: Case, folder: Path, options: argparse.Namespace) -> str:
    """Kill and run again until there were enough kills; the line that says what happened."""
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    whole = folder / "whole"
    case.prepare(whole)
    run(case, whole, folder / "said")  # what is compiled and cached once
    shutil.rmtree(whole)
    case.prepare(whole)
    started = time.monotonic()
    code = run(case, whole, folder / "said")
    seconds = time.monotonic() - started
    if code not in (0, 1):
        raise Broken(f"{name}: the undisturbed run ends with {code}: {(folder / 'said').read_text()}")
    expected = case.outputs(whole)
    hits = {"command": 0, "worker": 0}
    stopped = attempts = 0
    while sum(hits.values()) < options.kills:
        attempts += 1
        if attempts > 10 * options.kills + 20:
            raise Broken(f"{name}: the kills come too late, {hits} in {attempts} attempts")
        draw = random.Random(f"{options.seed}/{name}/{attempts}")
        out = folder / f"out-{attempts}"
        case.prepare(out)
        again = True
        while again:
            hit, left = kill_once(case, out, folder / "said", draw, seconds, code)
            if hit:
                hits[hit] += 1
            stopped += left == 3
            again = bool(hit) and draw.random() < options.twice and sum(hits.values()) < options.kills
        ended = run(case, out, folder / "said")
        if ended != code:
            raise Broken(
                f"{name}, attempt {attempts}: the rerun ends with {ended}: {(folder / 'said').read_text()}"
            )
        if (found := case.outputs(out)) != expected:
            other = sorted(k for k in {*found, *expected} if found.get(k) != expected.get(k))
            raise Broken(f"{name}, attempt {attempts}: {', '.join(other)} differ after the rerun")
        wait_for_no_temporaries(name, out)
        shutil.rmtree(out)
    return (
        f"{name}: {hits['command']} kills of the command, {hits['worker']} of a worker ({stopped} stopped with exit code "
        f"3), all reruns byte-identical, nothing left behind; undisturbed {seconds:.1f} s, all {time.monotonic() - began:.0f} s"
    )


def kill_once(
    case: Case, out: Path, said: Path, draw: random.Random, seconds: float, code: int
) -> tuple[str | None, int]:
    """Start the command, wait, kill; what was hit (None: it had ended before) and how the command ended."""
    whom = draw.choice(["command", "worker"])
    delay = draw.uniform(0, seconds)
    pid = start(case, out, said)
    time.sleep(delay)
    if whom == "worker":
        victims = workers_of(pid)
        if not victims:
            whom = "command"
        else:
            os.kill(draw.choice(victims), signal.SIGKILL)
            ended = wait(pid)
            text = said.read_text()
            named = "open tasks were" in text or "loader process died" in text
            if ended != code and not (ended == 3 and named and "Run" in text.replace("run", "Run")):
                raise Broken(f"a worker was killed, the command ends with {ended}: {text}")
            if "Traceback" in text:
                raise Broken(f"a worker was killed, and there is a traceback: {text}")
            return "worker", ended
    done, status = os.waitpid(pid, os.WNOHANG)
    if done:
        return None, os.waitstatus_to_exitcode(status)
    os.kill(pid, signal.SIGKILL)
    return "command", wait(pid)


def run(case: Case, out: Path, said: Path) -> int:
    """Run a command to its end; its exit code."""
    return wait(start(case, out, said))


def start(case: Case, out: Path, said: Path) -> int:
    """Start a command by forking this process, which saves the seconds of its imports; its process id."""
    from slakh_hier.cli import main as command

    arguments = case.arguments(out)
    if arguments[0] == "train":
        import pytorch_lightning  # noqa: F401 - before the fork
    sys.stdout.flush()
    pid = os.fork()
    if pid:
        return pid
    try:
        os.setsid()
        with open(said, "wb") as file:
            for descriptor in (1, 2):
                os.dup2(file.fileno(), descriptor)
        command.main(arguments)
    except SystemExit as stop:
        sys.stdout.flush()
        sys.stderr.flush()
        shut_down()
        os._exit(int(stop.code or 0))
    except BaseException:
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


def workers_of(pid: int) -> list[int]:
    """The worker processes of a command: its children, but for joblib's and Python's trackers of resources."""
    found = []
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in tasks.read_text().split():
            try:
                line = Path(f"/proc/{child}/cmdline").read_bytes()
            except OSError:
                continue
            if line and b"resource_tracker" not in line:
                found.append(int(child))
    return sorted(found)


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


def wait_for_no_temporaries(name: str, out: Path, patience: float = 5) -> None:
    """A worker of a killed command may live for a moment; then nothing may be left."""
    end = time.monotonic() + patience
    while left := [path for pattern in TEMPORARY for path in out.rglob(pattern)]:
        if time.monotonic() > end:
            raise Broken(f"{name}: left behind: {', '.join(map(str, left))}")
        time.sleep(0.1)


if __name__ == "__main__":
    main()
