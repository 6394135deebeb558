"""How do tasks run on a Dask cluster, of this machine or of many?

Not joblib's Dask backend: that one hangs for ever when a task kills its worker.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from typing import Any

from slakh_hier.errors import FaultError, InputError, MissingExtraError
from slakh_hier.shared_folders import SharedFolders, check_workers
from slakh_hier.wording import some
from slakh_hier.workers import ctrl_c_for_us_alone

PATIENCE = 60.0
"""Seconds that a cluster may be without any worker (those of a local one are restarted when they die)."""
OPEN = 1000
"""Tasks that a cluster has at a time: enough for as many workers, and few enough for their arguments to be small."""


@contextmanager
def cluster_client(jobs: int, scheduler: str | None, shared: SharedFolders | None) -> Iterator[Any]:
    """A ``distributed.Client`` of a running scheduler whose workers see the folders, or of a new local cluster.

    Raises
    ------
    InputError
        No scheduler answers, or its workers are none, or see other folders.
    MissingExtraError
        The extra ``dask`` is not installed.
    """
    try:
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise MissingExtraError("dask.distributed", "dask") from error
    if scheduler is None:
        with ctrl_c_for_us_alone():
            cluster = LocalCluster(
                n_workers=jobs,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                silence_logs=logging.CRITICAL,  # what goes wrong is in the results
            )
        client = Client(cluster)
    else:
        cluster = None
        try:
            client = Client(scheduler, timeout=10)
        except (OSError, TimeoutError, ValueError) as error:
            raise InputError(f"no Dask scheduler answers at {scheduler}: {error}") from error
    try:
        if scheduler is not None and shared is not None:
            check_workers(client, scheduler, shared)
        yield client
    finally:
        client.close()
        if cluster is not None:
            cluster.close()


def run_on(
    client: Any,
    function: Callable[..., Any],
    tasks: Mapping[str, tuple[Any, ...]],
    open_tasks: Mapping[str, None],
) -> Iterator[tuple[str, Any]]:
    """Call ``function(id, arguments)`` for every task; yields each id with what came back, or Dask's own exception.

    Parameters
    ----------
    open_tasks
        Those without an answer so far, for the error's message.

    Raises
    ------
    FaultError
        The workers died and did not come back.
    """
    from distributed import as_completed

    futures: dict[Any, str] = {}
    waiting = iter(tasks)

    def next_ones(most: int) -> list[Any]:
        sent = {client.submit(function, id, tasks[id], pure=False): id for id in islice(waiting, most)}
        futures.update(sent)
        return list(sent)

    # With results: one that is lost with its worker before it was fetched is then computed again, unnoticed.
    ready = as_completed(next_ones(OPEN), with_results=True, raise_errors=False)
    last = asked = time.monotonic()  # when there were workers; when they were asked for
    while not ready.is_empty():
        batch = ready.next_batch(block=False)
        for future, answer in batch:
            id = futures.pop(future)
            # What Dask itself has to say of a task is an exception, or one with its traceback.
            yield id, answer[1] if isinstance(answer, tuple) else answer
            future.release()
            ready.update(next_ones(1))
        now = time.monotonic()
        if batch:
            last = now
        elif now - asked > 2:
            asked = now
            if _has_workers(client):
                last = now
            elif now - last > PATIENCE:
                raise FaultError(
                    f"Dask's workers died and do not come back; the open tasks were {some(list(open_tasks))}. Finished work "
                    "is kept: run the same command again"
                )
        if not batch:
            time.sleep(0.02)


def _has_workers(client: Any) -> bool:
    if client.cluster is not None:
        return bool(client.cluster.scheduler.workers)
    try:
        return bool(client.scheduler_info()["workers"])
    except (OSError, TimeoutError):  # the scheduler itself is gone
        return False
