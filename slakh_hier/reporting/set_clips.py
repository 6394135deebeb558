"""Clips of a shard set to see and hear, each signal as a sum of parts."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Final

import numpy as np

from slakh_hier.plan.energy import Moments, mixture_si_sdr
from slakh_hier.reporting.document import Lane, Player, PlayerClip, Signal
from slakh_hier.reporting.parts import disjoint
from slakh_hier.shards.clip import Clip
from slakh_hier.shards.inspect import tree_order
from slakh_hier.shards.read import ShardSet

LEAST_CLIPS: Final = 8
"""So many clips are kept in a page before their sound suffers."""
MOST_ABSENT: Final = 6
"""More absent nodes than this are counted, not named."""
MIXTURE_SI_SDR: Final = "SI-SDR of the mixture"


def set_player(shards: ShardSet, count: int) -> Player:
    """At most ``count`` clips (1 or more), about as many of each split."""
    chosen = spread(shards, count)
    rule = (
        f"{len(chosen)} of {len(shards):,} clips: about as many of each split, at even distances in the order of "
        "the set."
    )
    return Player(rule, [player_clip(shards[number]) for number in chosen], shards.masks, least=LEAST_CLIPS)


def depth_of(shards: ShardSet, place: int) -> int:
    """How many nodes lie above a column; 0 for the mixture."""
    depth = 0
    while (place := shards.nodes[place].parent) >= 0:
        depth += 1
    return depth


def spread(shards: ShardSet, count: int) -> list[int]:
    """Numbers of at most ``count`` clips: the same number of each split, as far as it has them, evenly spread."""
    splits = shards.clips["split"].to_numpy()
    waiting = {split: np.flatnonzero(splits == split) for split in shards.splits}
    waiting = {split: numbers for split, numbers in waiting.items() if len(numbers)}
    chosen: list[int] = []
    # The smallest split first: what it cannot give, the others do.
    for place, split in enumerate(sorted(waiting, key=lambda split: len(waiting[split]))):
        numbers = waiting[split]
        share = min(len(numbers), -(-(count - len(chosen)) // (len(waiting) - place)))
        places = (np.arange(share) * len(numbers)) // max(share, 1)
        chosen += numbers[places].tolist()
    return sorted(chosen)


def player_clip(clip: Clip) -> PlayerClip:
    """What the player gets of a clip: every signal that sounds, as a sum of parts."""
    shards, number = clip.shards, clip.number
    available = {mask: clip.available(mask) for mask in shards.masks}
    order = tree_order(shards)
    sounding = [place for place in order if shards.row[number, place] >= 0]
    signals = {place: shards.audio(number, place) for place in sounding}
    parts, sounds = disjoint(signals, {place: _parent(shards, place, signals) for place in sounding})
    lanes, absent = [], []
    for place in order:
        name = shards.nodes[place].name
        state = clip.state(name)
        if state == "absent":
            absent.append(name)
            continue
        lanes.append(
            Lane(
                name,
                name,
                depth_of(shards, place),
                sounds.get(place, ()),
                f"{clip.rms(name):.1f} dBFS" if state == "sounding" else "silent: every sample is zero",
                tuple(mask for mask, nodes in available.items() if not nodes[name]),
            )
        )
    if (query := clip.query) is not None:
        lanes.append(
            Lane("query", sounds=(len(parts),), detail=f"{clip.query_track} at {clip.query_start:g} s")
        )
        parts.append(query)
    note = f"Target: {clip.target}."
    if absent:
        few = len(absent) <= MOST_ABSENT
        note += f" Absent from this track: {', '.join(absent) if few else f'{len(absent)} of {len(order)} nodes'}."
    return PlayerClip(
        f"{clip.split} · {clip.track} at {clip.start:g} s · {clip.target}",
        shards.sample_rate,
        parts,
        lanes,
        note,
        _scores(clip, signals),
        clip.target,
        len(sounding),
    )


def _parent(shards: ShardSet, place: int, among: Container[int]) -> int | None:
    """The nearest node above a column that is among some."""
    while (place := shards.nodes[place].parent) >= 0:
        if place in among:
            return place
    return None


def _scores(clip: Clip, signals: Mapping[int, Signal]) -> dict[str, float]:
    """SI-SDR of the mixture against the clip's target; nothing where the target is silent, not rendered, or alone."""
    place = next((n for n, column in enumerate(clip.shards.nodes) if column.name == clip.target), 0)
    if not {0, place} <= signals.keys():
        return {}
    target = signals[place].astype(np.float64)
    both = np.stack([target, signals[0] - target])
    both -= both.mean(axis=-1, keepdims=True)
    moments = Moments(np.zeros((1, 2)), np.einsum("ict,jct->ij", both, both)[None])
    (value,) = mixture_si_sdr([moments], target.shape[-1], np.array([[True, False]]))[0]
    return {MIXTURE_SI_SDR: float(value)} if np.isfinite(value) else {}
