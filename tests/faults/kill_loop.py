"""Kill a command at random moments, run it again, and compare with a run that nobody disturbed.

    python tests/faults/kill_loop.py --command render --kills 50 [--seed 588] [--twice 0.25] [--keep DIR]

Each kill is a SIGKILL, of the command itself or of one of its workers, at a moment drawn from (seed, number of the
kill), or as soon after it as a temporary file is seen. ``merge`` is what ends ``activity``. The same command is started
again at once, while workers of the killed one may still be alive, and must end with the same bytes as the undisturbed
run and without a temporary file, in the cache neither (whose temporary files are made to look a day old before). A run that lost a worker must either have
finished all the same or stop with exit code 3 and name the work that was open. One line a command is printed; exit
code 1 and the first difference when anything is otherwise.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from commands import (
    COMMANDS,
    Broken,
    Case,
    cache,
    cases,
    make_inputs,
    run,
    start,
    wait,
    wait_for_no_temporaries,
)

LOOPS = (*COMMANDS, "merge", "scan", "plan")
DAYS = 48 * 3600


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--command", choices=[*LOOPS, "all"], required=True)
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
        for name in LOOPS if options.command == "all" else [options.command]:
            if name == "train":
                importlib.import_module("pytorch_lightning")  # before the forks
            print(kill_loop(name, cases(data)[name], work / name, options), flush=True)
    except Broken as error:
        print(error)
        sys.exit(1)
    finally:
        if options.keep is None:
            shutil.rmtree(work, ignore_errors=True)


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
        shutil.rmtree(cache(), ignore_errors=True)  # so that it is filled, and killed meanwhile, each time
        again = True
        while again:
            hit, left = kill_once(case, out, folder / "said", draw, seconds, code)
            if hit:
                hits[hit] += 1
            stopped += left == 3
            for path in cache().rglob(".tmp-*"):
                os.utime(path, (time.time() - DAYS,) * 2)
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
    on_sight = draw.random() < 0.5
    pid = start(case, out, said)
    time.sleep(delay)
    if on_sight:
        wait_for_a_temporary(pid, out)
    if whom == "worker":
        victims = workers_of(pid)
        if not victims:
            whom = "command"
        else:
            os.kill(draw.choice(victims), signal.SIGKILL)
            ended = wait(pid)
            text = said.read_text()
            named = "with one of these tasks: " in text
            hint = "run the same command again" in text.lower()
            if ended != code and not (ended == 3 and named and hint):
                raise Broken(f"a worker was killed, the command ends with {ended}: {text}")
            if "Traceback" in text:
                raise Broken(f"a worker was killed, and there is a traceback: {text}")
            return "worker", ended
    done, status = os.waitpid(pid, os.WNOHANG)
    if done:
        return None, os.waitstatus_to_exitcode(status)
    os.kill(pid, signal.SIGKILL)
    return "command", wait(pid)


def wait_for_a_temporary(pid: int, out: Path) -> None:
    """Return when the command is just writing a file, or has ended."""
    while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        for top in (out, cache()):
            for _, folders, files in os.walk(top):  # which does not mind what vanishes meanwhile
                if any(name.startswith(".tmp-") for name in (*folders, *files)):
                    return
        time.sleep(0.001)


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


if __name__ == "__main__":
    main()
