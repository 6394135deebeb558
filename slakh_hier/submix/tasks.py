"""From the catalog to the work of each track."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from slakh_hier.audio import StemRef
from slakh_hier.errors import InputError
from slakh_hier.submix.layout import STEMS, Level, files_of, level_name
from slakh_hier.submix.track import TrackTask

if TYPE_CHECKING:
    import pandas as pd

    from slakh_hier.slakh.catalog import Catalog


def track_tasks(
    catalog: Catalog, level: Level, splits: Sequence[str]
) -> tuple[dict[str, TrackTask], list[str]]:
    """The work of each track by its name, and the tracks that have nothing to mix.

    Parameters
    ----------
    splits
        Only tracks of these; empty for all.

    Raises
    ------
    InputError
        There is no such split, or nothing to do.
    """
    frame = catalog.frame
    there = sorted(set(frame["split"]))
    for split in splits:
        if split not in there:
            near = difflib.get_close_matches(split, there, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise InputError(f"no track is in a split {split!r}; {hint}There are: {', '.join(there)}")
    if splits:
        frame = frame[frame["split"].isin(splits)]
    tasks, empty = {}, []
    for track, rows in frame.groupby("track", sort=True):
        task = _task(catalog, level, str(track), rows)
        if task is None:
            empty.append(str(track))
        else:
            tasks[task.track] = task
    if not tasks:
        raise InputError(f"{catalog.root}: no track has a stem to mix; `slakh-hier scan` says why")
    return tasks, empty


def _task(catalog: Catalog, level: Level, track: str, rows: pd.DataFrame) -> TrackTask | None:
    # A copy of the stems asks no tree which of them to take.
    keeps = level == STEMS or catalog.hierarchy.unassigned == "keep"
    mixed = rows[rows["status"].isin(["audio", "unassigned"] if keeps else ["audio"])]
    if mixed.empty:
        return None
    stems = tuple(StemRef(*row) for row in mixed[list(StemRef._fields)].itertuples(index=False, name=None))
    source = _folder(stems)
    places: dict[str, tuple[str | None, str | None]] = {}
    if level != STEMS:
        places = {
            stem: (category, node)
            for stem, category, node in rows[["stem", "category", "level_1"]].itertuples(
                index=False, name=None
            )
        }
    faults = rows[
        rows["status"].isin(["broken", "excluded"] if keeps else ["broken", "excluded", "unassigned"])
    ]
    about: dict[str, Any] = {"split": str(rows["split"].iloc[0])}
    if level != STEMS:
        about |= {"hierarchy": catalog.hierarchy.name, "unassigned": catalog.hierarchy.unassigned}
    return TrackTask(
        track=track,
        source=str(source),
        # A copy keeps the split folders, since it is to be used like the data set; submixes lie side by side.
        target=str(source) if level == STEMS else track,
        stems=stems,
        stamps=tuple(mixed[["size", "mtime_ns"]].itertuples(index=False, name=None)),
        files=files_of(catalog.hierarchy, level, dict(zip(mixed["stem"], mixed["category"], strict=True))),
        places=places,
        left_out=dict(zip(faults["stem"], faults["why"], strict=True)),
        about={"level": level_name(level), **about},
        midi=level == STEMS,
    )


def _folder(stems: Sequence[StemRef]) -> PurePosixPath:
    """The track's folder below the root. A catalog may come from a file, and what it says becomes names of files."""
    source = PurePosixPath(stems[0].path).parent.parent
    for stem in stems:
        path = PurePosixPath(stem.path)
        if (path.parent, path.stem, source.name) != (source / "stems", stem.stem, stem.track):
            raise InputError(
                f"the catalog has {stem.track}/{stem.stem} at {stem.path}, where a scan finds no stem; scan again"
            )
        if stem.sample_rate != stems[0].sample_rate:
            raise InputError(
                f"the catalog has {stem.track}/{stem.stem} at {stem.sample_rate} Hz, {stems[0].stem} at "
                f"{stems[0].sample_rate} Hz; scan again"
            )
    return source
