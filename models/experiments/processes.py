"""Cells in processes of their own: several at a time, one a GPU, none of which outlives the run that began it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from queue import SimpleQueue

from slakh_hier.errors import SlakhHierError
from slakh_hier.files import make_own_folder
from slakh_hier.models.config import Config
from slakh_hier.models.experiments.cell import Cell, run_cell
from slakh_hier.models.registry import IMPORTED, import_file
from slakh_hier.parallel import resolve_jobs
from slakh_hier.plain_files import open_plain
from slakh_hier.wording import escaped

LOGS = "logs"


def run_in_processes(
    cells: Sequence[Cell], jobs: int, gpus: Sequence[str]
) -> Iterator[tuple[Cell, str | None]]:
    """Run cells, ``jobs`` at a time; yields each with what went wrong (None: nothing) as it ends.

    A cell's messages go to ``logs/CELL-SEED.log`` beside the runs.

    Parameters
    ----------
    gpus
        Numbers of the GPUs to share out, one for each process that runs at a time; empty: as the configuration says.
    """
    free: SimpleQueue[str | None] = SimpleQueue()
    for place in range(jobs):
        free.put(gpus[place % len(gpus)] if gpus else None)
    running: set[subprocess.Popen[bytes]] = set()
    cores = max(1, resolve_jobs(None) // jobs)

    def one(cell: Cell) -> str | None:
        gpu = free.get()
        environment = {**os.environ, "OMP_NUM_THREADS": str(cores)}
        if gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = gpu
        log = make_own_folder(cell.folder / LOGS) / f"{cell.name}-{cell.seed}.log"
        try:
            try:
                handle = open_plain(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            except OSError as error:
                return f"{log}: cannot be written: {error.strerror}"
            with open(handle, "wb") as file:
                process = subprocess.Popen(
                    [sys.executable, "-m", __name__],
                    stdin=subprocess.PIPE,
                    stdout=file,
                    stderr=file,
                    env=environment,
                    start_new_session=True,  # the terminal's Ctrl-C is for us
                )
            running.add(process)
            assert process.stdin is not None
            process.stdin.write(_encode(cell, cores) + b"\n")
            process.stdin.flush()  # and left open: when we are gone the process sees the end, and goes too
            code = process.wait()
            running.discard(process)
        finally:
            free.put(gpu)
        if code == 0:
            return None
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        how = f"killed by signal {-code}" if code < 0 else f"ended with code {code}"
        return f"{how}: {lines[-1] if lines else 'it said nothing'} (all of it: {log})"

    pool = ThreadPoolExecutor(jobs)
    try:
        futures = {pool.submit(one, cell): cell for cell in cells}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in list(running):
            process.kill()  # what is on disk is whole; the same command resumes from there


def _encode(cell: Cell, cores: int) -> bytes:
    assert cell.shards is not None
    return json.dumps(
        {
            "name": cell.name,
            "seed": cell.seed,
            "config": cell.config.model_dump(mode="json"),
            "shards": str(cell.shards.resolve()),
            "folder": str(cell.folder.resolve()),
            "cores": cores,
            "imports": IMPORTED,
        }
    ).encode()


def _decode(line: bytes) -> tuple[Cell, int]:
    values = json.loads(line)
    for file in values["imports"]:
        import_file(file)
    cell = Cell(
        name=values["name"],
        seed=values["seed"],
        config=Config.model_validate(values["config"]),
        shards=Path(values["shards"]),
        folder=Path(values["folder"]),
    )
    return cell, values["cores"]


def _leave_with_parent() -> None:
    # Not sys.stdin: a process forked while a thread reads from it would hang on its lock.
    while os.read(0, 1):
        pass
    os._exit(1)


def _main() -> None:
    line = sys.stdin.buffer.readline()
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    try:
        cell, cores = _decode(line)
        run_cell(cell, cores=cores, report=lambda text: print(escaped(text), file=sys.stderr, flush=True))
    except SlakhHierError as error:
        print(escaped(str(error), keep="\n"), file=sys.stderr)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    _main()
