"""From a folder to its report: which kind it is, the page, and the plots as files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from slakh_hier.errors import InputError
from slakh_hier.files import make_folder, publish
from slakh_hier.paths import StrPath
from slakh_hier.reporting.document import Report
from slakh_hier.reporting.experiment import experiment_report
from slakh_hier.reporting.page import render_page
from slakh_hier.reporting.shard_set import CLIPS, shard_report
from slakh_hier.reporting.theme import save_plots
from slakh_hier.scores.experiment import RESULTS
from slakh_hier.shards.index import INDEX_NAME, read_index

Kind = Literal["shards", "run", "experiment"]
CONFIG = "config.yaml"


def write_report(
    folders: Sequence[StrPath],
    page: StrPath | None,
    *,
    plots: StrPath | None = None,
    split: str = "test",
    shards: StrPath | None = None,
    clips: int = CLIPS,
) -> list[Path]:
    """Write the report of a folder, or of two runs side by side, and return the files.

    Parameters
    ----------
    folders
        A shard set, a run, an experiment, or two runs.
    page
        The HTML file; None: no page.
    plots
        Folder for the figures as PNG and SVG; None: no files.
    split
        Runs: whose evaluation is shown.
    shards
        Runs and experiments: the shard set that was evaluated; None: the one of the training, where it still is.
    clips
        Shard sets: how many clips the player gets.

    Raises
    ------
    InputError, ShardError
        A folder is none of these, or cannot be read.
    MissingExtraError
        The page of a run needs the extra ``train``.
    """
    if page is None and plots is None:
        raise InputError("give a page to write (-o PAGE.html), a folder for plots (--plots DIR), or both")
    file = None if page is None else Path(page)
    if file is not None and file.is_dir():
        raise InputError(f"{page}: is a folder; give the name of a file, such as {file / 'report.html'}")
    report = make_report(
        [Path(folder) for folder in folders],
        file,
        split=split,
        shards=None if shards is None else Path(shards),
        clips=clips,
    )
    written = []
    if file is not None:
        data = render_page(report)
        make_folder(file.resolve().parent)
        publish(file, data)
        written.append(file)
    if plots is not None:
        written += save_plots(report.plots, Path(plots))
    return written


def make_report(
    folders: Sequence[Path],
    page: Path | None = None,
    *,
    split: str = "test",
    shards: Path | None = None,
    clips: int = CLIPS,
) -> Report:
    """The report of :func:`write_report`, not yet written."""
    kinds = [kind_of(folder) for folder in folders]
    if len(folders) > 2 or (len(folders) == 2 and kinds != ["run", "run"]):
        found = ", ".join(f"{folder} ({kind})" for folder, kind in zip(folders, kinds, strict=True))
        raise InputError(f"side by side only two runs can be shown; given were {found}")
    if kinds[0] == "shards":
        return shard_report(folders[0], clips=clips)
    if kinds[0] == "experiment":
        return experiment_report(folders[0], page, shards=shards)
    from slakh_hier.reporting.runs import run_report

    return run_report(folders, split=split, shards=shards)


def kind_of(folder: Path) -> Kind:
    """What a folder holds, by the file that marks it.

    Raises
    ------
    InputError, ShardError
        None of the three, or a shard set that is not finished.
    """
    if (folder / INDEX_NAME).exists():
        return "shards"
    if (folder / RESULTS).exists():
        return "experiment"
    if (folder / CONFIG).exists():
        return "run"
    if (folder / "plan.yaml").exists() or not folder.is_dir():
        read_index(folder)  # says what is wrong
    below = next(iter(sorted(folder.glob(f"*/{RESULTS}"))), None)
    hint = f"; did you mean {below.parent}?" if below else ""
    raise InputError(
        f"{folder}: is neither a shard set ({INDEX_NAME}), nor a run ({CONFIG}), nor an experiment ({RESULTS}){hint}"
    )
