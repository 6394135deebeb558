"""Drawing a plan: from a catalog and its activity to the clips."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import pandas as pd

from slakh_hier.errors import PlanError
from slakh_hier.hierarchy import DEFAULT_SALIENCE_DB, Companion, Hierarchy
from slakh_hier.parallel import Backend
from slakh_hier.paths import StrPath
from slakh_hier.plan.activity import from_activity
from slakh_hier.plan.activity_file import ActivityFile
from slakh_hier.plan.candidates import WindowsTable, track_candidates
from slakh_hier.plan.draw import Drawn, draw_split
from slakh_hier.plan.energy import HOPS_PER_SECOND
from slakh_hier.plan.folding import FoldingLoss, FoldingLosses
from slakh_hier.plan.parameters import DEFAULT_CLIPS, Parameters, QueryArtist
from slakh_hier.plan.plan import KEY_COLUMNS, Plan
from slakh_hier.progress import Progress, Wanted, shown
from slakh_hier.slakh import Catalog
from slakh_hier.splits import SPLITS


def plan_clips(
    catalog: Catalog,
    hierarchy: Hierarchy,
    *,
    target: str | None = None,
    query_levels: Collection[int] | None = None,
    clips: Mapping[str, int] | None = None,
    clip_seconds: float = 10.0,
    step: float = 2.5,
    salience_db: float | None = None,
    salience_below_mix: float | None = None,
    companion: Companion | None = None,
    queries: bool | None = None,
    query_artist: QueryArtist = "any",
    channels: int | None = None,
    seed: int = 588,
    activity: StrPath | None = None,
    jobs: int | None = None,
    backend: Backend = "loky",
    scheduler: str | None = None,
    progress: Wanted = None,
) -> Plan:
    """Draw the clips of a data set: a pure function of its audio, the tree, the parameters and the seed.

    Parameters
    ----------
    catalog, hierarchy
        The stems of the data set, and the tree that they are matched to.
    target
        The node, of any level, that every clip shows; None (default) draws among all nodes of ``query_levels``.
    query_levels
        Levels of the nodes that are drawn, and of their queries, without ``target``: a level uniformly, then a node of it.
        Default: 1, the finest, as in the paper.
    clips
        Number by split; default the paper's 10,000 / 5,000 / 3,000.
    clip_seconds, step
        The paper's 10 s and 2.5 s.
    salience_db, salience_below_mix
        RMS (dBFS) above which a node counts as sounding, or how far below the mixture's it still does (dB); default: as
        the tree's ``clips:`` say, else the paper's -30 dBFS.
    companion
        Which other node of the target's level must sound in a clip: one of its ``family``, ``any``, or ``none``; default:
        as the tree's ``clips:`` say, else the paper's ``family``.
    queries
        Draw a query for each clip; default: only without ``target``, as query-by-example needs them.
    query_artist
        ``any``: the query is from any other song; ``different``: from a song of another artist. A song whose artist is not
        known counts as one of an artist of its own.
    channels
        Of the clips: 1 folds stereo stems down to their mid, in 2 mono stems sound in both; default: 2 where any stem is
        stereo, else 1.
    activity
        An activity file; default: the one in the user's cache folder. What it lacks is measured now: the tracks of the splits
        that are asked for, with ``target`` those in which it has stems.
    jobs, backend, scheduler
        As for :func:`slakh_hier.parallel.run`; they measure.
    progress
        Shows seconds of audio that are measured, then tracks.

    Raises
    ------
    InputError
        A parameter does not fit the tree.
    PlanError
        No clip at all can be drawn; the message gives the reason for every node.
    """
    catalog = catalog.with_hierarchy(hierarchy)
    if target is None and query_levels is None:
        query_levels = (1,)
    parameters = Parameters(
        target=target,
        query_levels=None if query_levels is None else tuple(query_levels),
        clips=dict(DEFAULT_CLIPS if clips is None else clips),
        clip_seconds=float(clip_seconds),
        step=float(step),
        **_salience(hierarchy, salience_db, salience_below_mix),
        companion=companion or hierarchy.clips.companion or "family",
        queries=target is None if queries is None else queries,
        query_artist=query_artist,
        channels=catalog.channels if channels is None else channels,
        seed=seed,
    )
    parameters.check(hierarchy)
    tracks = _needed(catalog, parameters)
    catalog, tables, folding = from_activity(
        lambda path: _candidates(catalog, tracks, parameters, path, shown(progress)),
        catalog,
        activity,
        tracks=tracks,
        jobs=jobs,
        backend=backend,
        scheduler=scheduler,
        progress=progress,
    )
    different = parameters.query_artist == "different"
    artists = (
        dict(catalog.usable[["track", "artist"]].itertuples(index=False, name=None)) if different else None
    )
    targets = parameters.targets(hierarchy)
    parts, reports = [], []
    for split in [split for split in SPLITS if parameters.clips.get(split)]:
        windows = tables.pop(split).frame()
        drawn = draw_split(
            windows,
            targets,
            split=split,
            count=parameters.clips[split],
            queries=parameters.queries,
            companion=parameters.companion,
            artists=artists,
            seed=seed,
        )
        if len(drawn.rows):
            parts.append(_clip_table(split, windows, drawn, list(targets), hierarchy.levels))
        reports += drawn.reports
    clips_table = pd.concat(parts, ignore_index=True) if parts else _no_clips(hierarchy)
    plan = Plan(catalog, hierarchy, parameters, clips_table, tuple(reports), folding)
    if clips_table.empty:
        raise PlanError(_nothing(plan))
    return plan


def _salience(hierarchy: Hierarchy, dbfs: float | None, below_mix: float | None) -> dict[str, float | None]:
    """The two parameters: those given, else the tree's, else the paper's."""
    if dbfs is None and below_mix is None:
        dbfs, below_mix = hierarchy.clips.salience_db, hierarchy.clips.salience_below_mix
    if dbfs is None and below_mix is None:
        dbfs = DEFAULT_SALIENCE_DB
    given = {"salience_db": dbfs, "salience_below_mix": below_mix}
    return {name: None if value is None else float(value) for name, value in given.items()}


def _needed(catalog: Catalog, parameters: Parameters) -> dict[str, None]:
    """Tracks, in order, from which a clip or a query can come: elsewhere the target has no stem."""
    stems = catalog.usable
    chosen = stems["split"].isin([split for split, count in parameters.clips.items() if count])
    if parameters.target is not None:
        level = catalog.hierarchy.target_level(parameters.target)
        chosen &= stems[f"level_{level}"] == parameters.target
    return dict.fromkeys(sorted(stems["track"][chosen].unique()))


def _candidates(
    catalog: Catalog, tracks: Collection[str], parameters: Parameters, path: Path, progress: Progress
) -> tuple[Catalog, dict[str, WindowsTable], tuple[FoldingLoss, ...]]:
    """Salient windows of the tracks by split, and what folding costs, read from the activity one track at a time."""
    hierarchy = catalog.hierarchy
    targets = parameters.targets(hierarchy)
    losses = FoldingLosses(hierarchy.columns())
    found = {split: WindowsTable(hierarchy.levels) for split in SPLITS if parameters.clips.get(split)}
    if not tracks:
        return catalog, found, ()
    # Of these tracks: a plan does not depend on what else was measured.
    broken: dict[tuple[str, str], str] = {}
    contents: dict[tuple[str, str], str] = {}
    usable = catalog.usable_by_track
    with ActivityFile(path) as file, progress.stage("plan", len(tracks), "tracks") as advance:
        for track in tracks:
            activity, stems = file.read(track), usable[track]
            contents.update(zip(((track, stem) for stem in activity.stems), activity.content, strict=True))
            if activity.broken:
                broken.update({(track, stem): reason for stem, reason in activity.broken.items()})
                stems = stems[~stems["stem"].isin(list(activity.broken))]
            # A catalog that was edited may have a track in two splits, of which the first counts.
            if len(stems) and (split := stems["split"].iloc[0]) in found:
                song = stems["song"].iloc[0]
                windows = track_candidates(activity, stems, hierarchy, parameters.grid, targets)
                found[split].add(track, song or track, windows)
                losses.add(track, stems, activity)
            advance(1)
    catalog = catalog.with_broken(broken).with_contents(contents, tracks)
    return catalog, found, losses.heavy()


def _no_clips(hierarchy: Hierarchy) -> pd.DataFrame:
    levels = [f"mix_si_sdr_{level}" for level in range(1, hierarchy.levels + 1)]
    return pd.DataFrame({name: [] for name in [*KEY_COLUMNS, "draw", *levels]})


def _clip_table(
    split: str, windows: pd.DataFrame, drawn: Drawn, targets: Sequence[str], depth: int
) -> pd.DataFrame:
    levels = [f"mix_si_sdr_{level}" for level in range(1, depth + 1)]
    names = {"track": str, "song": str}
    rows = windows.iloc[drawn.rows].reset_index(drop=True).astype(names)
    queried = windows.iloc[drawn.queries.clip(0)].reset_index(drop=True).astype(names)
    has_query = pd.Series(drawn.queries >= 0)
    table = pd.DataFrame(
        {
            "split": split,
            "track": rows["track"],
            "song": rows["song"],
            "start": rows["hop"] / HOPS_PER_SECOND,
            "target": [targets[node] for node in rows["node"]],
            "query_track": queried["track"].where(has_query, ""),
            "query_song": queried["song"].where(has_query, ""),
            "query_start": (queried["hop"] / HOPS_PER_SECOND).where(has_query),
            "draw": range(len(rows)),
            **{name: rows[name].astype(float).round(2) for name in levels},
        }
    )
    return table.sort_values(["track", "start", "target"], kind="stable", ignore_index=True)


def _nothing(plan: Plan) -> str:
    lines = [f"no clip can be drawn with the tree {plan.hierarchy.name}:"]
    splits = plan.catalog.frame["split"].value_counts()
    for split in plan.parameters.clips:
        reports = [report for report in plan.reports if report.split == split]
        if not splits.get(split):
            found = ", ".join(map(str, splits.index)) or "none"
            lines.append(
                f"  {split}: the data set has no track of this split (it has: {found}); try another split scheme"
            )
        else:
            own = plan.catalog.usable[plan.catalog.usable["split"] == split]
            longest = (own["frames"] / own["sample_rate"]).max()  # NaN where no stem is usable
            if longest < plan.parameters.clip_seconds:
                lines.append(
                    f"  {split}: no track of {plan.parameters.clip_seconds:g} s: the longest lasts {longest:.1f} s"
                )
            else:
                lines += [f"  {split}: {report.node}: {report.reason}" for report in reports[:8]]
                lines += [f"  {split}: {rule}" for rule in plan.kept_out(split)]
    if plan.catalog.usable.empty:
        lines.append("  the data set has no usable stem at all; `slakh-hier scan` lists the reasons")
    return "\n".join(lines)
