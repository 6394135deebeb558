"""Plans: which clips will be rendered, drawn from the activity, saved as files that a person can read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from slakh_hier.errors import PlanError
from slakh_hier.files import make_folder, publish
from slakh_hier.hierarchy import DEFAULT_SALIENCE_DB, Companion, Hierarchy
from slakh_hier.parallel import Backend
from slakh_hier.plan.activity import from_activity
from slakh_hier.plan.activity_file import ActivityFile
from slakh_hier.plan.candidates import WindowsTable, track_candidates
from slakh_hier.plan.draw import Drawn, NodeReport, draw_split
from slakh_hier.plan.energy import HOPS_PER_SECOND
from slakh_hier.plan.folder import (
    CATALOG_NAME,
    CLIPS_NAME,
    HIERARCHY_NAME,
    PLAN_NAME,
    SCHEMA,
    clip_lines,
    open_catalog,
    read_clips,
    read_document,
    read_tree,
)
from slakh_hier.plan.identity import check_stems
from slakh_hier.plan.no_clip import why_no_clip
from slakh_hier.plan.parameters import DEFAULT_CLIPS, Parameters
from slakh_hier.progress import Progress, Silent
from slakh_hier.slakh import Catalog
from slakh_hier.splits import SPLITS
from slakh_hier.version import VERSION

KEY_COLUMNS = ["split", "track", "song", "start", "target", "query_track", "query_song", "query_start"]
"""What makes a clip; the other columns follow from it or are for people."""


@dataclass(frozen=True)
class Plan:
    """Clips to render.

    Attributes
    ----------
    catalog
        The stems, with those marked broken that could not be decoded.
    hierarchy
        The tree that decided what is a node.
    parameters
        What was asked for.
    clips
        One row per clip, sorted by split, track, start and target: ``split, track, song, start`` (s), ``target`` (finest
        node), ``query_track, query_song, query_start`` (empty and NaN without a query), ``draw`` (its place in the order
        of drawing), ``mix_si_sdr_L`` (dB, SI-SDR of the mixture against the target's ancestor at level L).
    reports
        What every node had to offer in every split.
    """

    catalog: Catalog
    hierarchy: Hierarchy
    parameters: Parameters
    clips: pd.DataFrame
    reports: tuple[NodeReport, ...]

    @cached_property
    def digest(self) -> str:
        """sha256 (hex) of everything that decides the audio."""
        parts = {
            "schema": SCHEMA,
            "hierarchy": self.hierarchy.digest,
            "catalog": self.catalog.digest,
            "parameters": self.parameters.as_dict(),
        }
        # The text of all parts as JSON, made piece by piece.
        digest, comma = hashlib.sha256(f'{_json(parts)[:-1]}, "clips": ['.encode()), ""
        for row in self.clips[KEY_COLUMNS].itertuples(index=False):
            digest.update((comma + _json([_plain(value) for value in row])).encode())
            comma = ", "
        digest.update(b"]}")
        return digest.hexdigest()

    @property
    def short(self) -> dict[str, tuple[int, int]]:
        """(drawn, asked) of each split that got fewer clips than asked for."""
        drawn = self.clips["split"].value_counts()
        return {
            split: (int(drawn.get(split, 0)), asked)
            for split, asked in self.parameters.clips.items()
            if drawn.get(split, 0) < asked
        }

    def save(self, folder: str | Path) -> None:
        """Write ``plan.yaml``, ``clips.csv``, ``catalog.csv`` and ``hierarchy.yaml``; ``plan.yaml`` comes last."""
        folder = make_folder(Path(folder))
        publish(folder / HIERARCHY_NAME, self.hierarchy.text.encode())
        self.catalog.save(folder / CATALOG_NAME)
        publish(folder / CLIPS_NAME, clip_lines(self.clips))
        publish(
            folder / PLAN_NAME, yaml.safe_dump(self._document(), sort_keys=False, allow_unicode=True).encode()
        )

    @classmethod
    def load(
        cls,
        folder: str | Path,
        root: str | Path,
        *,
        compare: bool = True,
        follow_links: bool = False,
        jobs: int | None = None,
        progress: Progress | None = None,
    ) -> Plan:
        """Read a saved plan for the data set at ``root``.

        Parameters
        ----------
        compare
            Compare the stems that the plan uses with those that it was drawn from, by what they hold: of FLAC files the
            header is read, others are decoded.
        follow_links
            Links of the data set may lead out of it.
        jobs
            Threads that compare; None or 0: one per CPU core.

        Raises
        ------
        PlanError
            A file is missing, or was changed after the plan was made; or the stems hold something else.
        InputError
            Stems are missing, or of another size.
        """
        folder = Path(folder)
        document = read_document(folder)
        try:
            hierarchy = read_tree(folder)
            with open_catalog(folder) as file:
                catalog = Catalog.parse(
                    file, str(folder / CATALOG_NAME), root, hierarchy, follow_links=follow_links
                )
            catalog = replace(catalog, scheme=document["catalog"]["split_scheme"])
            clips = read_clips(folder)
            plan = cls(
                catalog=catalog,
                hierarchy=hierarchy,
                parameters=Parameters(**document["parameters"]),
                clips=clips,
                reports=tuple(NodeReport(**report) for report in document["nodes"]),
            )
            whole = plan.digest == document["digest"]
        except (OSError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise PlanError(
                f"{folder}: is not a complete plan ({error}); make it again with slakh-hier plan"
            ) from error
        if compare and whole:
            used = {*plan.clips["track"], *plan.clips["query_track"]}
            check_stems(plan.catalog, used, jobs=jobs, progress=progress)
        if not whole:
            raise PlanError(
                f"{folder}: its files do not belong together any more (one was changed after the plan was made). Make "
                "the plan again with slakh-hier plan"
            )
        return plan

    def _document(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "tool_version": VERSION,
            "digest": self.digest,
            "hierarchy": {"name": self.hierarchy.name, "digest": self.hierarchy.digest},
            "catalog": {"digest": self.catalog.digest, "split_scheme": self.catalog.scheme},
            "parameters": self.parameters.as_dict(),
            "nodes": [asdict(report) for report in self.reports],
        }


def plan_clips(
    catalog: Catalog,
    hierarchy: Hierarchy,
    *,
    target: str | None = None,
    clips: Mapping[str, int] | None = None,
    clip_seconds: float = 10.0,
    step: float = 2.5,
    salience_db: float | None = None,
    salience_below_mix: float | None = None,
    companion: Companion | None = None,
    queries: bool | None = None,
    seed: int = 588,
    activity: str | Path | None = None,
    jobs: int | None = None,
    backend: Backend = "loky",
    scheduler: str | None = None,
    progress: Progress | None = None,
) -> Plan:
    """Draw the clips of a data set: a pure function of its audio, the tree, the parameters and the seed.

    Parameters
    ----------
    target
        Finest node that every clip shows; None (default) draws uniformly among all finest nodes.
    clips
        Number by split; default the paper's 10,000 / 5,000 / 3,000.
    clip_seconds, step
        The paper's 10 s and 2.5 s.
    salience_db, salience_below_mix
        RMS (dBFS) above which a node counts as sounding, or how far below the mixture's it still does (dB); default: as
        the tree's ``clips:`` say, else the paper's -30 dBFS.
    companion
        Which other finest node must sound in a clip: one of the target's ``family``, ``any``, or ``none``; default: as
        the tree's ``clips:`` say, else the paper's ``family``.
    queries
        Draw a query for each clip; default: only without ``target``, as query-by-example needs them.
    activity
        An activity file; default: the one in the user's cache folder, measured now where it is missing.

    Raises
    ------
    InputError
        A parameter does not fit the tree.
    PlanError
        No clip at all can be drawn; the message gives the reason for every node.
    """
    parameters = Parameters(
        target=target,
        clips=dict(DEFAULT_CLIPS if clips is None else clips),
        clip_seconds=float(clip_seconds),
        step=float(step),
        **_salience(hierarchy, salience_db, salience_below_mix),
        companion=companion or hierarchy.clips.companion or "family",
        queries=target is None if queries is None else queries,
        seed=seed,
    )
    parameters.check(hierarchy)
    catalog = catalog.with_hierarchy(hierarchy)
    catalog, tables = from_activity(
        lambda path: _candidates(catalog, hierarchy, parameters, path, progress or Silent()),
        catalog,
        activity,
        jobs=jobs,
        backend=backend,
        scheduler=scheduler,
        progress=progress,
    )
    parts, reports = [], []
    for split in [split for split in SPLITS if parameters.clips.get(split)]:
        windows = tables.pop(split).frame()
        drawn = draw_split(
            windows,
            hierarchy.level_nodes(1),
            split=split,
            targets=[parameters.target] if parameters.target else hierarchy.level_nodes(1),
            count=parameters.clips[split],
            queries=parameters.queries,
            companion=parameters.companion,
            seed=seed,
        )
        if len(drawn.rows):
            parts.append(_clip_table(split, windows, drawn, hierarchy))
        reports += drawn.reports
    clips_table = pd.concat(parts, ignore_index=True) if parts else _no_clips(hierarchy)
    plan = Plan(catalog, hierarchy, parameters, clips_table, tuple(reports))
    if clips_table.empty:
        raise PlanError(why_no_clip(plan.catalog, plan.hierarchy.name, parameters, plan.reports))
    return plan


def _salience(hierarchy: Hierarchy, dbfs: float | None, below_mix: float | None) -> dict[str, float | None]:
    """The two parameters: those given, else the tree's, else the paper's."""
    if dbfs is None and below_mix is None:
        dbfs, below_mix = hierarchy.clips.salience_db, hierarchy.clips.salience_below_mix
    if dbfs is None and below_mix is None:
        dbfs = DEFAULT_SALIENCE_DB
    given = {"salience_db": dbfs, "salience_below_mix": below_mix}
    return {name: None if value is None else float(value) for name, value in given.items()}


def _candidates(
    catalog: Catalog, hierarchy: Hierarchy, parameters: Parameters, path: Path, progress: Progress
) -> tuple[Catalog, dict[str, WindowsTable]]:
    """Salient windows of every track by split, read from the activity one track at a time."""
    found = {split: WindowsTable(hierarchy.levels) for split in SPLITS if parameters.clips.get(split)}
    with ActivityFile(path) as file:
        catalog = catalog.with_broken(file.all_broken()).with_contents(file.contents())
        tracks = catalog.usable_by_track
        with progress.stage("plan", len(tracks), "tracks") as advance:
            for track, stems in tracks.items():
                split, song = stems["split"].iloc[0], stems["song"].iloc[0]
                if split in found:
                    windows = track_candidates(
                        file.read(track), stems, hierarchy, parameters.grid, parameters.target
                    )
                    found[split].add(track, song or track, windows)
                advance(1)
    return catalog, found


def _no_clips(hierarchy: Hierarchy) -> pd.DataFrame:
    levels = [f"mix_si_sdr_{level}" for level in range(1, hierarchy.levels + 1)]
    return pd.DataFrame({name: [] for name in [*KEY_COLUMNS, "draw", *levels]})


def _clip_table(split: str, windows: pd.DataFrame, drawn: Drawn, hierarchy: Hierarchy) -> pd.DataFrame:
    levels = [f"mix_si_sdr_{level}" for level in range(1, hierarchy.levels + 1)]
    names = {"track": str, "song": str}
    rows = windows.iloc[drawn.rows].reset_index(drop=True).astype(names)
    queried = windows.iloc[drawn.queries.clip(0)].reset_index(drop=True).astype(names)
    has_query = pd.Series(drawn.queries >= 0)
    finest = hierarchy.level_nodes(1)
    table = pd.DataFrame(
        {
            "split": split,
            "track": rows["track"],
            "song": rows["song"],
            "start": rows["hop"] / HOPS_PER_SECOND,
            "target": [finest[node] for node in rows["node"]],
            "query_track": queried["track"].where(has_query, ""),
            "query_song": queried["song"].where(has_query, ""),
            "query_start": (queried["hop"] / HOPS_PER_SECOND).where(has_query),
            "draw": range(len(rows)),
            **{name: rows[name].astype(float).round(2) for name in levels},
        }
    )
    return table.sort_values(["track", "start", "target"], kind="stable", ignore_index=True)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return value
    return None if np.isnan(value) else float(value)
