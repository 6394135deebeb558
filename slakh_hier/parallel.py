"""Running independent tasks in parallel: one interface, three backends.

Tasks are plain functions of picklable arguments that return small records, never audio. A result comes for
every task, as soon as it is there, in any order; a task's own error is a result too.
"""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Literal, TypeVar, get_args

from slakh_hier.errors import FaultError, InputError, check_choice
from slakh_hier.memory import keep_freed_memory
from slakh_hier.shared_folders import SharedFolders
from slakh_hier.wording import some
from slakh_hier.workers import ctrl_c_for_us_alone, end_with

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


class Tasks(Mapping[str, tuple[Any, ...]]):
    """Tasks whose arguments are made when they are sent: together, those of a large data set fill the memory.

    Parameters
    ----------
    ids
        Of every task, in order.
    make
        The arguments of a task; also called from a thread that feeds the workers.
    """

    def __init__(self, ids: Iterable[str], make: Callable[[str], tuple[Any, ...]]):
        self._ids, self._make = dict.fromkeys(ids), make

    def __getitem__(self, id: str) -> tuple[Any, ...]:
        if id not in self._ids:
            raise KeyError(id)
        return self._make(id)

    def __iter__(self) -> Iterator[str]:
        return iter(self._ids)

    def __len__(self) -> int:
        return len(self._ids)


def resolve_jobs(jobs: int | None) -> int:
    """Number of workers: None or 0 means one per CPU core that this process may use."""
    if jobs is not None and jobs < 0:
        raise InputError(f"the number of jobs must be 1 or more (0: one per CPU core), not {jobs}")
    return jobs or cpu_cores()


def cpu_cores() -> int:
    """CPU cores that this process may use; where the system does not tell (macOS), all there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run(
    function: Callable[..., T],
    tasks: Mapping[str, tuple[Any, ...]],
    *,
    jobs: int | None = None,
    backend: Backend = "loky",
    scheduler: str | None = None,
    shared: SharedFolders | None = None,
) -> Generator[Result[T], None, None]:
    """Call ``function(*arguments)`` for every task and yield each :class:`Result` as it comes.

    Close the generator where an error may end the loop over it: workers would live as long as the error's frames.

    Parameters
    ----------
    tasks
        Arguments by task id, or :class:`Tasks`, which makes them one by one. One task should be seconds of work.
    jobs
        Workers; None or 0: one per CPU core. 1 runs in this process (loky, threading).
    backend
        ``loky`` (processes, the default), ``threading``, or ``dask`` (a dask.distributed client).
    scheduler
        Address of a running Dask scheduler; None starts a local cluster of ``jobs`` workers.
    shared
        Folders that the workers of such a scheduler must see; asked of each before the first task.

    Raises
    ------
    InputError
        Wrong arguments, or no scheduler or worker there that sees the folders. Nothing was done.
    FaultError
        A worker died (the operating system may have stopped it for lack of memory). Results that were
        already yielded stand; the message names the tasks that were not finished.
    """
    check_choice("backend", backend, get_args(Backend))
    if scheduler is not None and backend != "dask":
        raise InputError(f"a scheduler ({scheduler}) is Dask's: give --backend dask with it, not {backend}")
    jobs = resolve_jobs(jobs)
    open_tasks = dict.fromkeys(tasks)  # in their order; what answers come is struck out
    if backend == "dask" and tasks:
        results = _run_on_cluster(function, tasks, open_tasks, jobs, scheduler, shared)
    elif jobs == 1 or len(tasks) <= 1:
        results = _run_here(function, tasks)
    elif backend == "threading":
        results = _run_threads(function, tasks, jobs)
    else:
        results = _run_loky(function, tasks, open_tasks, jobs)
    for result in results:
        if result.id not in open_tasks:
            raise FaultError(f"a worker answered for {result.id}, which was not asked for; run again")
        del open_tasks[result.id]
        yield result
    if open_tasks:
        raise FaultError(f"no answer came for {some(list(open_tasks))}; run again")


def _guarded(function: Callable[..., T], id: str, arguments: tuple[Any, ...]) -> Result[T]:
    """Runs in the worker: a task's own error is a value, since loky drops the rest after an exception."""
    keep_freed_memory()
    try:
        return Result(id, function(*arguments))
    except MemoryError:
        reason = "not enough memory; run the same command again with fewer --jobs"
        return Result(id, error=FaultError(f"{id}: {reason}"))
    except Exception as error:  # noqa: BLE001 (whatever a task raises is its result)
        return Result(id, error=_portable(error))


