"""The catalog: every stem of a data set, with its song, split, audio, place in the tree, status and reason."""

from __future__ import annotations

import io
import os
import stat
import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from slakh_hier.display import Grid, grids
from slakh_hier.errors import InputError, SlakhHierWarning
from slakh_hier.hierarchy import Hierarchy
from slakh_hier.paths import StrPath
from slakh_hier.slakh.by_track import StemsByTrack
from slakh_hier.slakh.catalog_file import check_files, read_rows, write_frame
from slakh_hier.slakh.frame import BASE_COLUMNS, KEPT, STATUSES, Status, build_frame, cells, stem_rows_of
from slakh_hier.slakh.layout import NO_SPLIT, resolve_root
from slakh_hier.slakh.splits import describe_leaks, find_leaks
from slakh_hier.splits import OMITTED, SPLITS
from slakh_hier.wording import counted

if TYPE_CHECKING:
    import pandas as pd

SPLIT_ORDER = (*SPLITS, OMITTED, NO_SPLIT)
FROM_FILE = "catalog"
"""Scheme of a catalog that was read from a file: its column split counts, whoever filled it."""


@dataclass(frozen=True, repr=False)
class Catalog:
    """Every stem of a data set."""

    root: Path
    """The data set's folder, resolved."""
    hierarchy: Hierarchy
    scheme: str
    """Where the column split comes from: orig, split2, redux, folders, or catalog (a file)."""
    frame: pd.DataFrame
    """One row per stem, sorted by (track, stem): track, song, artist, split, stem, path (below root, posix), frames,
    sample_rate (Hz), channels, size (bytes), mtime_ns, content (MD5 of the samples, where it is known), patch, program,
    is_drum, midi_program_name, inst_class, labels, bleed, category, level_1 to level_N (None where unassigned), status, why."""
    problems: list[str] = field(default_factory=list)
    """What is wrong with the data set as a whole: tracks and ids left out, songs in two splits."""
    skipped: list[str] = field(default_factory=list)
    """Those problems that left something out."""
    notes: list[str] = field(default_factory=list)
    """Choices that were made and that a user may want to make otherwise."""
    follow_links: bool = False
    """Links of the data set may lead out of it."""

    def __repr__(self) -> str:
        tracks = self.frame["track"].nunique()
        return (
            f"<Catalog {self.root}: {counted(len(self.frame), 'stem')} of {counted(tracks, 'track')}, splits {self.scheme}, "
            f"tree {self.hierarchy.name}>"
        )

    def _repr_html_(self) -> str:
        title = f"{self.root.name}, splits: {self.scheme}, tree: {self.hierarchy.name}"
        return grids(Grid(title, self.summary(narrow=True)))

    @property
    def usable(self) -> pd.DataFrame:
        """The rows whose audio enters mixtures: ``audio``, and ``unassigned`` where the tree keeps such stems."""
        return self.frame[self.frame["status"].isin(self._used)]

    @property
    def usable_by_track(self) -> StemsByTrack:
        """The same rows, without a copy of the table: those of a track are taken out when they are asked for."""
        return StemsByTrack(self.frame, self._used)

    @property
    def channels(self) -> int:
        """Channels of the mixtures: 2 where any of their stems is stereo; stems of more than 2 count as one."""
        return 2 if (self.usable["channels"] == 2).any() else 1

    @property
    def _used(self) -> list[Status]:
        return ["audio", "unassigned"] if self.hierarchy.unassigned == "keep" else ["audio"]

    def with_hierarchy(self, hierarchy: Hierarchy) -> Catalog:
        """The same stems matched to another tree."""
        if hierarchy == self.hierarchy:
            return self
        return replace(self, hierarchy=hierarchy, frame=build_frame(stem_rows_of(self.frame), hierarchy))

    def with_broken(self, reasons: Mapping[tuple[str, str], str]) -> Catalog:
        """The same catalog with stems marked ``broken``, for faults that only decoding shows.

        Parameters
        ----------
        reasons
            Why, by (track, stem); stems without audio are left as they are.
        """
        columns = (self.frame[name] for name in ("track", "stem", "status"))
        hit = [
            place
            for place, (track, stem, status) in enumerate(zip(*columns, strict=True))
            if (track, stem) in reasons and status in ("audio", "unassigned")
        ]
        if not hit:
            return self
        frame = self.frame.copy()
        labels, keys = frame.index[hit], frame[["track", "stem"]].iloc[hit].itertuples(index=False, name=None)
        frame.loc[labels, "status"] = "broken"
        frame.loc[labels, "why"] = [reasons[key] for key in keys]
        return replace(self, frame=frame)

    def with_contents(self, contents: Mapping[tuple[str, str], str], tracks: Collection[str]) -> Catalog:
        """The same catalog with what the stems of some tracks hold, as far as it was measured, and of these only.

        Parameters
        ----------
        contents
            MD5 of the samples, by (track, stem).

        Raises
        ------
        InputError
            A stem is not the one that the catalog tells of.
        """
        columns = (self.frame[name].tolist() for name in ("track", "stem", "content"))
        found = [
            (track, stem, old, (contents.get((track, stem)) or old) if track in tracks else "")
            for track, stem, old in zip(*columns, strict=True)
        ]
        if other := [f"{track}/{stem}" for track, stem, old, new in found if old and new not in (old, "")]:
            raise InputError(
                f"{self.root}: the samples of {counted(len(other), 'stem')} are not those of the catalog, {other[0]} first. Scan "
                "again, or give the data set that the catalog was made from"
            )
        content = self.frame["content"].copy()  # which keeps its type
        content[:] = [new for *_, new in found]
        return replace(self, frame=self.frame.assign(content=content))

    @cached_property
    def digest(self) -> str:
        """Sha256 (hex) of all that decides the audio of a plan; not of the root, sizes, times, artists and bleed."""
        return _digest(self.frame)

    @cached_property
    def leaks(self) -> list[tuple[str, dict[str, list[str]]]]:
        """Songs in more than one split: song, and its tracks by split."""
        rows = self.frame[["track", "song", "split"]].drop_duplicates()
        return find_leaks(rows.itertuples(index=False, name=None))

    @property
    def artists_in_splits(self) -> dict[str, list[str]]:
        """Artists that are in more than one of train, validation and test, with these splits."""
        splits: dict[str, list[str]] = {}
        for artist, split in (
            self.frame[["artist", "split"]].drop_duplicates().itertuples(index=False, name=None)
        ):
            if artist and split in SPLITS:
                splits.setdefault(artist, []).append(split)
        return {artist: sorted(found) for artist, found in sorted(splits.items()) if len(found) > 1}

    @property
    def known_faults(self) -> list[str]:
        """Stems with a known fault that are used all the same, each with its fault."""
        rows = self.frame[(self.frame["status"] == "audio") & (self.frame["why"] != "")]
        return [
            f"{track}/{stem}: {why.removeprefix(KEPT)}"
            for track, stem, why in rows[["track", "stem", "why"]].itertuples(index=False, name=None)
            if why.startswith(KEPT)
        ]

    def summary(self, *, narrow: bool = False) -> list[dict[str, Any]]:
        """Per split, and for all: tracks, songs, stems, hours of mixture, and stems by status.

        Parameters
        ----------
        narrow
            Without the statuses that no stem has, but for ``audio``.
        """
        frame, usable = self.frame, self.usable
        rows: list[dict[str, Any]] = []
        statuses = [
            status
            for status in STATUSES
            if not narrow or status == "audio" or (frame["status"] == status).any()
        ]
        splits = [split for split in SPLIT_ORDER if (frame["split"] == split).any()]
        splits += sorted(set(frame["split"]) - set(SPLIT_ORDER))
        for split in [*splits, "all"]:
            part = frame if split == "all" else frame[frame["split"] == split]
            used = usable if split == "all" else usable[usable["split"] == split]
            seconds = (used["frames"] / used["sample_rate"]).groupby(used["track"]).max().sum()
            counts = part["status"].value_counts()
            rows.append(
                {
                    "split": split,
                    "tracks": int(part["track"].nunique()),
                    "songs": int(part["song"].nunique()),
                    "stems": len(part),
                    "hours": round(float(seconds) / 3600, 4),
                }
            )
            rows[-1].update((status, int(counts.get(status, 0))) for status in statuses)
        return rows

    def left_out(self) -> list[dict[str, str]]:
        """Every stem whose audio is not used as a source, with its reason: track, stem, status, why."""
        rows = self.frame[self.frame["status"] != "audio"]
        return [
            {"track": track, "stem": stem, "status": status, "why": why}
            for track, stem, status, why in rows[["track", "stem", "status", "why"]].to_numpy()
        ]

    def save(self, path: StrPath) -> Path:
        """Write the table as CSV (UTF-8, empty cells for None); it appears complete or not at all."""
        path = Path(path)
        write_frame(self.frame, path)
        return path

    @classmethod
    def load(
        cls,
        path: StrPath,
        root: StrPath,
        hierarchy: Hierarchy,
        *,
        follow_links: bool = False,
    ) -> Catalog:
        """Read a saved catalog of the data set ``root`` and match its stems to ``hierarchy``.

        The file's category and level columns are not read, so that any tree may be given; its splits are
        taken as they are.

        Parameters
        ----------
        follow_links
            Links of the data set may lead out of it.

        Raises
        ------
        TextError
            The file is not a catalog: each wrong line.
        InputError
            It cannot be read, or belongs to another state of the data set.

        Warns
        -----
        SlakhHierWarning
            A song lies in two splits.
        """
        try:
            with open(path, "rb") as file:
                if stat.S_ISCHR(os.fstat(file.fileno()).st_mode):  # which may have no end
                    raise InputError(f"{path}: is a device, not a catalog; `slakh-hier scan -o` writes one")
                data = file if file.seekable() else io.BytesIO(file.read())  # such as a pipe
                return cls.parse(data, str(path), root, hierarchy, follow_links=follow_links)
        except OSError as error:
            raise InputError(f"{path}: cannot be read as a catalog: {error.strerror}") from error

    @classmethod
    def parse(
        cls,
        data: BinaryIO,
        file: str,
        root: StrPath,
        hierarchy: Hierarchy,
        *,
        follow_links: bool = False,
    ) -> Catalog:
        """:meth:`load` for a saved catalog that is open; ``file`` is its name for messages."""
        resolved = resolve_root(root)
        rows = check_files(file, resolved, read_rows(data, file), follow_links=follow_links)
        catalog = cls(resolved, hierarchy, FROM_FILE, build_frame(rows, hierarchy), follow_links=follow_links)
        if catalog.leaks:
            catalog.problems.append(describe_leaks(catalog.leaks, FROM_FILE))
            warnings.warn(catalog.problems[-1], SlakhHierWarning, stacklevel=2)
        return catalog


def saved_digest(data: BinaryIO, file: str, hierarchy: Hierarchy) -> str:
    """:attr:`Catalog.digest` of a saved catalog that is open, without a look at the data set; raises as :meth:`Catalog.parse`."""
    return _digest(build_frame(read_rows(data, file), hierarchy))


def _digest(frame: pd.DataFrame) -> str:
    without = {"size", "mtime_ns", "artist", "bleed"}
    if frame["labels"].isna().all():
        without.add("labels")  # digests of data sets that have none are what plans hold
    columns = [c for c in BASE_COLUMNS if c not in without] + ["status"]
    digest, separator = sha256(), ""
    for line in cells(frame, columns):
        digest.update((separator + "\x1f".join(line)).encode())
        separator = "\n"
    return digest.hexdigest()
