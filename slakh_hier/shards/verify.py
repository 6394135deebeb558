"""Checking a set of shards for damage: all of it is listed, with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from slakh_hier.errors import ShardError, SlakhHierError
from slakh_hier.files import TEMPORARY_PREFIX, file_sha256
from slakh_hier.hierarchy import Hierarchy
from slakh_hier.parallel import run
from slakh_hier.paths import StrPath
from slakh_hier.plan.folder import CATALOG_NAME, HIERARCHY_NAME, fixed_digest, open_catalog, read_tree
from slakh_hier.progress import Wanted, shown
from slakh_hier.shards.consistency import Children, check_audio, check_tables, complete_children
from slakh_hier.shards.format import AUDIO
from slakh_hier.shards.index import INDEX_NAME, MASK_FOLDER, Index, MaskRecord, ShardRecord, read_index
from slakh_hier.shards.mask import TRAIN, availability, rank, withheld, withheld_count
from slakh_hier.shards.opening import RefusedError, damage, expected_shard, open_checked
from slakh_hier.shards.tables import Tables, join_clips, load_tables, read_mask_file, read_tables
from slakh_hier.slakh.catalog import saved_digest
from slakh_hier.wording import typed

SMALL_MB: Final = 500
AGAIN: Final = "Run the same slakh-hier render command again: it makes this file again and keeps the others"
PLAN_AGAIN: Final = "Run the same slakh-hier render command again: it writes the plan again"
OTHERWISE: Final = (
    "The file is as it was written, so that it was not damaged later: render again with --overwrite; if it stays, "
    "it is a fault of the program that wrote it"
)


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that is wrong with a set: in which file (relative to the folder), what, and what to do."""

    file: str
    what: str
    advice: str


def verify(
    folder: StrPath,
    *,
    full: bool = False,
    jobs: int | None = None,
    progress: Wanted = None,
) -> list[Finding]:
    """List everything that is wrong with a finished set; nothing is changed.

    Quick checks read the index, the tables and each file's structure: presence, sizes, digests in the
    attributes, states, masks, the plan. Full ones read every byte too: sha256, checksums of all rows, parents
    against the sum of their children, levels against the audio, the catalog.

    Parameters
    ----------
    full
        Read the audio.
    jobs
        Parallel workers of a full check; None or 0: one per CPU core, or one for sets below 500 MB, which are
        read faster than workers start.
    progress
        Shows shards, then MB.

    Raises
    ------
    InputError
        The folder does not exist or holds nothing of ours.
    """
    path = Path(folder)
    try:
        index = read_index(path)
    except ShardError as error:
        what, _, advice = (
            str(error).removeprefix(f"{path / INDEX_NAME}: ").removeprefix(f"{path}: ").partition(". ")
        )
        return [Finding(INDEX_NAME, what, advice)]
    findings = [*_check_plan(path, index), *_strays(path, index)]
    tree, problems = _read_tree(path, index)
    findings += problems
    children = complete_children(index.columns, tree) if tree is not None else {}
    tables: dict[str, Tables] = {}
    progress = shown(progress)
    with progress.stage("check", len(index.shards), "shards") as advance:
        for shard in index.shards:
            found, table = _quick(path, index, shard, children)
            findings += found
            if table is not None:
                tables[shard.file] = table
            advance(1)
    findings += _check_masks(path, index, tables)
    if full and tree is not None:
        findings += _check_catalog(path, index, tree)
    if full:
        tasks = {
            shard.file: (path, index.model_copy(update={"shards": [shard]}), children)
            for shard in index.shards
            if shard.file in tables
        }
        sizes = {shard.file: shard.bytes / 1e6 for shard in index.shards if shard.file in tables}
        if not jobs and sum(sizes.values()) < SMALL_MB:
            jobs = 1
        with progress.stage("read", sum(sizes.values()), "MB") as advance:
            for result in run(check_contents, tasks, jobs=jobs):
                findings += result.unwrap()
                advance(sizes[result.id])
    return sorted(set(findings))


def check_contents(folder: Path, index: Index, children: Children) -> list[Finding]:
    """Read every byte of the only shard in ``index``: runs in a worker."""
    (shard,) = index.shards
    expected = expected_shard(folder, index, shard)
    try:
        if file_sha256(expected.path) != shard.sha256:
            return [Finding(shard.file, "its bytes changed since it was written (sha256 differs)", AGAIN)]
        with open_checked(expected) as file, damage(expected.path):
            tables = read_tables(file, index, shard, expected.path)
            messages = check_audio(file[AUDIO.path], tables, index.columns, index.dtype, children)
    except RefusedError as error:
        return [_refusal(folder, error)]
    except OSError as error:
        return [Finding(shard.file, f"cannot be read: {error.strerror}", AGAIN)]
    return [Finding(shard.file, message, OTHERWISE) for message in messages]


def _quick(
    folder: Path, index: Index, shard: ShardRecord, children: Children
) -> tuple[list[Finding], Tables | None]:
    try:
        tables = load_tables(folder, index, shard)
    except RefusedError as error:
        return [_refusal(folder, error)], None
    messages = check_tables(tables, index.columns, index.dtype, children)
    return [Finding(shard.file, message, OTHERWISE) for message in messages], tables


def _refusal(folder: Path, error: RefusedError) -> Finding:
    return Finding(error.path.relative_to(folder).as_posix(), error.reason, AGAIN)


