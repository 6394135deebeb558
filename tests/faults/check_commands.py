"""What every command that writes promises alike, checked for each: one JSON line a command.

    python tests/faults/check_commands.py lock|full|signals|array [--keep DIR]

lock: a second run into the folder is refused before any preparation, naming the first, which is held meanwhile and then
      ends well; the file of a dead one's lock does not block. No file that the command reads is changed, added or removed.
full: on a full disk it stops with exit code 3 and says what it could not write and how much is free; what is there is
      whole, and the same command completes it.
signals: Ctrl-C and SIGTERM to all of its processes end it with 130 and 143 and the hint; nothing is left behind; the
      same command completes it. A run that had ended before the signal came does not count: another one gets it sooner.
array: two shares of a job array (--part) run at the same time and one is killed; it runs again, and a last command puts
      the shares together: the bytes of a single run. Only commands with shares.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from commands import (
    COMMANDS,
    Broken,
    Case,
    cases,
    digests,
    make,
    make_inputs,
    run,
    start,
    wait,
    wait_for_no_temporaries,
)  # fmt: skip

HINT = "Run the same command again to resume"
MOMENTS = (0.6, 0.4, 0.5, 0.3, 0.2, 0.25, 0.15, 0.1)
"""When the signals come, in lengths of an undisturbed run: the next one is tried when the run had ended before."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("check", choices=["lock", "full", "signals", "array"])
    parser.add_argument("--keep", type=Path, help="work in this folder and leave it there")
    options = parser.parse_args()
    work = options.keep or Path(tempfile.mkdtemp(prefix="slakh-hier-checks-"))
    os.environ["SLAKH_HIER_CACHE"] = str(work / "cache")
    check = {"lock": lock, "full": full, "signals": signals, "array": array}[options.check]
    try:
        data = make_inputs(work)
        importlib.import_module("pytorch_lightning")  # before the forks, so that signals come while they work
        for name in COMMANDS if check is not array else ("activity", "render"):
            folder = work / options.check / name
            folder.mkdir(parents=True)
            for found in check(cases(data, 1)[name], folder, data):
                print(json.dumps({"command": name, **found}), flush=True)
    except Broken as error:
        print(f"{name}: {error}")
        sys.exit(1)
    finally:
        if options.keep is None:
            shutil.rmtree(work, ignore_errors=True)


def lock(case: Case, folder: Path, data: Path) -> Iterator[dict[str, Any]]:
    whole, said, other = folder / "whole", folder / "said", folder / "said-second"
    case.prepare(whole)
    read = state_of(data)
    code = run(case, whole, said)
    expected = case.outputs(whole)
    for _attempt in range(10):
        out = folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        case.prepare(out)
        place = out / "activity.h5.parts" if case.arguments(out)[0] == "activity" else out
        place.mkdir(exist_ok=True)
        (place / ".lock").write_text("process 4194305 on nowhere\n")  # a dead one's, which is not in the way
        first = start(case, out, said)
        if stop_while_it_writes(first, place):
            break
        wait(first)
    else:
        raise Broken("the first run ends before it can be stopped")
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*")}
    began = time.monotonic()
    refused = run(Case(lambda out: hopeless(case.arguments(out), data), make, digests), out, other)
    seconds = time.monotonic() - began
    expect(refused == 2 and f"process {first} on" in other.read_text(), refused, other)
    expect({path: path.stat().st_mtime_ns for path in out.rglob("*")} == before, "changed", other)
    os.kill(first, signal.SIGCONT)
    ended = wait(first)
    expect(ended == code and case.outputs(out) == expected, ended, said)
    expect(state_of(data) == read, "inputs were changed", said)
    yield {"refused": refused, "seconds": round(seconds, 2), "the first": ended, "files": len(read)}


def stop_while_it_writes(pid: int, place: Path) -> bool:
    """Hold the process while it has the folder's lock; False when it ended before."""
    from slakh_hier.errors import LockedError
    from slakh_hier.locks import refuse_locked

    while not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        if (place / ".lock").exists() and f"process {pid} " in (place / ".lock").read_text():
            os.kill(pid, signal.SIGSTOP)
            os.waitpid(pid, os.WUNTRACED)
            try:
                refuse_locked(place)
            except LockedError:
                return True
            os.kill(pid, signal.SIGCONT)
            return False
    return False


def hopeless(arguments: list[str], data: Path) -> list[str]:
    """The same command, which would find no input or take hours: it is refused before it looks at either."""
    nowhere = [
        word.replace(str(data), "/nowhere") if not word.endswith(".yaml") else word for word in arguments
    ]
    return [word if before != "--compose" else "9999" for before, word in pairwise(["", *nowhere])]


