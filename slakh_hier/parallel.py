"""Running independent tasks in parallel: one interface, three backends.

Tasks are plain functions of picklable arguments that return small records, never audio. A result comes for
every task, as soon as it is there, in any order; a task's own error is a result too.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar, get_args

from slakh_hier.errors import FaultError, InputError, MissingExtraError

T = TypeVar("T")
Backend = Literal["loky", "threading", "dask"]


@dataclass(frozen=True)
class Result(Generic[T]):
    """What became of one task: its value, or the exception it raised."""

    id: str
    value: T | None = None
    error: BaseException | None = None

    def unwrap(self) -> T:
        """The value; the task's exception is raised again."""
        if self.error is not None:
            raise self.error
        return self.value  # type: ignore[return-value]


def resolve_jobs(jobs: int | None) -> int:
    """Number of workers: None or 0 means the processors this process may use."""
    if jobs is not None and jobs < 0:
        raise InputError(f"the number of jobs must be 1 or more (0: one per processor), not {jobs}")
    return jobs or len(os.sched_getaffinity(0))


def run(
    function: Callable[..., T],
    tasks: Mapping[str, tuple[Any, ...]],
    *,
    jobs: int | None = None,
    backend: Backend = "loky",
    scheduler: str | None = None,
) -> Iterator[Result[T]]:
    """Call ``function(*arguments)`` for every task and yield each :class:`Result` as it comes.

    Parameters
    ----------
    tasks
        Arguments by task id. One task should be seconds of work.
    jobs
        Workers; None or 0: one per processor. 1 runs in this process (loky, threading).
    backend
        ``loky`` (processes, the default), ``threading``, or ``dask`` (a dask.distributed client).
    scheduler
        Address of a running Dask scheduler; None starts a local cluster of ``jobs`` workers.

    Raises
    ------
    FaultError
        A worker died (the operating system may have stopped it for lack of memory). Results that were
        already yielded stand; the message names the tasks that were not finished.
    """
    if backend not in get_args(Backend):
        raise InputError(f"backend must be one of {', '.join(get_args(Backend))}, not {backend!r}")
    jobs = resolve_jobs(jobs)
    open_tasks = dict(tasks)
    if backend == "dask":
        results = _run_dask(function, open_tasks, jobs, scheduler)
    else:
        results = _run_joblib(function, open_tasks, jobs, backend)
    for result in results:
        if open_tasks.pop(result.id, None) is None:
            raise FaultError(f"a worker answered for {result.id}, which was not asked for; run again")
        yield result
    if open_tasks:
        raise FaultError(f"no answer came for {_names(open_tasks)}; run again")


def _guarded(function: Callable[..., T], id: str, arguments: tuple[Any, ...]) -> Result[T]:
    """Runs in the worker: a task's own error is a value, since loky drops the rest after an exception."""
    try:
        return Result(id, function(*arguments))
    except Exception as error:  # noqa: BLE001 (whatever a task raises is its result)
        return Result(id, error=error)


def _run_joblib(
    function: Callable[..., T], tasks: Mapping[str, tuple[Any, ...]], jobs: int, backend: str
) -> Iterator[Result[T]]:
    if jobs == 1 or len(tasks) <= 1:
        for id, arguments in list(tasks.items()):
            yield _guarded(function, id, arguments)
        return
    import joblib
    from joblib.externals.loky.process_executor import TerminatedWorkerError

    # A fresh Parallel for every run: one that is used again after a failure can leak a result of the failed run.
    pool = joblib.Parallel(
        n_jobs=min(jobs, len(tasks)),
        backend=backend,
        return_as="generator_unordered",
        batch_size=1,
        pre_dispatch="2*n_jobs",
        max_nbytes=None,
    )
    asked = list(tasks.items())
    generator = pool(joblib.delayed(_guarded)(function, id, arguments) for id, arguments in asked)
    try:
        yield from generator
    except TerminatedWorkerError as error:
        raise FaultError(
            f"a worker process died (killed, out of memory, or a crash in a library) while the open tasks were "
            f"{_names(tasks)}. Finished work is kept: run the same command again, with fewer --jobs if memory is short"
        ) from error
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # joblib warns about dropped tasks when the caller stops early
            generator.close()


def _run_dask(
    function: Callable[..., T], tasks: Mapping[str, tuple[Any, ...]], jobs: int, scheduler: str | None
) -> Iterator[Result[T]]:
    # Not joblib's Dask backend: that one hangs for ever when a task kills its worker.
    try:
        from distributed import Client, LocalCluster, as_completed
    except ImportError as error:
        raise MissingExtraError("dask.distributed", "dask") from error
    if scheduler is None:
        cluster = LocalCluster(n_workers=jobs, threads_per_worker=1, processes=True, dashboard_address=None)
        client = Client(cluster)
    else:
        cluster = None
        try:
            client = Client(scheduler, timeout=10)
        except (OSError, TimeoutError, ValueError) as error:
            raise InputError(f"no Dask scheduler answers at {scheduler}: {error}") from error
    try:
        futures = {
            client.submit(_guarded, function, id, arguments, pure=False): id
            for id, arguments in list(tasks.items())
        }
        for future in as_completed(list(futures), raise_errors=False):
            id = futures[future]
            if future.status == "finished":
                yield future.result()
            else:
                fault = future.exception()
                yield Result(id, error=FaultError(f"the worker of {id} died repeatedly: {fault}"))
            future.release()
    finally:
        client.close()
        if cluster is not None:
            cluster.close()


def _names(tasks: Mapping[str, Any], most: int = 5) -> str:
    names = list(tasks)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
