"""Clips of an evaluation to see and hear: the best, the median and the worst, with estimates and targets."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Final

import pandas as pd

from slakh_hier.errors import InputError
from slakh_hier.reporting.document import Lane, Player, PlayerClip, Signal
from slakh_hier.reporting.parts import disjoint
from slakh_hier.reporting.run_data import RunData
from slakh_hier.scores.summary import PRIMARY, MetricAbout, column
from slakh_hier.shards.clip import Clip
from slakh_hier.shards.read import ShardSet, open_shards

EACH: Final = 3
"""So many clips of the best, of those about the median, and of the worst."""
MIXTURE: Final = -1
"""Its place among the levels."""


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
    digests = {run.summary.plan_digest for run in runs if run.summary is not None}
    if len(digests) > 1:
        return None, "The runs were evaluated on different shard sets: there are no clips to compare."
    folder = shards or runs[0].data.folder
    with_option = "Name the evaluated set with --shards FOLDER to see and hear clips."
    if folder is None:
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
        clips.append(_clip(runs, trained, shards, clip, word, value[clip]))
    by = (
        "the improvement over the mixture"
        if len(runs) == 1
        else f"the improvement of {runs[1].name} less that of {runs[0].name}"
    )
    rule = (
        f"{len(clips)} of the {len(value):,} scored clips: the best, those about the median, and the worst by {by}, "
        "a mean over the levels."
    )
    return Player(rule, clips, versions=versions(runs))


def _ranking(runs: Sequence[RunData]) -> pd.Series[float]:
    """Clips, worst first."""
    means = []
    for run in runs:
        assert run.scores is not None
        counted = run.scores[run.scores["counted"].astype(bool)]
        means.append(counted.groupby("clip")[column(PRIMARY, "improvement")].mean())
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
    runs: Sequence[RunData],
    trained: Sequence[object],
    shards: ShardSet,
    number: int,
    word: str,
    value: float,
) -> PlayerClip:
    clip, mix = shards[number], shards.nodes[0].name
    rows = [_rows(run, number) for run in runs]
    targets = {
        level: str(node)
        for scores in rows
        for level, node in zip(scores.index.tolist(), scores["node"], strict=True)
    }
    truth = {MIXTURE: clip.mix} | {level: clip[targets[level]] for level in sorted(targets, reverse=True)}
    parts, sounds = _sounds([truth, *(_estimates(one, clip, targets) for one in trained)])
    lanes = [Lane("mixture", mix, 0, sounds[0].pop(MIXTURE), f"{clip.rms(mix):.1f} dBFS")]
    if (query := clip.query) is not None:
        detail = f"{clip.query_track} at {clip.query_start:g} s"
        lanes.append(Lane("query", sounds=(len(parts),), detail=detail))
        parts.append(query)
    for level, own in sounds[0].items():
        node = targets[level]
        values = [_score(scores, level, _metrics(runs)) for scores in rows]
        details = [f"level {level}, {clip.rms(node):.1f} dBFS", *values]
        for version, (name, found) in enumerate(
            zip(versions(runs), [{level: own}, *sounds[1:]], strict=True)
        ):
            if level in found:
                lane = Lane(
                    f"{node}: {name}",
                    node,
                    1 + (version > 0),
                    found[level],
                    details[version],
                    version=version,
                )
                lanes.append(lane)
    counted = rows[-1][rows[-1]["counted"].astype(bool)]
    better, reached = (float(counted[column(PRIMARY, part)].mean()) for part in ("improvement", "estimate"))
    return PlayerClip(
        f"{word}, {value:+.1f} dB · {clip.track} at {clip.start:g} s · {clip.target}",
        shards.sample_rate,
        parts,
        lanes,
        f"Clip {number} of {clip.split}.",
        {"improvement": better, _metrics(runs)[PRIMARY].heading: reached},
        clip.target,
        # Of the best ones, that which is separated well and was not so in the mixture.
        better + reached if word == "best" else -math.inf,
    )


def _estimates(trained: object, clip: Clip, levels: Container[int]) -> dict[int, Signal]:
    """By level, coarsest first, what a separator makes of a clip; only of some levels."""
    from slakh_hier.models.separation import separate
    from slakh_hier.models.weights import Trained

    assert isinstance(trained, Trained)
    query = clip.query if trained.separator.takes_query else None
    found = separate(trained, clip.mix, clip.shards.sample_rate, query=query, window_seconds=None)
    by_level = dict(zip(trained.about.levels, trained.about.names, strict=True))
    return {level: found[by_level[level]] for level in sorted(by_level, reverse=True) if level in levels}


def _sounds(versions: Sequence[dict[int, Signal]]) -> tuple[list[Signal], list[dict[int, tuple[int, ...]]]]:
    """The parts of all versions of a clip, and for each version by level the places of its signal's parts.

    A level's signal contains that of the next finer one.
    """
    parts: list[Signal] = []
    places = []
    for signals in versions:
        chain = dict(zip(signals, [None, *signals], strict=False))
        own, sounds = disjoint(signals, chain, first=len(parts))
        parts += own
        places.append({level: sounds[level] for level in signals})
    return parts, places


def _metrics(runs: Sequence[RunData]) -> dict[str, MetricAbout]:
    """Those taken of sounding nodes, of all runs."""
    summaries = [run.summary for run in runs if run.summary is not None]
    return {
        name: metric
        for summary in summaries
        for name, metric in summary.metrics.items()
        if metric.where == "sounding"
    }


def _score(scores: pd.DataFrame, level: int, metrics: Mapping[str, MetricAbout]) -> str:
    if level not in scores.index:
        return ""
    score = scores.loc[level]
    if not score["counted"]:
        return "not scored"
    return ", ".join(
        f"{metric.heading} {score[column(name)]:.1f} {metric.unit} "
        f"({score[column(name, 'improvement')]:+.1f} {metric.unit})"
        for name, metric in metrics.items()
        if column(name) in score
    )


def versions(runs: Sequence[RunData]) -> tuple[str, ...]:
    """What a node's lanes are: its target, and the estimate of each run."""
    return ("target", *("estimate" if len(runs) == 1 else f"estimate of {run.name}" for run in runs))


def _rows(run: RunData, clip: int) -> pd.DataFrame:
    assert run.scores is not None
    return run.scores[run.scores["clip"] == clip].set_index("level")
