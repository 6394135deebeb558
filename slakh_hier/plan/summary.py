"""What a plan will give, in rows for people: clips, hours, disk, and how hard the mixtures are."""

from __future__ import annotations

from typing import Any

import numpy as np

from slakh_hier.plan.membership import distinct_signals
from slakh_hier.plan.plan import Plan
from slakh_hier.signals import sample_at

SUMMARY_RATE, SUMMARY_BYTES = 16_000, 2
"""The defaults of a rendering: what the disk space is given for."""


def split_rows(plan: Plan) -> list[dict[str, Any]]:
    """One row per split: clips drawn and asked for, tracks, hours, GB at 16 kHz int16, mixture SI-SDR by level (dB).

    The SI-SDR is the mean over the clips whose mixture holds more than the target's node at that level; masks play no
    part, and unassigned stems are in the mixture.
    """
    columns = plan.hierarchy.columns(target=plan.parameters.target)
    signals = {
        track: distinct_signals(stems, columns) for track, stems in plan.catalog.usable_by_track.items()
    }
    samples = sample_at(plan.parameters.clip_seconds, SUMMARY_RATE)
    signal_bytes = plan.parameters.channels * samples * SUMMARY_BYTES
    rows = []
    for split, asked in plan.parameters.as_dict()["clips"].items():
        clips = plan.clips[plan.clips["split"] == split]
        stored = sum(signals[track] for track in clips["track"]) + int(clips["query_track"].ne("").sum())
        row: dict[str, Any] = {
            "split": split,
            "clips": len(clips),
            "asked": asked,
            "tracks": int(clips["track"].nunique()),
            "hours": round(len(clips) * plan.parameters.clip_seconds / 3600, 2),
            "GB": round(stored * signal_bytes / 1e9, 3),
        }
        for level in range(plan.hierarchy.levels, 0, -1):
            values = clips[f"mix_si_sdr_{level}"].to_numpy(float)
            finite = values[np.isfinite(values)]
            row[f"SI-SDR {level}"] = round(float(finite.mean()), 2) if len(finite) else None
        rows.append(row)
    return rows


def node_rows(plan: Plan) -> list[dict[str, Any]]:
    """One row per split and target node: windows, candidates, songs, clips drawn, and why not more.

    ``alone`` are windows that the rule about companions keeps out.
    """
    return [
        {
            "split": report.split,
            "node": report.node,
            "level": report.level,
            "salient": report.windows,
            "alone": report.alone,
            "candidates": report.candidates,
            "songs": report.songs,
            "clips": report.drawn,
            "note": report.reason,
        }
        for report in plan.reports
    ]
