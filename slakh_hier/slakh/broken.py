"""Stems that are known to be missing or broken before a run begins: stop, or continue without them.

A scan and the measuring of activity find such stems; others break only while a run decodes them.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal, get_args

from slakh_hier.errors import InputError, check_choice
from slakh_hier.slakh.catalog import Catalog
from slakh_hier.wording import counted

OnBroken = Literal["stop", "skip"]
MOST_NAMED: Final = 20


def broken_stems(catalog: Catalog, splits: Collection[str], on_broken: OnBroken) -> list[dict[str, str]]:
    """The missing and broken stems that are known of before a run: track, stem, reason.

    Parameters
    ----------
    splits
        Those that the run is about; empty for all.
    on_broken
        ``stop`` refuses any.

    Raises
    ------
    InputError
        There are some and ``on_broken`` is ``stop``; each is named, up to 20.
    """
    check_choice("on_broken", on_broken, get_args(OnBroken))
    rows = catalog.frame[catalog.frame["status"].isin(["broken", "missing"])]
    if splits:
        rows = rows[rows["split"].isin(list(splits))]
    broken = [
        {"track": str(track), "stem": str(stem), "reason": str(why)}
        for track, stem, why in rows[["track", "stem", "why"]].itertuples(index=False, name=None)
    ]
    if broken and on_broken == "stop":
        lines = [f"  {entry['track']}/{entry['stem']}: {entry['reason']}" for entry in broken[:MOST_NAMED]]
        if len(broken) > MOST_NAMED:
            lines.append(f"  ... and {len(broken) - MOST_NAMED} more; slakh-hier scan lists them")
        raise InputError(
            f"{catalog.root}: {counted(len(broken), 'stem is', 'stems are')} missing or cannot be decoded; nothing was done.\n"
            + "\n".join(lines)
            + "\nFix them and scan again, or continue without them: --on-broken skip"
        )
    return broken