def full(case: Case, folder: Path, data: Path) -> Iterator[dict[str, Any]]:
    said, whole = folder / "said", folder / "whole"
    case.prepare(whole)
    before = digests(whole)
    code = run(case, whole, said)
    expected = case.outputs(whole)
    made = [name for name, digest in digests(whole).items() if before.get(name) != digest]
    sizes = sorted((whole / name).stat().st_size for name in made)
    for share in (1.0, 0.3):
        limit = max(600, int(sizes[-1] * share) - 1)  # what it says needs room too
        out = folder / f"out-{limit}"
        case.prepare(out)
        ended = run(case, out, said, largest=limit)
        text = said.read_text()
        expect(ended == 3 and said_so(text, out) and "Traceback" not in text, ended, said)
        expect(any(word in text for word in ("free disk space", "make room", "Make room")), "no advice", said)
        wait_for_no_temporaries("full disk", out, finished=False)
        ended = run(case, out, said)
        expect(ended == code and case.outputs(out) == expected, ended, said)
        wait_for_no_temporaries("full disk", out)
        shutil.rmtree(out)
        yield {"limit": limit, "said": text.splitlines()[-1]}


def said_so(text: str, out: Path) -> bool:
    """Whether it is said what was to be written, that it cannot be, and how much is free."""
    place = rf"{re.escape(str(out))}/\S+"
    what = re.search(rf"cannot write {place}|{place} cannot be written", text)
    free = re.search(r"([\d.]+) MB free\)", text)
    # Other processes use the disk meanwhile.
    return (
        what is not None
        and free is not None
        and abs(float(free[1]) - shutil.disk_usage(out).free / 1e6) < 10_000
    )


def signals(case: Case, folder: Path, data: Path) -> Iterator[dict[str, Any]]:
    said, whole = folder / "said", folder / "whole"
    case.prepare(whole)
    began = time.monotonic()
    code = run(case, whole, said)
    seconds = time.monotonic() - began
    expected = case.outputs(whole)
    with_workers = cases(data, 2)[folder.name]
    for number in (signal.SIGINT, signal.SIGTERM):
        for tries, moment in enumerate(MOMENTS, start=1):
            out = folder / f"out-{number}-{tries}"
            case.prepare(out)
            pid = start(with_workers, out, said)
            time.sleep(moment * seconds)
            began = time.monotonic()
            os.killpg(pid, number)
            ended = wait(pid)
            took = time.monotonic() - began
            text = said.read_text()
            hit = ended != code or HINT in text
            if hit:
                expect(ended == 128 + number and HINT in text and "Traceback" not in text, ended, said)
            wait_for_no_temporaries("signal", out, finished=False)
            last = run(case, out, said)
            expect(last == code and case.outputs(out) == expected, last, said)
            wait_for_no_temporaries("signal", out)
            shutil.rmtree(out)
            if hit:
                yield {"signal": number, "seconds": round(took, 2), "tries": tries}
                break
        else:
            raise Broken(f"{len(MOMENTS)} runs ended before signal {number} came")


def array(case: Case, folder: Path, data: Path) -> Iterator[dict[str, Any]]:
    said, whole, out = folder / "said", folder / "whole", folder / "out"
    case.prepare(whole)
    code = run(case, whole, said)
    case.prepare(out)
    place = out / "activity.h5.parts" if folder.name == "activity" else out
    shares = [
        Case(lambda out, part=part: [*case.arguments(out), "--part", f"{part}/2"], make, digests)
        for part in (1, 2)
    ]
    saids = [folder / "said-1", folder / "said-2"]
    first, second = (start(*share) for share in zip(shares, (out, out), saids, strict=True))
    while not os.waitid(os.P_PID, first, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        if (place / ".lock-1").exists() and f"process {first} " in (place / ".lock-1").read_text():
            os.kill(first, signal.SIGKILL)
            break
    killed = wait(first)
    beside = wait(second)
    expect((killed, beside) == (-signal.SIGKILL, 0), (killed, beside), saids[1])
    expect(
        not {"activity.h5", "index.json"} & {path.name for path in out.iterdir()}, "looks finished", saids[1]
    )
    again = run(shares[0], out, saids[0])
    expect(again == 0, again, saids[0])
    last = run(case, out, said)
    expect(last == code and case.outputs(out) == case.outputs(whole), last, said)
    wait_for_no_temporaries("job array", out)
    yield {"killed": killed, "beside it": beside, "again": again, "last": last}


def state_of(data: Path) -> dict[str, tuple[str, int]]:
    """Digest and time of every input."""
    return {name: (digest, (data / name).stat().st_mtime_ns) for name, digest in digests(data).items()}


def expect(kept: bool, what: object, said: Path) -> None:
    if not kept:
        raise Broken(f"{what}: {said.read_text()}")


if __name__ == "__main__":
    main()