def _check_plan(folder: Path, index: Index) -> Iterator[Finding]:
    """Whether the plan's files hold what they did when the set was finished."""
    for name, digest in index.plan_files.items():
        try:
            if fixed_digest(folder, name) != digest:
                yield Finding(
                    name, "its bytes changed since the set was finished (sha256 differs)", PLAN_AGAIN
                )
        except OSError as error:
            yield Finding(name, f"cannot be read: {error.strerror}", PLAN_AGAIN)


def _check_catalog(folder: Path, index: Index, tree: Hierarchy) -> Iterator[Finding]:
    """Whether the catalog says of the stems what it did when the plan was drawn; times of files may differ."""
    if (expected := index.parameters.get("catalog")) is None:  # another program wrote the set
        return
    try:
        with open_catalog(folder) as file:
            digest = saved_digest(file, CATALOG_NAME, tree)
    except OSError as error:
        yield Finding(CATALOG_NAME, f"cannot be read: {error.strerror}", PLAN_AGAIN)
    except SlakhHierError as error:
        yield Finding(CATALOG_NAME, f"is damaged: {error}", PLAN_AGAIN)
    else:
        if digest != expected:
            yield Finding(CATALOG_NAME, "is not the catalog of these shards (its digest differs)", PLAN_AGAIN)


def _read_tree(folder: Path, index: Index) -> tuple[Hierarchy | None, list[Finding]]:
    try:
        tree = read_tree(folder)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8"
        return None, [Finding(HIERARCHY_NAME, f"cannot be read: {reason}", PLAN_AGAIN)]
    except SlakhHierError as error:
        return None, [Finding(HIERARCHY_NAME, f"is damaged: {error}", PLAN_AGAIN)]
    if tree.digest != index.hierarchy_digest:
        return None, [
            Finding(HIERARCHY_NAME, "is not the tree of these shards (its digest differs)", PLAN_AGAIN)
        ]
    return tree, []


def _strays(folder: Path, index: Index) -> Iterator[Finding]:
    listed = {shard.file for shard in index.shards} | {
        mask.file for mask in index.masks if mask.file is not None
    }
    for path in sorted((*folder.glob("*.h5"), *folder.glob(f"{MASK_FOLDER}/*.h5"))):
        name = path.relative_to(folder).as_posix()
        if name not in listed:
            yield Finding(name, "is not in the index", "Nothing reads it: remove it if you do not know it")
    left = f"{TEMPORARY_PREFIX}*"
    for path in sorted((*folder.glob(left), *folder.glob(f"{MASK_FOLDER}/{left}"))):
        yield Finding(
            path.relative_to(folder).as_posix(), "was left behind by a run that was killed", "Remove it"
        )


def _check_masks(folder: Path, index: Index, tables: dict[str, Tables]) -> Iterator[Finding]:
    whole = len(tables) == len(index.shards)
    clips = join_clips([tables[shard.file].clips for shard in index.shards if shard.file in tables])
    if whole and (twice := clips.duplicated(["split", "track", "start", "target"])).any():
        first = clips[twice].iloc[0]
        yield Finding(
            first["shard"],
            f"a clip is there twice: {first['track']} at {first['start']:g} s, {first['target']}",
            AGAIN,
        )
    for mask in index.masks:
        advice = OTHERWISE
        if mask.file is not None:
            advice = f"Add it again: {typed('mask', folder, '--remove', mask.name)}, then --add"
        try:
            if mask.file is not None:
                values = read_mask_file(folder, index, mask)
            elif whole:
                parts = [tables[shard.file].masks[mask.name] for shard in index.shards]
                values = np.concatenate([np.zeros((0, len(index.nodes)), bool), *parts])
            else:
                continue
        except RefusedError as error:
            yield Finding(mask.file or INDEX_NAME, error.reason, advice)
            continue
        if whole and (fault := _mask_fault(index, mask, values, clips)):
            yield Finding(mask.file or INDEX_NAME, f"mask {mask.name}: {fault}", advice)


def _mask_fault(
    index: Index, record: MaskRecord, values: NDArray[np.bool_], clips: pd.DataFrame
) -> str | None:
    """What is wrong with a mask: it must follow from the clips alone (docs/shard-format.md)."""
    mask = record.mask
    hit = withheld(mask, clips)
    can_withhold = not availability(mask, np.ones(1, bool), index.columns).all()
    if index.failures and mask.mode == "exact" and can_withhold:
        # Clips that were left out have ranks too: those withheld must still be the lowest, about as many.
        hit = np.any(~values, axis=1)
        train = (clips["split"] == TRAIN).to_numpy(dtype=bool)
        fewest = withheld_count(mask, int(train.sum())) - index.failures
        most = withheld_count(mask, int(train.sum()) + index.failures)
        ranks = np.array([rank(mask.seed, *row) for row in clips[["track", "start", "target"]].to_numpy()])
        if (hit & ~train).any():
            return "withholds clips of another split than train"
        if not fewest <= hit.sum() <= most:
            return f"withholds {hit.sum()} training clips, between {max(0, fewest)} and {most} are right"
        if hit.any() and (train & ~hit).any() and ranks[hit].max() > ranks[train & ~hit].min():
            return "does not withhold the clips of lowest rank, so that masks are not nested"
    expected = availability(mask, hit, index.columns)
    if (wrong := np.flatnonzero((values != expected).any(axis=1))).size:
        first = clips.iloc[wrong[0]]
        return (
            f"is wrong for {wrong.size} of {len(clips)} clips, the first is {first['track']} at {first['start']:g} s "
            f"in {first['shard']}; it withholds {(~values).any(axis=1).sum()} clips, {hit.sum()} are right"
        )
    return None
