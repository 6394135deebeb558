"""Rendering a plan into a folder of shards: in parallel, resumable, finished only when ``index.json`` is there."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from slakh_hier.errors import FaultError, InputError
from slakh_hier.files import (
    LOCK_NAME,
    folder_lock,
    make_folder,
    publish,
    remove_temporaries,
    require_free,
)
from slakh_hier.hierarchy import Column
from slakh_hier.parallel import Backend, run
from slakh_hier.plan.layout import ShardPlan, shard_layout
from slakh_hier.plan.plan import CATALOG_NAME, CLIPS_NAME, HIERARCHY_NAME, PLAN_NAME, Plan, read_document
from slakh_hier.plan.reductions import Reduction, withheld
from slakh_hier.progress import Progress, Silent
from slakh_hier.rendering.journal import Journal, intact, journal_files, read_journals, refuse_other
from slakh_hier.rendering.task import Failure, ShardDone, ShardTask, render_shard
from slakh_hier.shards.format import Dtype, ShardHeader, samples_of
from slakh_hier.shards.index import INDEX_NAME, Index, MaskRecord, NodeRecord, read_index, write_index
from slakh_hier.version import VERSION

FAILURES_NAME = "failures.jsonl"
MAX_SHARD_MB = 1024


@dataclass(frozen=True)
class RenderReport:
    """What a rendering did, or would do.

    Attributes
    ----------
    shards, rendered, kept
        Shards of the whole set, those rendered now, and those that were finished before.
    clips
        Clips in the set.
    bytes
        Size of all shards; of a dry run, an upper bound.
    failures
        Clips that were left out because a stem could not be decoded.
    finished
        The set is complete and has its index.
    """

    folder: Path
    shards: int
    rendered: int
    kept: int
    clips: int
    bytes: int
    failures: int
    finished: bool


def render(
    plan: Plan,
    out: str | Path,
    *,
    sample_rate: int = 16_000,
    levels: Sequence[int] | None = None,
    dtype: Dtype = "int16",
    shard_mb: float = 64,
    masks: Sequence[str | Reduction] = (),
    jobs: int | None = None,
    backend: Backend = "loky",
    scheduler: str | None = None,
    part: tuple[int, int] | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    on_broken: str = "stop",
    progress: Progress | None = None,
) -> RenderReport:
    """Render a plan's clips into shards; a folder that holds part of the same plan is gone on with.

    The same plan and options give the same bytes, whatever the jobs, the backend or interruptions.

    Parameters
    ----------
    out
        Folder of the shards.
    sample_rate
        In Hz; default 16 kHz, as in the paper.
    levels
        Levels to render, 0 for the categories; default all numbered ones.
    dtype
        ``int16`` (default, half the size; the quantisation is 90 dB below full scale) or ``float32``.
    shard_mb
        Largest size of a shard in MB; a worker holds about one shard in memory.
    masks
        Reductions to store, as ``leaf:50``.
    part
        ``(i, n)``: render every n-th shard from the i-th (1-based) and write no index; a last call without ``part``
        renders what is missing and writes it.
    overwrite
        Remove what the folder holds of an earlier rendering first.
    dry_run
        Only say what would be done.
    on_broken
        ``stop`` (default) at the first stem that cannot be decoded, or ``skip`` the clips that need it.

    Raises
    ------
    InputError
        An option does not fit, or the folder holds another plan (nothing is changed).
    LockedError
        Another run is writing into the folder.
    AudioError
        A stem cannot be decoded (``on_broken="stop"``); finished shards are kept.
    FaultError
        Disk full or a worker died; finished shards are kept.
    """
    if on_broken not in ("stop", "skip"):
        raise InputError(f"on_broken must be stop or skip, not {on_broken!r}")
    job = _Job(plan, Path(out), _Options.of(plan, sample_rate, levels, dtype, shard_mb, masks))
    if dry_run:
        return job.report(
            done={}, rendered=0, bytes_=sum(shard.bytes for shard in job.shards), finished=False
        )
    if part is not None and not 1 <= part[0] <= part[1]:
        raise InputError(f"a part is written I/N with I from 1 to N, not {part[0]}/{part[1]}")
    make_folder(job.folder)
    with ExitStack() as stack:
        stack.enter_context(folder_lock(job.folder, shared=part is not None))
        if part is None:
            remove_temporaries(job.folder)
            stack.callback(remove_temporaries, job.folder)  # of workers that are stopped
        else:
            stack.enter_context(folder_lock(job.folder, name=f"{LOCK_NAME}-{part[0]}"))
        if overwrite:
            if part is not None:
                raise InputError(
                    "a part cannot start the folder again; remove it before the parts are started"
                )
            _clear(job.folder)
        done = job.finished_shards()
        missing = [shard for shard in job.shards if job.file(shard) not in done]
        if part is not None:
            missing = [shard for shard in missing if job.shards.index(shard) % part[1] == part[0] - 1]
        require_free(job.folder, sum(shard.bytes for shard in missing), "rendering")
        job.save_plan()
        guard = None if scheduler else os.getpid()  # workers of a scheduler elsewhere are no children of ours
        tasks = {
            shard.name: (task,)
            for shard, task in zip(missing, job.tasks(missing, on_broken == "skip", guard), strict=True)
        }
        amounts = {shard.name: shard.count for shard in missing}
        with (
            Journal(job.folder, job.parameters, None if part is None else part[0]) as journal,
            (progress or Silent()).stage("render", sum(amounts.values()), "clips") as advance,
        ):
            for result in run(render_shard, tasks, jobs=jobs, backend=backend, scheduler=scheduler):
                shard_done = result.unwrap()
                journal.add(shard_done)
                done[shard_done.record.file] = shard_done
                advance(amounts[result.id])
        if part is None:
            job.write_index(done)
        return job.report(done, rendered=len(missing), finished=part is None)


@dataclass(frozen=True)
class _Options:
    """Render options, checked."""

    sample_rate: int
    levels: tuple[int, ...]
    dtype: Dtype
    shard_mb: float
    masks: tuple[Reduction, ...]
    columns: tuple[Column, ...]

    @classmethod
    def of(
        cls,
        plan: Plan,
        sample_rate: int,
        levels: Sequence[int] | None,
        dtype: Dtype,
        shard_mb: float,
        masks: Sequence[str | Reduction],
    ) -> _Options:
        if not 1_000 <= sample_rate <= 384_000:
            raise InputError(f"the sample rate must lie between 1000 and 384000 Hz, not {sample_rate}")
        if dtype not in get_args(Dtype):
            raise InputError(f"the sample type must be int16 or float32, not {dtype!r}")
        if not 0 < shard_mb <= MAX_SHARD_MB:
            raise InputError(f"a shard must have between 0 and {MAX_SHARD_MB} MB, not {shard_mb:g}")
        reductions = sorted(
            (mask if isinstance(mask, Reduction) else Reduction.parse(mask) for mask in masks),
            key=lambda m: m.name,
        )
        names = [reduction.name for reduction in reductions]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise InputError(f"the mask {twice[0]} was asked for twice")
        chosen = tuple(
            sorted(set(range(1, plan.hierarchy.levels + 1) if levels is None else levels), reverse=True)
        )
        columns = plan.hierarchy.columns(chosen, target=plan.parameters.target)
        return cls(sample_rate, chosen, dtype, float(shard_mb), tuple(reductions), columns)

    def as_dict(self) -> dict[str, Any]:
        return {
            "sample_rate": self.sample_rate,
            "levels": list(self.levels),
            "dtype": self.dtype,
            "shard_mb": self.shard_mb,
            "masks": [asdict(mask) for mask in self.masks],
        }


class _Job:
    """One plan, one folder, one set of options."""

    def __init__(self, plan: Plan, folder: Path, options: _Options):
        self.plan, self.folder, self.options = plan, folder, options
        self.samples = samples_of(plan.parameters.clip_seconds, options.sample_rate)
        self.usable = plan.catalog.usable
        item = 2 if options.dtype == "int16" else 4
        self.shards = shard_layout(
            plan.clips, self.usable, options.columns, self.samples * item, options.shard_mb
        )
        self.parameters: dict[str, Any] = {
            "plan": plan.digest,
            "hierarchy": {"name": plan.hierarchy.name, "digest": plan.hierarchy.digest},
            "catalog": plan.catalog.digest,
            **plan.parameters.as_dict(),
            **options.as_dict(),
        }

    def file(self, shard: ShardPlan) -> str:
        return f"{shard.name}.h5"

    def finished_shards(self) -> dict[str, ShardDone]:
        """Shards in the folder that belong to this plan and are intact, by file name."""
        there = self.folder / PLAN_NAME
        if there.exists() and not (self.folder / INDEX_NAME).exists() and not journal_files(self.folder):
            document = read_document(self.folder)
            known = {name: self.parameters.get(name) for name in document["parameters"]}
            refuse_other(
                self.folder,
                {"plan": document["digest"], **document["parameters"]},
                {"plan": self.plan.digest, **known},
            )
        found = read_journals(self.folder, self.parameters)
        if (self.folder / INDEX_NAME).exists():
            index = read_index(self.folder)
            refuse_other(self.folder, index.parameters, self.parameters)
            left_out = self._failures_on_disk()
            for record in index.shards:
                found.setdefault(record.file, ShardDone(record, left_out.get(record.file, [])))
        wanted = {self.file(shard): shard for shard in self.shards}
        return {
            name: done
            for name, done in found.items()
            if name in wanted
            and done.record.clips + len(done.failures) == wanted[name].count
            and intact(self.folder, done.record)
        }

    def save_plan(self) -> None:
        """Put the plan beside the shards (again, where a file is missing)."""
        names = (PLAN_NAME, CLIPS_NAME, CATALOG_NAME, HIERARCHY_NAME)
        if not all((self.folder / name).exists() for name in names):
            self.plan.save(self.folder)

    def tasks(
        self, shards: Sequence[ShardPlan], skip_broken: bool, parent_pid: int | None
    ) -> list[ShardTask]:
        """The work of each shard, small enough to be sent to a worker."""
        clips = self.plan.clips
        offsets = {split: int(rows.index[0]) for split, rows in clips.groupby("split", sort=False)}
        flags = {mask: withheld(mask, clips) for mask in self.options.masks}
        stems = dict(iter(self.usable.groupby("track", sort=False)))
        header = ShardHeader(
            sample_rate=self.options.sample_rate,
            clip_seconds=self.plan.parameters.clip_seconds,
            samples=self.samples,
            dtype=self.options.dtype,
            split="",
            first_clip=0,
            columns=self.options.columns,
            plan_digest=self.plan.digest,
        )
        tasks = []
        for shard in shards:
            first = offsets[shard.split] + shard.first
            part = clips.iloc[first : first + shard.count]
            tracks = sorted({*part["track"], *part["query_track"]} - {""})
            tasks.append(
                ShardTask(
                    header=replace(header, split=shard.split, first_clip=shard.first),
                    file=self.file(shard),
                    clips=part.reset_index(drop=True),
                    stems=pd.concat([stems[track] for track in tracks]),
                    withheld={
                        mask: np.asarray(flag[first : first + shard.count]) for mask, flag in flags.items()
                    },
                    root=str(self.plan.catalog.root),
                    folder=str(self.folder.resolve()),
                    skip_broken=skip_broken,
                    parent_pid=parent_pid,
                )
            )
        return tasks

    def write_index(self, done: dict[str, ShardDone]) -> None:
        """Publish the index: from now on the set is finished."""
        ordered = [done[self.file(shard)] for shard in self.shards]
        old = self.folder / INDEX_NAME
        failures = [(item.record.file, failure) for item in ordered for failure in item.failures]
        if failures and len(failures) == len(self.plan.clips):
            raise FaultError(
                f"{self.folder}: every clip had a stem that could not be decoded ({failures[0][1].stem}: "
                f"{failures[0][1].reason}); is the data set complete and readable?"
            )
        if failures:
            lines = [json.dumps({"shard": file, **asdict(f)}, ensure_ascii=False) for file, f in failures]
            publish(self.folder / FAILURES_NAME, ("\n".join(lines) + "\n").encode())
        else:
            (self.folder / FAILURES_NAME).unlink(missing_ok=True)
        index = Index(
            tool_version=VERSION,
            plan_digest=self.plan.digest,
            hierarchy_digest=self.plan.hierarchy.digest,
            sample_rate=self.options.sample_rate,
            clip_seconds=self.plan.parameters.clip_seconds,
            samples=self.samples,
            dtype=self.options.dtype,
            parameters=json.loads(json.dumps(self.parameters)),
            nodes=[NodeRecord(name=c.name, level=c.level, parent=c.parent) for c in self.options.columns],
            splits=[split for split, count in self.plan.parameters.as_dict()["clips"].items() if count],
            shards=[item.record for item in ordered],
            # Masks may have been added or hidden since the index was first written.
            masks=read_index(self.folder).masks
            if old.exists()
            else [MaskRecord.of(m) for m in self.options.masks],
            failures=len(failures),
        )
        if not old.exists() or read_index(self.folder) != index:
            write_index(self.folder, index)
        for path in journal_files(self.folder):
            path.unlink()

    def _failures_on_disk(self) -> dict[str, list[Failure]]:
        """What a finished set left out, by shard file."""
        path = self.folder / FAILURES_NAME
        found: dict[str, list[Failure]] = {}
        if path.exists():
            for line in path.read_text(encoding="utf-8").splitlines():
                entry = json.loads(line)
                found.setdefault(entry.pop("shard"), []).append(Failure(**entry))
        return found

    def report(
        self, done: dict[str, ShardDone], *, rendered: int, finished: bool, bytes_: int | None = None
    ) -> RenderReport:
        return RenderReport(
            folder=self.folder,
            shards=len(self.shards),
            rendered=rendered,
            kept=len(done) - rendered,
            clips=sum(shard.count for shard in self.shards)
            - sum(len(item.failures) for item in done.values()),
            bytes=sum(item.record.bytes for item in done.values()) if bytes_ is None else bytes_,
            failures=sum(len(item.failures) for item in done.values()),
            finished=finished,
        )


def _clear(folder: Path) -> None:
    """Remove an earlier rendering, the index first: what is left is never taken for a finished set."""
    for name in (INDEX_NAME, PLAN_NAME, CLIPS_NAME, CATALOG_NAME, HIERARCHY_NAME, FAILURES_NAME):
        (folder / name).unlink(missing_ok=True)
    for path in (*journal_files(folder), *folder.glob("*-[0-9][0-9][0-9][0-9][0-9].h5")):
        path.unlink()
    if (folder / "masks").is_dir():
        shutil.rmtree(folder / "masks")
