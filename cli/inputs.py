"""Options and steps that the commands from catalog to shards share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from slakh_hier.cli.common import TerminalProgress, note
from slakh_hier.wording import some

if TYPE_CHECKING:
    from slakh_hier.hierarchy import Companion
    from slakh_hier.parallel import Backend
    from slakh_hier.plan import Plan
    from slakh_hier.plan.parameters import QueryArtist
    from slakh_hier.slakh import Catalog

_MOST_NODES = 20
"""Nodes that no song has are named one by one up to this number."""
F = TypeVar("F", bound=Callable[..., Any])

hierarchy_option = click.option(
    "--hierarchy", default="slakh34", show_default=True, help="Tree: a shipped name or a YAML file."
)
split_scheme_option = click.option(
    "--split-scheme",
    type=click.Choice(["orig", "split2", "redux", "folders"]),
    show_default="split2 when every song is Slakh2100's, else folders",
    help="Which songs are train, validation and test.",
)

follow_links_option = click.option(
    "--follow-links",
    is_flag=True,
    help="Follow links that lead out of the data set; only where you trust its maker.",
)

audio_format_option = click.option(
    "--audio-format",
    type=click.Choice(["flac", "wav"]),
    default="flac",
    show_default=True,
    help="Format of the audio files.",
)


def channels_option(text: str) -> Callable[[F], F]:
    """--channels: 1, 2, or None for ``auto``; ``text`` is its help."""
    return click.option(
        "--channels",
        type=click.Choice(["auto", "1", "2"]),
        callback=lambda context, parameter, value: None if value == "auto" else int(value),
        default="auto",
        show_default=True,
        help=text,
    )


overwrite_option = click.option(
    "--overwrite",
    is_flag=True,
    help="Start from scratch: remove what an earlier run made in the folder first.",
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Say what would be written, and write nothing.")
on_broken_option = click.option(
    "--on-broken",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    show_default=True,
    help="At stems that cannot be decoded: stop, or continue without them and list them in failures.jsonl.",
)


def catalog_options(command: F) -> F:
    """--hierarchy, --split-scheme, --catalog, --errata, --follow-links."""
    for option in (
        follow_links_option,
        click.option(
            "--errata/--no-errata", default=True, show_default=True, help="Leave out stems known to be noise."
        ),
        click.option(
            "--catalog", type=click.Path(), help="A catalog.csv written by `scan -o`, instead of a scan."
        ),
        split_scheme_option,
        hierarchy_option,
    ):
        command = option(command)
    return command


def backend_options(command: F) -> F:
    """--backend and --scheduler."""
    for option in (
        click.option(
            "--scheduler", metavar="ADDRESS", help="A running Dask scheduler (with --backend dask)."
        ),
        click.option(
            "--backend",
            type=click.Choice(["loky", "threading", "dask"]),
            default="loky",
            show_default=True,
            help="How the work is run in parallel.",
        ),
    ):
        command = option(command)
    return command


def _parse_part(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> tuple[int, int] | None:
    if value is None:
        return None
    first, slash, count = value.partition("/")
    if slash and first.isdigit() and count.isdigit() and 1 <= int(first) <= int(count):
        return int(first), int(count)
    raise click.BadParameter(f"a part is written I/N with I from 1 to N, as in 1/8; {value!r} is not")


part_option = click.option(
    "--part",
    metavar="I/N",
    callback=_parse_part,
    help="Do only part I of N (array tasks of a cluster); the same command without --part completes the work.",
)


def plan_options(command: F) -> F:
    """Everything that decides which clips are drawn."""
    for option in (
        click.option(
            "--seed", type=int, default=588, show_default=True, help="Another seed draws other clips."
        ),
        channels_option("Of the clips; auto: 2 if any stem is stereo. 1 averages left and right."),
        click.option(
            "--queries/--no-queries",
            default=None,
            show_default="queries with --any, none with --target",
            help="Draw a query clip (the same node in another song) for each clip.",
        ),
        click.option(
            "--query-artist",
            type=click.Choice(["any", "different"]),
            default="any",
            show_default=True,
            help="Queries of any other song, or of another artist's only.",
        ),
        click.option(
            "--companion",
            type=click.Choice(["family", "any", "none"]),
            show_default="as the tree says, else family",
            help="Which other finest node must sound in a clip: of the same top node, any, or none.",
        ),
        click.option(
            "--salience-below-mix",
            type=float,
            metavar="DB",
            help="A node sounds down to so many dB below the mixture, instead of --salience-db.",
        ),
        click.option(
            "--salience-db",
            type=float,
            show_default="as the tree says, else -30",
            help="A node sounds above this RMS (dBFS).",
        ),
        click.option("--step", type=float, default=2.5, show_default=True, help="Grid of clip starts (s)."),
        click.option(
            "--clip-seconds", type=float, default=10.0, show_default=True, help="Length of a clip (s)."
        ),
        click.option(
            "--clips",
            default="train=10000,validation=5000,test=3000",
            show_default=True,
            help="How many clips to draw in each split.",
        ),
        click.option("--any", "any_target", is_flag=True, help="Draw among all finest nodes (the default)."),
        click.option(
            "--target", metavar="NODE", help="Draw clips of this finest node, and render its path alone."
        ),
        click.option(
            "--activity", type=click.Path(), help="An activity file.  [default: in the user's cache folder]"
        ),
        catalog_options,
    ):
        command = option(command)
    return command


def load_catalog(
    slakh: str,
    hierarchy: str,
    split_scheme: str | None,
    catalog: str | None,
    errata: bool,
    follow_links: bool,
    jobs: int | None = None,
) -> Catalog:
    """The catalog of a data set: scanned now, or read from a file."""
    from slakh_hier.hierarchy import load_hierarchy
    from slakh_hier.slakh import Catalog, scan

    tree = load_hierarchy(hierarchy)
    if catalog is not None:
        if split_scheme is not None:
            raise click.UsageError(
                "--split-scheme belongs to a scan; the file given with --catalog has its splits"
            )
        return Catalog.load(catalog, slakh, tree, follow_links=follow_links)
    return scan(
        slakh,
        tree,
        split_scheme=split_scheme,
        errata=errata,
        follow_links=follow_links,
        jobs=jobs,
        progress=TerminalProgress(),
    )


def draw_plan(
    slakh: str,
    *,
    hierarchy: str,
    split_scheme: str | None,
    catalog: str | None,
    errata: bool,
    follow_links: bool,
    activity: str | None,
    target: str | None,
    any_target: bool,
    clips: str,
    clip_seconds: float,
    step: float,
    salience_db: float | None,
    salience_below_mix: float | None,
    companion: Companion | None,
    queries: bool | None,
    query_artist: QueryArtist,
    channels: int | None,
    seed: int,
    jobs: int,
    backend: Backend,
    scheduler: str | None,
) -> Plan:
    """Scan, measure where needed, and draw."""
    from slakh_hier.plan import parse_clips, plan_clips

    if target is not None and any_target:
        raise click.UsageError("--target and --any exclude each other")
    if salience_db is not None and salience_below_mix is not None:
        raise click.UsageError("--salience-db and --salience-below-mix exclude each other")
    wanted = parse_clips(clips)
    stems = load_catalog(slakh, hierarchy, split_scheme, catalog, errata, follow_links, jobs)
    return plan_clips(
        stems,
        stems.hierarchy,
        target=target,
        clips=wanted,
        clip_seconds=clip_seconds,
        step=step,
        salience_db=salience_db,
        salience_below_mix=salience_below_mix,
        companion=companion,
        queries=queries,
        query_artist=query_artist,
        channels=channels,
        seed=seed,
        activity=activity,
        jobs=jobs,
        backend=backend,
        scheduler=scheduler,
        progress=TerminalProgress(),
    )


def note_left_out(catalog: Catalog) -> bool:
    """Say on stderr what of the data set is missing or broken; True when there is anything."""
    for problem in catalog.skipped:
        note(f"left out: {problem}")
    found = False
    for status in ("missing", "broken"):
        stems = [row for row in catalog.left_out() if row["status"] == status]
        for row in stems[:20]:
            note(f"{status}: {row['track']}/{row['stem']}: {row['why']}")
        if len(stems) > 20:
            note(f"... and {len(stems) - 20} more {status} stems; `slakh-hier scan` lists them")
        found = found or bool(stems)
    return found or bool(catalog.skipped)


def note_folding(plan: Plan) -> None:
    """Say on stderr which nodes of stereo tracks lose much where they are folded down to mono."""
    from slakh_hier.plan.folding import HEAVY_LOSS_DB

    what = "costs" if plan.parameters.channels == 1 else "would cost"
    for loss in plan.folding:
        worst = "all of it" if loss.worst_db is None else f"{loss.worst_db:g} dB"
        note(
            f"note: one channel {what} {loss.node} more than {HEAVY_LOSS_DB:g} dB in {loss.heavy} of {loss.tracks} tracks "
            f"(the most in {loss.worst_track}: {worst})"
        )


def note_short(plan: Plan) -> bool:
    """Say on stderr in which splits fewer clips than asked for were drawn, and why; True when there are any."""
    for split, (drawn, asked) in plan.short.items():
        note(f"warning: {split}: only {drawn} of {asked} clips drawn")
        reports = [report for report in plan.reports if report.split == split and report.reason]
        # Of a large taxonomy most nodes are in no song.
        silent = [report.node for report in reports if not report.songs]
        listed = [report for report in reports if report.songs or len(silent) <= _MOST_NODES]
        for report in listed:
            note(f"  {report.node}: {report.drawn} clips, {report.songs} songs: {report.reason}")
        if len(listed) < len(reports):
            note(f"  {len(silent)} nodes in no song, or nowhere loud enough: {some(silent)}")
        if not reports:
            note("  the data set has no track of this split")
        alone = [report for report in plan.reports if report.split == split and report.alone]
        if alone:
            rule = plan.parameters.companion
            note(
                f"  the companion rule ({rule}) kept {sum(report.alone for report in alone)} windows of {len(alone)} "
                f"node{'s' * (len(alone) > 1)} out; --companion {'any or none' if rule == 'family' else 'none'} takes such clips"
            )
    return bool(plan.short)
