"""Rendering a plan into a folder of shards: in parallel, resumable, finished only when ``index.json`` is there."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from slakh_hier.errors import FaultError, InputError, SlakhHierError, SlakhHierWarning
from slakh_hier.files import make_folder, remove_temporaries, require_free
from slakh_hier.locks import Owner, folder_lock
from slakh_hier.parallel import Backend, Tasks, run
from slakh_hier.plan.folder import PLAN_NAME, read_document
from slakh_hier.plan.layout import ShardPlan, shard_layout
from slakh_hier.plan.plan import Plan
from slakh_hier.plan.reductions import Reduction, withheld
from slakh_hier.progress import Progress, Silent
from slakh_hier.rendering.journal import Journal, clear, intact, journal_files, read_journals, refuse_other
from slakh_hier.rendering.options import RenderOptions
from slakh_hier.rendering.task import Failure, ShardDone, ShardTask, render_shard
from slakh_hier.shards.format import Dtype, ShardHeader, samples_of
from slakh_hier.shards.index import INDEX_NAME, Index, MaskRecord, NodeRecord, read_index, write_index
from slakh_hier.shards.masks import rebuild_masks
from slakh_hier.shared_folders import SharedFolders
from slakh_hier.slakh.broken import OnBroken, broken_stems, read_failures, write_failures
from slakh_hier.version import VERSION


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
    on_broken: OnBroken = "stop",
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
        ``stop`` (default) at a stem that cannot be decoded: before any work where the plan knows of it, else when it is
        met. ``skip``: mixtures are without the stems that the plan knows of, and clips that meet another are left out;
        ``failures.jsonl`` lists both.

    Raises
    ------
    InputError
        An option does not fit, the folder holds another plan, or the plan knows of stems that cannot be decoded
        (``on_broken="stop"``); nothing is changed.
    LockedError
        Another run is writing into the folder.
    AudioError
        A stem breaks while it is decoded (``on_broken="stop"``); finished shards are kept.
    FaultError
        Disk full or a worker died; finished shards are kept.
    """
    drawn = [split for split, count in plan.parameters.clips.items() if count]
    broken = broken_stems(plan.catalog, drawn, on_broken)
    job = _Job(plan, Path(out), RenderOptions.of(plan, sample_rate, levels, dtype, shard_mb, masks))
    if dry_run:
        there = not overwrite and job.folder.is_dir()
        return job.report(job.finished_shards(complete=on_broken == "stop") if there else {}, finished=False)
    if part is not None and not 1 <= part[0] <= part[1]:
        raise InputError(f"a part is written I/N with I from 1 to N, not {part[0]}/{part[1]}")
    if part is not None and overwrite:
        raise InputError("a part cannot start the folder again; remove it before the parts are started")
    make_folder(job.folder)
    with ExitStack() as stack:
        owner = stack.enter_context(folder_lock(job.folder, part=part))
        if part is None:
            remove_temporaries(job.folder)
            stack.callback(remove_temporaries, job.folder)  # of workers that are stopped
        if overwrite:
            clear(job.folder)
        done = job.finished_shards(complete=on_broken == "stop")
        kept = len(done)
        missing = [shard for shard in job.shards if job.file(shard) not in done]
        if part is not None:
            missing = [shard for shard in missing if job.shards.index(shard) % part[1] == part[0] - 1]
        require_free(job.folder, sum(shard.bytes for shard in missing), "rendering")
        job.save_plan()
        tasks = job.tasks(missing, on_broken == "skip", owner.of_workers(scheduler))
        amounts = {shard.name: shard.count for shard in missing}
        shared = SharedFolders([plan.catalog.root], job.folder)
        with (
            Journal(job.folder, job.parameters, None if part is None else part[0]) as journal,
            (progress or Silent()).stage("render", sum(amounts.values()), "clips") as advance,
        ):
            for result in run(
                render_shard, tasks, jobs=jobs, backend=backend, scheduler=scheduler, shared=shared
            ):
                shard_done = result.unwrap()
                journal.add(shard_done)
                done[shard_done.record.file] = shard_done
                advance(amounts[result.id])
        if part is None:
            job.write_index(done, broken)
        return job.report(done, rendered=len(done) - kept, finished=part is None)


