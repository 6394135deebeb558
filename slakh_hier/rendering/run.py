"""Rendering a plan into a folder of shards: in parallel, resumable, finished only when ``index.json`` is there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from slakh_hier.display import Shown
from slakh_hier.errors import FaultError
from slakh_hier.output.folder import OutputFolder, Target, place_of, refuse_other, write_failures
from slakh_hier.output.items import FILE_NOTES, digest_of, file_note, make_all
from slakh_hier.parallel import Backend, Tasks
from slakh_hier.paths import StrPath
from slakh_hier.plan.folder import (
    CATALOG_NAME,
    CLIPS_NAME,
    FIXED,
    HIERARCHY_NAME,
    PLAN_NAME,
    fixed_digest,
    read_document,
)
from slakh_hier.plan.plan import Plan
from slakh_hier.progress import Wanted
from slakh_hier.rendering.changes import must_start_again
from slakh_hier.rendering.options import RenderOptions
from slakh_hier.rendering.task import ShardDone, ShardTask, make_shard
from slakh_hier.shards.format import Dtype, ShardHeader
from slakh_hier.shards.index import (
    INDEX_NAME,
    MASK_FOLDER,
    Index,
    MaskRecord,
    NodeRecord,
    read_index,
    write_index,
)
from slakh_hier.shards.layout import ShardPlan, shard_layout
from slakh_hier.shards.mask import Mask, withheld
from slakh_hier.shards.mask_files import rebuild_masks
from slakh_hier.signals import sample_at
from slakh_hier.slakh.broken import OnBroken, broken_stems
from slakh_hier.splits import SPLITS
from slakh_hier.version import VERSION


@dataclass(frozen=True, repr=False)
class RenderReport(Shown):
    """What a rendering did, or would do."""

    folder: Path
    shards: int
    made: int
    kept: int
    """``shards`` to ``kept``: shards of the whole set, those rendered now, and those that were finished before (of a
    part: of its shards). Of a dry run ``kept`` says how many are there, without a look at their content."""
    clips: int
    """Clips in the set."""
    bytes: int
    """Size of all shards; of a dry run, an upper bound."""
    failures: int
    """Clips that were left out because a stem could not be decoded."""
    finished: bool
    """The set is complete and has its index."""
    repaired: Mapping[str, str] = field(default_factory=dict)
    """Why shards that were finished before were made again."""


def render(
    plan: Plan,
    out: StrPath,
    *,
    sample_rate: int = 16_000,
    levels: Sequence[int] | None = None,
    dtype: Dtype = "int16",
    shard_mb: float = 64,
    masks: Sequence[str | Mask] = (),
    jobs: int | None = None,
    backend: Backend = "loky",
    scheduler: str | None = None,
    part: tuple[int, int] | None = None,
    overwrite: bool = False,
    dry_run: bool = False,
    on_broken: OnBroken = "stop",
    progress: Wanted = None,
) -> RenderReport:
    """Render a plan's clips into shards; a folder that holds part of the same is resumed.

    The same plan and options give the same bytes, whatever the jobs, the backend or interruptions.

    Parameters
    ----------
    out
        Folder of the shards.
    sample_rate
        In Hz; default 16 kHz, as in the paper.
    levels
        Levels to render, 0 for the categories; default all numbered ones, of a plan with a target those of its path.
    dtype
        ``int16`` (default, half the size; the quantisation is 90 dB below full scale) or ``float32``.
    shard_mb
        Largest size of a shard in MB; a worker holds about one shard in memory.
    masks
        Masks to store, as ``leaf-50``.
    jobs, backend, scheduler
        As for :func:`slakh_hier.parallel.run`.
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
    progress
        Shows clips.

    Raises
    ------
    InputError
        An option does not fit, the folder holds another plan or a rendering of another data set, or the plan knows of
        stems that cannot be decoded (``on_broken="stop"``); nothing is changed.
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
    folder = OutputFolder(
        job.folder,
        "render",
        job.settings,
        items=_made_by_render,
        beside=(PLAN_NAME, CLIPS_NAME, CATALOG_NAME, HIERARCHY_NAME),
        reads=[plan.catalog.root],
        about=place_of(plan.catalog.root),
    )
    overwrite = overwrite or must_start_again(folder, plan.catalog)
    folder.check(overwrite=overwrite)
    if not overwrite and not folder.record.exists():
        job.refuse_other_plan()
    if dry_run:
        return job.estimate([] if overwrite else [shard for shard in job.shards if job.noted(shard)])
    mine = job.shards if part is None else job.shards[part[0] - 1 :: part[1]]

    def prepare() -> tuple[int, str]:
        return sum(shard.bytes for shard in mine if not job.noted(shard)), "rendering"

    with folder.claimed(prepare, part=part, scheduler=scheduler, overwrite=overwrite) as target:
        plan.save(job.folder)
        done = make_all(
            make_shard,
            job.tasks(target, mine, on_broken == "skip"),
            target,
            reads=folder.reads,
            stage=("render", "clips"),
            amounts={shard.name: shard.count for shard in mine},
            jobs=jobs,
            backend=backend,
            scheduler=scheduler,
            progress=progress,
        )
        if part is None:
            job.write_index(done.records, broken)
    failures = sum(len(each.failures) for each in done.records)
    return RenderReport(
        folder=job.folder,
        shards=len(job.shards),
        made=len(done.made) - done.kept,
        kept=done.kept,
        clips=sum(shard.count for shard in job.shards) - failures,
        bytes=sum(each.record.bytes for each in done.records),
        failures=failures,
        finished=part is None,
        repaired=done.repaired,
    )


