"""Options that commands share, in the groups of their help."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import click

from slakh_hier.cli import completion
from slakh_hier.cli.command import (
    F,
    Option,
    clip_option,
    data_option,
    options,
    output_option,
    parsed,
    running_option,
    training_option,
)
from slakh_hier.cli.common import WIDE


def folder_option(what: str, name: str = "out") -> Callable[[F], F]:
    """``-o``: the folder for ``what``."""
    return output_option("-o", "--output", name, type=click.Path(), required=True, help=what)


def audio_format_option(default: str = "flac", about: str = "") -> Callable[[F], F]:
    """``--audio-format``."""
    return output_option(
        "--audio-format",
        type=click.Choice(["flac", "wav"]),
        default=default,
        help=f"Format of the audio files{about}.",
    )


def channels_option(option: Callable[..., Callable[[F], F]], text: str) -> Callable[[F], F]:
    """``--channels`` of a group: 1, 2, or None for ``auto``; ``text`` is its help."""
    return option(
        "--channels",
        type=click.Choice(["auto", "1", "2"]),
        callback=parsed(lambda value: None if value == "auto" else int(value)),
        default="auto",
        help=text,
    )


def _keep_wide(context: click.Context, _: click.Parameter, wide: bool) -> None:
    context.meta[WIDE] = wide


format_option = options(
    output_option(
        "--format",
        "output_format",
        type=click.Choice(["table", "json", "csv"]),
        default="table",
        help="How results are printed on stdout.",
    ),
    output_option(
        "--wide",
        is_flag=True,
        expose_value=False,
        callback=_keep_wide,
        help="Show all columns and whole names, however narrow the terminal is. A pipe gets them too.",
    ),
)
overwrite_option = output_option(
    "--overwrite",
    is_flag=True,
    help="Start from scratch: remove what an earlier run made in the folder first.",
)
dry_run_option = output_option(
    "--dry-run", is_flag=True, help="Say what would be written, and write nothing."
)

jobs_option = running_option(
    "-j",
    "--jobs",
    type=click.IntRange(min=0),
    default=0,
    show_default="one per CPU core",
    help="Parallel workers.",
)
on_broken_option = running_option(
    "--on-broken",
    type=click.Choice(["stop", "skip"]),
    default="stop",
    help="At stems that cannot be decoded: stop, or continue without them and list them in failures.jsonl.",
)
backend_options = options(
    running_option(
        "--backend",
        type=click.Choice(["loky", "threading", "dask"]),
        default="loky",
        help="How the work is run in parallel.",
    ),
    running_option("--scheduler", metavar="ADDRESS", help="A running Dask scheduler (with --backend dask)."),
)


def _parse_part(value: str) -> tuple[int, int]:
    first, slash, count = value.partition("/")
    if slash and first.isdigit() and count.isdigit() and 1 <= int(first) <= int(count):
        return int(first), int(count)
    raise click.BadParameter(f"a part is written I/N with I from 1 to N, as in 1/8; {value!r} is not")


part_option = running_option(
    "--part",
    metavar="I/N",
    callback=parsed(_parse_part),
    help="Do only part I of N (array tasks of a cluster); the same command without --part completes the work.",
)
device_option = running_option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    help="auto: a GPU if there is one.",
)

hierarchy_option = data_option(
    "--hierarchy",
    metavar="TREE",
    default="slakh34",
    shell_complete=completion.trees,
    help="Tree: a shipped name or a YAML file.",
)
split_scheme_option = data_option(
    "--split-scheme",
    type=click.Choice(["orig", "split2", "redux", "folders"]),
    show_default="split2 when every song is Slakh2100's, else folders",
    help="Which songs are train, validation and test.",
)
follow_links_option = data_option(
    "--follow-links",
    is_flag=True,
    help="Follow links that lead out of the data set; only where you trust its maker.",
)
errata_option = data_option(
    "--errata/--no-errata", default=True, help="Exclude stems that are known to be noise."
)
catalog_options = options(
    hierarchy_option,
    split_scheme_option,
    data_option(
        "--catalog", type=click.Path(), help="A catalog.csv written by `scan -o`, instead of a scan."
    ),
    errata_option,
    follow_links_option,
)


def _parse_query_levels(value: str) -> tuple[int, ...]:
    levels = [level.strip() for level in value.split(",")]
    if not all(level.isascii() and level.isdigit() for level in levels):
        raise click.BadParameter(f"query levels are numbers from 1, as in 1,2; {value!r} is not")
    return tuple(map(int, levels))


plan_options = options(
    catalog_options,
    data_option(
        "--activity", type=click.Path(), show_default="in the user's cache folder", help="An activity file."
    ),
    clip_option(
        "--target",
        metavar="NODE",
        shell_complete=completion.nodes,
        help="Draw clips of this node, and render it and its ancestors alone.",
    ),
    clip_option(
        "--any", "any_target", is_flag=True, help="Draw among all nodes of --query-levels (the default)."
    ),
    clip_option(
        "--query-levels",
        metavar="N,...",
        callback=parsed(_parse_query_levels),
        show_default="1, the finest",
        help="Levels of the nodes that clips and queries are drawn for, as 1,2.",
    ),
    clip_option(
        "--clips",
        default="train=10000,validation=5000,test=3000",
        help="How many clips to draw in each split.",
    ),
    clip_option("--clip-seconds", default=10.0, help="Length of a clip (s)."),
    clip_option("--step", default=2.5, help="Grid of clip starts (s)."),
    clip_option(
        "--salience-db",
        type=float,
        show_default="as the tree says, else -30",
        help="A node sounds above this RMS (dBFS).",
    ),
    clip_option(
        "--salience-below-mix",
        type=float,
        metavar="DB",
        help="A node sounds down to so many dB below the mixture, instead of --salience-db.",
    ),
    clip_option(
        "--companion",
        type=click.Choice(["family", "any", "none"]),
        show_default="as the tree says, else family",
        help="Which other node of the target's level must sound in a clip: of the same top node, any, or none.",
    ),
    clip_option(
        "--queries/--no-queries",
        default=None,
        show_default="queries with --any, none with --target",
        help="Draw a query clip (the same node in another song) for each clip.",
    ),
    clip_option(
        "--query-artist",
        type=click.Choice(["any", "different"]),
        default="any",
        help="Queries of any other song, or of another artist's only.",
    ),
    channels_option(clip_option, "Of the clips; auto: 2 if any stem is stereo. 1 averages left and right."),
    clip_option("--seed", default=588, help="Another seed draws other clips."),
)
"""Everything that decides which clips are drawn."""


def _import_files(context: click.Context, _: click.Parameter, files: tuple[str, ...]) -> None:
    if files and not context.resilient_parsing:
        from slakh_hier.models.registry import import_file

        for file in files:
            import_file(file)


_import = partial(
    click.option,
    "--import",
    cls=Option,
    multiple=True,
    metavar="FILE",
    type=click.Path(),
    expose_value=False,
    callback=_import_files,
    help="A Python file that registers networks, losses or metrics of yours. Repeatable.",
)
import_option = _import(group="Running")


def configuration_options(what: str) -> Callable[[F], F]:
    """``--preset``, ``--config`` and ``--set``: the configuration of ``what``."""
    return options(
        training_option(
            "--preset",
            metavar="NAME",
            show_default="paper",
            shell_complete=completion.presets,
            help="What to start from: paper, paper-small and small (a laptop), tiny (a test), bandsplit, bandsplit-44k.",
        ),
        training_option("--config", type=click.Path(), help="YAML file with any part of the configuration."),
        training_option(
            "--set",
            "settings",
            multiple=True,
            metavar="KEY=VALUE",
            help=f"One value of {what}, as training.epochs=20 or levels=[1,2]. Repeatable; wins over file and preset.",
        ),
        _import(group="Training"),
    )