class _Job:
    """One plan, one folder, one set of options."""

    def __init__(self, plan: Plan, folder: Path, options: RenderOptions):
        self.plan, self.folder, self.options = plan, folder, options
        self.samples = samples_of(plan.parameters.clip_seconds, options.sample_rate)
        self.usable = plan.catalog.usable_by_track
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

    def finished_shards(self, *, complete: bool) -> dict[str, ShardDone]:
        """Shards in the folder that belong to this plan and are intact, by file name.

        With ``complete``, those that left out clips do not count: perhaps their stems can be decoded by now.
        """
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
            and not (complete and done.failures)
            and intact(self.folder, done.record)
        }

    def save_plan(self) -> None:
        """Put the plan beside the shards (again, where a file is missing or damaged)."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SlakhHierWarning)  # the scan has said it
                there = Plan.load(self.folder, self.plan.catalog.root).digest
        except SlakhHierError:
            there = ""
        if there != self.plan.digest:
            self.plan.save(self.folder)

    def tasks(self, shards: Sequence[ShardPlan], skip_broken: bool, owner: Owner) -> Tasks:
        """The work of each shard by its name, small enough to be sent to a worker."""
        clips = self.plan.clips
        offsets = {split: int(rows.index[0]) for split, rows in clips.groupby("split", sort=False)}
        flags = {mask: withheld(mask, clips) for mask in self.options.masks}
        by_name = {shard.name: shard for shard in shards}
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

        def arguments(name: str) -> tuple[ShardTask]:
            shard = by_name[name]
            first = offsets[shard.split] + shard.first
            part = clips.iloc[first : first + shard.count]
            tracks = sorted({*part["track"], *part["query_track"]} - {""})
            task = ShardTask(
                header=replace(header, split=shard.split, first_clip=shard.first),
                file=self.file(shard),
                clips=part.reset_index(drop=True),
                stems=self.usable.rows(tracks),
                withheld={
                    mask: np.asarray(flag[first : first + shard.count]) for mask, flag in flags.items()
                },
                root=str(self.plan.catalog.root),
                folder=str(self.folder.resolve()),
                skip_broken=skip_broken,
                owner=owner,
            )
            return (task,)

        return Tasks(by_name, arguments)

    def write_index(self, done: dict[str, ShardDone], broken: list[dict[str, str]]) -> None:
        """Publish the index: from now on the set is finished."""
        ordered = [done[self.file(shard)] for shard in self.shards]
        failures = [(item.record.file, failure) for item in ordered for failure in item.failures]
        if failures and len(failures) == len(self.plan.clips):
            raise FaultError(
                f"{self.folder}: every clip had a stem that could not be decoded ({failures[0][1].stem}: "
                f"{failures[0][1].reason}); is the data set complete and readable?"
            )
        clips = [{"shard": file, **asdict(failure)} for file, failure in failures]
        write_failures(self.folder, [*broken, *clips])
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
            masks=[MaskRecord.of(m) for m in self.options.masks],
            failures=len(failures),
        )
        old = read_index(self.folder) if (self.folder / INDEX_NAME).exists() else None
        if old is not None:
            index = self._with_masks_of(old, index)
        if old != index:
            write_index(self.folder, index)
        for path in journal_files(self.folder):
            path.unlink()

    def _with_masks_of(self, old: Index, index: Index) -> Index:
        """The new index with the masks of the old one, of which some may have been added or hidden."""
        index = index.model_copy(update={"masks": old.masks})
        clips = [[(shard.file, shard.clips) for shard in each.shards] for each in (old, index)]
        return index if clips[0] == clips[1] else rebuild_masks(self.folder, index)

    def _failures_on_disk(self) -> dict[str, list[Failure]]:
        """What a finished set left out, by shard file."""
        found: dict[str, list[Failure]] = {}
        # Where the file is damaged, shards lack clips that no line explains, and are rendered again.
        with suppress(ValueError, TypeError):
            for entry in read_failures(self.folder):
                if "shard" in entry:  # else a stem that the plan was drawn without
                    found.setdefault(entry.pop("shard"), []).append(Failure(**entry))
        return found

    def report(
        self, done: dict[str, ShardDone], *, finished: bool, rendered: int | None = None
    ) -> RenderReport:
        """What was done, or without ``rendered`` what would be."""
        missing = [shard for shard in self.shards if self.file(shard) not in done]
        failures = sum(len(item.failures) for item in done.values())
        bound = sum(shard.bytes for shard in missing) if rendered is None else 0
        return RenderReport(
            folder=self.folder,
            shards=len(self.shards),
            rendered=len(missing) if rendered is None else rendered,
            kept=len(done) - (rendered or 0),
            clips=sum(shard.count for shard in self.shards) - failures,
            bytes=sum(item.record.bytes for item in done.values()) + bound,
            failures=failures,
            finished=finished,
        )