def _guarded_child(parent: int, function: Callable[..., T], id: str, arguments: tuple[Any, ...]) -> Result[T]:
    """Runs in a loky worker, which would outlive a killed parent and continue."""
    end_with(parent)
    return _guarded(function, id, arguments)


def _portable(error: Exception) -> Exception:
    """The error, or what can be said of it: one that cannot be unpickled would break the pool."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 (pickle raises whatever the error's own code raises)
        return FaultError(f"{type(error).__name__}: {error}")
    return error


def _run_here(function: Callable[..., T], tasks: Mapping[str, tuple[Any, ...]]) -> Iterator[Result[T]]:
    for id in tasks:
        yield _guarded(function, id, tasks[id])


def _run_threads(
    function: Callable[..., T], tasks: Mapping[str, tuple[Any, ...]], jobs: int
) -> Iterator[Result[T]]:
    # Not joblib's: its threads die with the interpreter, and one that holds h5py's lock then hangs the exit.
    pool = ThreadPoolExecutor(min(jobs, len(tasks)))
    wait = True
    try:
        # In no variable: a future that was yielded goes, and its result with it.
        for future in as_completed(
            [pool.submit(lambda id: _guarded(function, id, tasks[id]), id) for id in tasks]
        ):
            yield future.result()
    except KeyboardInterrupt:
        wait = False
        raise
    finally:
        pool.shutdown(wait=wait, cancel_futures=True)


def _run_loky(
    function: Callable[..., T],
    tasks: Mapping[str, tuple[Any, ...]],
    open_tasks: Mapping[str, None],
    jobs: int,
) -> Iterator[Result[T]]:
    import joblib
    from joblib.externals.loky.process_executor import BrokenProcessPool, TerminatedWorkerError

    # A fresh Parallel for every run: one that is used again after a failure can leak a result of the failed run.
    pool = joblib.Parallel(
        n_jobs=min(jobs, len(tasks)),
        backend="loky",
        return_as="generator_unordered",
        batch_size=1,
        pre_dispatch="2*n_jobs",
        max_nbytes=None,
    )
    given: list[str] = []  # joblib takes tasks from the generator as it gives them to the workers

    def calls() -> Iterator[Any]:
        mine = os.getpid()
        for id in tasks:
            given.append(id)
            yield joblib.delayed(_guarded_child)(mine, function, id, tasks[id])

    generator = _nothing()
    try:
        try:
            with ctrl_c_for_us_alone():
                generator = pool(calls())  # gives out the first tasks: a worker may die meanwhile
        except (OSError, ImportError) as error:
            if isinstance(error, BrokenPipeError) and given:
                raise
            raise _cannot_start(error) from error
        for result in generator:  # noqa: UP028 (`yield from` would close it outside of the finally below)
            yield result
    except (
        BrokenProcessPool,
        BrokenPipeError,
    ) as error:  # the pipe: it died before it got its task
        what = f"the workers failed ({error})"
        if isinstance(error, TerminatedWorkerError | BrokenPipeError):
            what = "a worker process died (killed, out of memory, or a crash in a library)"
        # The first ones rather than the last: they began in this order.
        held = [id for id in given if id in open_tasks]
        if not held:
            raise _cannot_start(error) from error
        raise FaultError(
            f"{what} with one of these tasks: {some(held, most=max(5, jobs))}. Finished work is kept: run the same command "
            "again, with fewer --jobs if memory is short"
        ) from error
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # joblib warns about dropped tasks when the caller stops early
            generator.close()


def _cannot_start(error: Exception) -> FaultError:
    reason = getattr(error, "strerror", None) or error
    return FaultError(
        f"worker processes cannot be started here ({reason}): too many processes, or no shared memory. Run the same command "
        "with --jobs 1, or with --backend threading"
    )


def _nothing() -> Generator[Any, None, None]:
    yield from ()


def _run_on_cluster(
    function: Callable[..., T],
    tasks: Mapping[str, tuple[Any, ...]],
    open_tasks: Mapping[str, None],
    jobs: int,
    scheduler: str | None,
    shared: SharedFolders | None,
) -> Iterator[Result[T]]:
    from slakh_hier.dask_cluster import cluster_client, run_on

    with cluster_client(jobs, scheduler, shared) as client:
        for id, answer in run_on(client, partial(_guarded, function), tasks, open_tasks):
            if isinstance(answer, Result):
                yield answer
            else:
                yield Result(id, error=FaultError(f"Dask could not run {id}: {answer}"))
