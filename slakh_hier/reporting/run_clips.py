"""Clips of an evaluation to see and hear: the best, the median and the worst, with estimates and targets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from slakh_hier.errors import InputError
from slakh_hier.reporting.document import Lane, Player, PlayerClip, Signal
from slakh_hier.reporting.run_data import RunData
from slakh_hier.shards.read import ShardSet, open_shards

EACH: Final = 3
"""So many clips of the best, of those about the median, and of the worst."""


def run_player(runs: Sequence[RunData], shards: Path | None) -> tuple[Player | None, str]:
    """The player of one run, or of two on the same clips, or the reason why there is none.

    Clips are chosen by the mean improvement over their levels (two runs: by the second's lead over the first).

    Parameters
    ----------
    shards
        The evaluated shard set; None: the one that the first run was trained on.

    Raises
    ------
    InputError
        The folder given is not the one that was evaluated.
    """
    if any(run.summary is None or run.scores is None for run in runs):
        return None, ""
    digests = {run.summary["plan_digest"] for run in runs if run.summary is not None}
    if len(digests) > 1:
        return None, "The runs were evaluated on different shard sets: there are no clips to compare."
    folder = shards or Path(runs[0].data.get("shards", ""))
    with_option = "Name the evaluated set with --shards FOLDER to see and hear clips."
    if shards is None and not (folder.is_absolute() and folder.is_dir()):
        return None, f"The shard set is not where the training found it. {with_option}"
    with open_shards(folder, runs[0].split) as opened:
        if opened.index.plan_digest not in digests:
            if shards is None:
                return None, f"The evaluated set is not the training set. {with_option}"
            raise InputError(
                f"{folder}: is not the shard set that was evaluated (plan {opened.index.plan_digest[:12]}, not "
                f"{next(iter(digests))[:12]}); give that one with --shards"
            )
        return _player(runs, opened), ""


def _player(runs: Sequence[RunData], shards: ShardSet) -> Player:
    from slakh_hier.models.weights import load_weights

    value = _ranking(runs)
    chosen = _chosen(value)
    trained = [load_weights(run.folder) for run in runs]
    clips = []
    for clip, word in chosen.items():
        # Numbers come from a file: out of range is an IndexError that nobody understands.
        if not 0 <= clip < len(shards):
            raise InputError(
                f"{runs[0].folder}: its evaluation names clip {clip} of {len(shards)}; evaluate again"
            )
        clips.append(_clip(runs, trained, shards, clip, f"{word}, {value[clip]:+.1f} dB"))
    by = (
        "the improvement over the mixture"
        if len(runs) == 1
        else f"the improvement of {runs[1].name} less that of {runs[0].name}"
    )
    rule = (
        f"{len(clips)} of the {len(value):,} clips that count: the best, those about the median, and the worst by {by}, "
        "a mean over the levels."
    )
    return Player(rule, clips)


def _ranking(runs: Sequence[RunData]) -> pd.Series[float]:
    """Clips, worst first."""
    means = []
    for run in runs:
        assert run.scores is not None
        counted = run.scores[run.scores["counted"].astype(bool)]
        means.append(counted.groupby("clip")["delta"].mean())
    values = means[0] if len(means) == 1 else (means[1] - means[0])
    return values.dropna().sort_values(kind="stable")


def _chosen(values: pd.Series[float]) -> dict[int, str]:
    """Up to three times :data:`EACH` clips and what they are; a clip is shown once."""
    order = [int(clip) for clip in values.index]
    each = min(EACH, -(-len(order) // 3))
    first = max(0, (len(order) - each) // 2)
    groups = {"best": order[::-1][:each], "median": order[first : first + each], "worst": order[:each]}
    found: dict[int, str] = {}
    for word, clips in groups.items():
        for clip in clips:
            found.setdefault(clip, word)
    return found


def _clip(
    runs: Sequence[RunData], trained: Sequence[object], shards: ShardSet, number: int, title: str
) -> PlayerClip:
    from slakh_hier.models.separation import separate
    from slakh_hier.models.weights import Trained

    clip = shards[number]
    query = clip.query
    signals: list[Signal] = [clip.mix]
    lanes = [Lane("mixture", 0, (0,), f"{clip.rms(shards.nodes[0].name):.1f} dBFS")]
    if query is not None:
        lanes.append(Lane("query", 0, (1,), f"{clip.query_track} at {clip.query_start:g} s", query=True))
        signals.append(query)
    estimates: dict[int, list[tuple[str, Signal, str]]] = {}
    targets: dict[int, str] = {}
    for run, one in zip(runs, trained, strict=True):
        assert isinstance(one, Trained)
        assert run.scores is not None
        found = separate(
            one,
            clip.mix,
            shards.sample_rate,
            query=query if one.separator.takes_query else None,
            window_seconds=None,
        )
        rows = run.scores[run.scores["clip"] == number].set_index("level")
        for level, name in zip(one.about.levels, one.about.names, strict=True):
            row = rows.loc[level]
            targets[level] = str(row["node"])
            score = f"SI-SDR {row['si_sdr']:.1f} dB ({row['delta']:+.1f} dB)"
            whose = "estimate" if len(runs) == 1 else f"estimate of {run.name}"
            estimates.setdefault(level, []).append((whose, found[name], score))
    for level in sorted(targets, reverse=True):
        target = targets[level]
        lanes.append(
            Lane(f"{target}: target", 1, (len(signals),), f"level {level}, {clip.rms(target):.1f} dBFS")
        )
        signals.append(clip[target])
        for whose, signal, score in estimates[level]:
            lanes.append(Lane(f"{target}: {whose}", 2, (len(signals),), score))
            signals.append(signal)
    place = f"{clip.track} at {clip.start:g} s · {clip.target}"
    return PlayerClip(
        f"{title} · {place}", shards.sample_rate, signals, lanes, f"Clip {number} of {clip.split}."
    )
