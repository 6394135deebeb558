"""What a run does at stems that are missing or cannot be decoded: stop before any work, or continue and list them in ``failures.jsonl``.

A scan and the measuring of activity find such stems before a run begins; others break only while it decodes them. Every
line of the file is a JSON object with ``track``, ``stem`` and ``reason``; a line that stands for a single clip says more.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args

from slakh_hier.errors import InputError
from slakh_hier.files import publish
from slakh_hier.plain_files import REMOVE_IT, read_plain
from slakh_hier.slakh.catalog import Catalog

OnBroken = Literal["stop", "skip"]
FAILURES_NAME: Final = "failures.jsonl"
MAX_BYTES: Final = 64 << 20
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
    if on_broken not in get_args(OnBroken):
        raise InputError(f"on_broken must be stop or skip, not {on_broken!r}")
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
            f"{catalog.root}: {len(broken)} stems are missing or cannot be decoded; nothing was done.\n"
            + "\n".join(lines)
            + "\nFix them and scan again, or continue without them: --on-broken skip"
        )
    return broken


def write_failures(folder: Path, failures: Iterable[Mapping[str, Any]]) -> None:
    """Publish what was left out, one line each; without any there is no file."""
    lines = [json.dumps(failure, ensure_ascii=False) + "\n" for failure in failures]
    if lines:
        publish(folder / FAILURES_NAME, "".join(lines).encode())
    else:
        (folder / FAILURES_NAME).unlink(missing_ok=True)


def read_failures(folder: Path) -> list[dict[str, Any]]:
    """What a run left out.

    Raises
    ------
    InputError
        Something else has the file's name, or it cannot be read.
    ValueError
        A line is damaged.
    """
    path = folder / FAILURES_NAME
    try:
        text = read_plain(path, MAX_BYTES).decode(errors="replace")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{path}: cannot be used: {error.strerror}. {REMOVE_IT}") from error
    failures = [json.loads(line) for line in text.splitlines()]
    if not all(isinstance(failure, dict) for failure in failures):
        raise ValueError(f"{path}: a line is no JSON object")
    return failures
