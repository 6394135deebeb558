"""``slakh-hier demo``"""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import click

from slakh_hier.cli.command import command, output_option, running_option, song_option
from slakh_hier.cli.common import note
from slakh_hier.cli.options import jobs_option
from slakh_hier.errors import MissingExtraError

SONGS, SECONDS, SPLITS = 60, 32.0, "75,5,20"
"""Many short songs teach more than a few long ones, and twelve test songs give an interval that says something."""
DRAWING = ("--clip-seconds", "4", "--step", "2", "--sample-rate", "8000")
SSS_CLIPS = "train=500,validation=30,test=100"
QBE_CLIPS = "train=900,validation=40,test=120"
TRAINING = (
    "--preset",
    "small",
    "--set",
    "data.crop_seconds=2",
    "--set",
    "training.epochs=3",
    "--set",
    "training.steps_per_epoch=100",
)
"""300 steps of short excerpts, less than a minute of a core each: enough to be well above the mixture at every level."""


@command()
@output_option("-o", "--output", "out", type=click.Path(), default="demo", help="Folder to fill.")
@song_option(
    "--data",
    type=click.Choice(["composed", "formula"]),
    default="composed",
    help="Composed songs on sampled instruments (needs the extra `synth`), or test tones.",
)
@song_option("--tracks", type=click.IntRange(min=12), default=SONGS, help="Songs to make.")
@song_option("--seconds", type=click.FloatRange(min=20), default=SECONDS, help="Length of a song (s).")
@running_option(
    "--train/--no-train",
    "training",
    default=True,
    help="Train and evaluate two small separators, and write pages (needs the extras `train` and `report`).",
)
@jobs_option
def demo(out: str, data: str, tracks: int, seconds: float, training: bool, jobs: int) -> None:
    """End-to-end demo: make a small data set, render it for SSS and QBE, train on it, and write pages to open.

    Every step is an ordinary command, printed before it is run. What is already made is kept.
    """
    folder = Path(out)
    songs, sss, qbe, clip = (str(folder / name) for name in ("slakh", "shards-sss", "shards-qbe", "clip"))
    worker = ("-j", str(jobs)) if jobs else ()
    if data == "composed":
        composing = ("--compose", str(tracks), "--seconds", f"{seconds:g}", "--splits", SPLITS)
        _run("synth", *composing, "-o", songs, *worker)
    else:
        _make_formula(folder / "slakh", tracks, seconds)
    _run("scan", songs, "--split-scheme", "folders")
    drawing = ("--split-scheme", "folders", *DRAWING, *worker)
    _run(
        "render", songs, "-o", sss, "--target", "clean_guitars", "--clips", SSS_CLIPS, *drawing,
        "--mask", "leaf-50", "--mask", "leaf-90",
    )  # fmt: skip
    _run("render", songs, "-o", qbe, "--any", "--clips", QBE_CLIPS, *drawing, "--mask", "leaf-90")
    _run("verify", sss, "--full", *worker)
    _run("verify", qbe, "--full", *worker)
    _run("inspect", sss)
    _run("export", sss, "0", "--split", "test", "-o", clip)
    lacking = _lacking() if training else None
    pages = _train(folder, {"sss": sss, "qbe": qbe}, worker) if training and not lacking else []
    note("")
    note(f"Done. Listen to {clip}: one clip, from the mixture down to the clean guitars.")
    note(f"  {songs}: a data set in Slakh's layout")
    note(f"  {sss}: shards for source-specific separation of guitars, with leaf masks")
    note(f"  {qbe}: shards for query by example, all nodes and a query for each clip")
    for page, about in pages:
        note(f"  {page}: {about}")
    for page, _ in pages:
        note(f"Open in a browser: {page.resolve().as_uri()}")
    if inactive := _inactive_environment():
        note(f"To use slakh-hier in your shell: source {inactive}")
    if lacking:
        note(f"No separators and no pages: {lacking}")


def _train(folder: Path, shards: dict[str, str], worker: tuple[str, ...]) -> list[tuple[Path, str]]:
    """Train and evaluate a separator for each task; pages of the shards and of both runs, with what they show."""
    pages: list[tuple[Path, str]] = []
    for task, data in shards.items():
        run, page = str(folder / f"run-{task}"), folder / f"run-{task}.html"
        _run("train", task, data, "-o", run, *TRAINING)
        _run("evaluate", run, data, *worker)
        _run("report", run, "-o", str(page))
        pages.append(
            (
                page,
                f"the trained {task.upper()}: what it makes of test clips, the best first, scores and curves",
            )
        )
    page = folder / "shards.html"
    _run("report", shards["qbe"], "-o", str(page), "--clips", "12")
    return [*pages, (page, "the shards: the tree, levels, and clips to see and hear")]


def _inactive_environment() -> Path | None:
    """The script that activates the environment of this program, if the shell has not done so (as after ``make``)."""
    script = Path(sys.prefix) / "bin" / "activate"
    if not script.exists() or os.environ.get("VIRTUAL_ENV") == sys.prefix:
        return None
    return script.relative_to(Path.cwd()) if script.is_relative_to(Path.cwd()) else script


def _lacking() -> str | None:
    """Which extra is not installed, as a sentence."""
    try:
        import slakh_hier.models
        import slakh_hier.reporting  # noqa: F401
    except MissingExtraError as error:
        return str(error)
    return None


def _run(*arguments: str) -> None:
    """Print a command as a person would type it, and run it. Where few or short songs give fewer clips, the demo continues."""
    from slakh_hier.cli.main import cli

    note(f"\n$ slakh-hier {shlex.join(arguments)}")
    code = cli.main(args=list(arguments), prog_name="slakh-hier", standalone_mode=False)
    if code and (arguments[0], code) != ("render", 1):
        raise click.exceptions.Exit(code)


def _make_formula(folder: Path, tracks: int, seconds: float) -> None:
    from slakh_hier.testing import make_slakh

    note(f"\nTest tones in Slakh's layout -> {folder}")
    if not folder.exists():
        make_slakh(folder, tracks=tracks, seconds=seconds)
