"""From the catalog to the work of each track."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

from slakh_hier.audio import StemRef
from slakh_hier.errors import InputError
from slakh_hier.slakh.by_track import StemsByTrack, stem_refs
from slakh_hier.slakh.frame import STATUSES
from slakh_hier.submix.layout import STEMS, Level, files_of, level_name
from slakh_hier.submix.track import TrackTask
from slakh_hier.wording import did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from slakh_hier.slakh.catalog import Catalog


class Outline(NamedTuple):
    """What is known of each track before the first is processed."""

    target: str
    """Its folder in the output."""
    files: int
    """Number of audio files."""
    frames: int
    sample_rate: int
    channels: int
    """``frames`` to ``channels``: samples of the longest stem; Hz; channels of the widest stem."""


class TrackTasks(Mapping[str, TrackTask]):
    """The work of each track by its name, made when it is asked for: together, that of a large data set fills the memory.

    Parameters
    ----------
    splits
        Only tracks of these; empty for all.

    Attributes
    ----------
    outlines : dict of Outline
        By track.
    empty : list of str
        Tracks that have nothing to mix.

    Raises
    ------
    InputError
        There is no such split, or nothing to do.
    """

    def __init__(self, catalog: Catalog, level: Level, splits: Sequence[str]):
        there = sorted(set(catalog.frame["split"]))
        for split in splits:
            if split not in there:
                raise InputError(f"no track is in a split {split!r}: {did_you_mean(split, there)}")
        self._catalog, self._level = catalog, level
        self._rows = StemsByTrack(catalog.frame, STATUSES)
        self.outlines: dict[str, Outline] = {}
        self.empty: list[str] = []
        for track, rows in self._rows.items():
            if splits and rows["split"].iloc[0] not in splits:
                continue
            task = _task(catalog, level, track, rows)
            if task is None:
                self.empty.append(track)
            else:
                files = len(task.files.outputs)
                form = task.frames, task.sample_rate, task.channels
                self.outlines[track] = Outline(task.target, files, *form)
        if not self.outlines:
            raise InputError(f"{catalog.root}: no track has a stem to mix; `slakh-hier scan` says why")

    def __getitem__(self, track: str) -> TrackTask:
        if track in self.outlines:
            task = _task(self._catalog, self._level, track, self._rows[track])
            if task is not None:
                return task
        raise KeyError(track)

    def __iter__(self) -> Iterator[str]:
        return iter(self.outlines)

    def __len__(self) -> int:
        return len(self.outlines)


def _task(catalog: Catalog, level: Level, track: str, rows: pd.DataFrame) -> TrackTask | None:
    # A copy of the stems asks no tree which of them to take.
    keeps = level == STEMS or catalog.hierarchy.unassigned == "keep"
    mixed = rows[rows["status"].isin(["audio", "unassigned"] if keeps else ["audio"])]
    if mixed.empty:
        return None
    stems = tuple(stem_refs(mixed))
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
