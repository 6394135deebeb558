"""Whether the stems of a data set are those that a plan was drawn from, by what they hold."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from slakh_hier.errors import PlanError
from slakh_hier.parallel import Tasks, run
from slakh_hier.progress import Wanted, shown
from slakh_hier.slakh import Catalog
from slakh_hier.slakh.content import content_of


def check_stems(
    catalog: Catalog, tracks: Iterable[str], *, jobs: int | None = None, progress: Wanted = None
) -> None:
    """Compare the usable stems of some tracks with the contents that the catalog gives.

    Of FLAC files the header is read, which holds the MD5 of the samples; others are decoded whole.

    Parameters
    ----------
    jobs
        Threads; None or 0: one per CPU core.

    Raises
    ------
    PlanError
        A stem holds something else; the first one is named.
    """
    rows = catalog.usable_by_track
    wanted = sorted(set(tracks) & set(rows))
    columns = ["stem", "path", "content"]

    def arguments(track: str) -> tuple[Path, list[tuple[str, str, str]]]:
        return catalog.root, list(rows[track][columns].itertuples(index=False, name=None))

    other: dict[str, list[str]] = {}
    with shown(progress).stage("compare stems", len(wanted), "tracks") as advance:
        for result in run(_others, Tasks(wanted, arguments), jobs=jobs, backend="threading"):
            if stems := result.unwrap():
                other[result.id] = stems
            advance(1)
    if other:
        first = min(other)
        count = sum(map(len, other.values()))
        raise PlanError(
            f"{catalog.root}: the plan was drawn from other audio: {count} of the stems that it uses differ, "
            f"{first}/{other[first][0]} first. Draw a plan of this data set with slakh-hier plan, or give the data set that "
            "the plan was drawn from"
        )


def _others(root: Path, stems: list[tuple[str, str, str]]) -> list[str]:
    """Stems of a track that do not hold what they should."""
    return [stem for stem, path, content in stems if content_of(os.path.join(root, path)) != content]