def _made_by_render(folder: Path) -> Iterator[Path]:
    """What a rendering leaves, the index first: what is left is never taken for a finished set."""
    yield folder / INDEX_NAME
    for split in SPLITS:
        found = folder.glob(f"{split}-[0-9][0-9][0-9][0-9][0-9].h5")
        yield from (path for path in found if path.is_symlink() or not path.is_dir())
    yield folder / MASK_FOLDER
    yield folder / FILE_NOTES


class _Job:
    """One plan, one folder, one set of options."""

    def __init__(self, plan: Plan, folder: Path, options: RenderOptions):
        self.plan, self.folder, self.options = plan, folder, options
        self.samples = sample_at(plan.parameters.clip_seconds, options.sample_rate)
        self.usable = plan.catalog.usable_by_track
        self.channels = plan.parameters.channels
        row_bytes = self.channels * self.samples * np.dtype(options.dtype).itemsize
        self.shards = shard_layout(plan.clips, self.usable, options.columns, row_bytes, options.shard_mb)
        self.settings: dict[str, Any] = {
            "plan": plan.digest,
            "hierarchy": {"name": plan.hierarchy.name, "digest": plan.hierarchy.digest},
            "catalog": plan.catalog.digest,
            **plan.parameters.as_dict(),
            **options.as_dict(),
        }

    def noted(self, shard: ShardPlan) -> bool:
        """Whether a shard is there and has its note, without a look at their content."""
        return (self.folder / shard.file).exists() and file_note(self.folder, shard.file).exists()

    def refuse_other_plan(self) -> None:
        """Refuse a folder in which another plan was saved, and nothing rendered yet."""
        if (self.folder / PLAN_NAME).exists():
            document = read_document(self.folder)
            there = {"plan": document["digest"], **document["parameters"]}
            refuse_other(self.folder, "plan", there, {name: self.settings.get(name) for name in there})

    def estimate(self, kept: Sequence[ShardPlan]) -> RenderReport:
        """What a run would do; the size of what is missing is an upper bound."""
        return RenderReport(
            folder=self.folder,
            shards=len(self.shards),
            made=len(self.shards) - len(kept),
            kept=len(kept),
            clips=sum(shard.count for shard in self.shards),
            bytes=sum(
                (self.folder / shard.file).stat().st_size if shard in kept else shard.bytes
                for shard in self.shards
            ),
            failures=0,
            finished=False,
        )

    def tasks(self, target: Target, shards: Sequence[ShardPlan], skip_broken: bool) -> Tasks:
        """The work of each shard by its name, small enough to be sent to a worker."""
        clips = self.plan.clips
        offsets = {split: int(rows.index[0]) for split, rows in clips.groupby("split", sort=False)}
        flags = {mask: withheld(mask, clips) for mask in self.options.masks}
        by_name = {shard.name: shard for shard in shards}
        header = ShardHeader(
            sample_rate=self.options.sample_rate,
            channels=self.channels,
            clip_seconds=self.plan.parameters.clip_seconds,
            samples=self.samples,
            dtype=self.options.dtype,
            split="",
            first_clip=0,
            columns=self.options.columns,
            plan_digest=self.plan.digest,
        )

        digest = digest_of(self.settings)

        def arguments(name: str) -> tuple[Target, ShardTask]:
            shard = by_name[name]
            first = offsets[shard.split] + shard.first
            part = clips.iloc[first : first + shard.count]
            tracks = sorted({*part["track"], *part["query_track"]} - {""})
            task = ShardTask(
                digest=digest,
                header=replace(header, split=shard.split, first_clip=shard.first),
                file=shard.file,
                clips=part.reset_index(drop=True),
                stems=self.usable.rows(tracks),
                withheld={
                    mask: np.asarray(flag[first : first + shard.count]) for mask, flag in flags.items()
                },
                root=str(self.plan.catalog.root),
                skip_broken=skip_broken,
            )
            return target, task

        return Tasks(by_name, arguments)

    def write_index(self, done: Sequence[ShardDone], broken: list[dict[str, str]]) -> None:
        """Publish the index: from now on the set is finished."""
        failures = [(item.record.file, failure) for item in done for failure in item.failures]
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
            plan_files={name: fixed_digest(self.folder, name) for name in FIXED},
            sample_rate=self.options.sample_rate,
            channels=self.channels,
            clip_seconds=self.plan.parameters.clip_seconds,
            samples=self.samples,
            dtype=self.options.dtype,
            parameters=json.loads(json.dumps(self.settings)),
            nodes=[NodeRecord(name=c.name, level=c.level, parent=c.parent) for c in self.options.columns],
            splits=[split for split, count in self.plan.parameters.as_dict()["clips"].items() if count],
            shards=[item.record for item in done],
            masks=[MaskRecord.of(m) for m in self.options.masks],
            failures=len(failures),
        )
        old = read_index(self.folder) if (self.folder / INDEX_NAME).exists() else None
        if old is not None:
            index = self._with_masks_of(old, index)
        if old != index:
            write_index(self.folder, index)

    def _with_masks_of(self, old: Index, index: Index) -> Index:
        """The new index with the masks of the old one, of which some may have been added or hidden."""
        index = index.model_copy(update={"masks": old.masks})
        clips = [[(shard.file, shard.clips) for shard in each.shards] for each in (old, index)]
        return index if clips[0] == clips[1] else rebuild_masks(self.folder, index)
