"""A separator that is worse than the unprocessed mixture: at which levels, and the likely reason."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pandas as pd

from slakh_hier.models.config_file import leaves, read_config
from slakh_hier.models.run_folder import CONFIG, METRICS
from slakh_hier.paths import StrPath
from slakh_hier.scores.curves import read_curves
from slakh_hier.scores.summary import ALL, PRIMARY, Summary, Values

FEW_STEPS: Final = 150
"""The preset ``small`` beats the mixture at all levels of a few hundred songs after so many (docs/experiments.md)."""
STILL_FALLING: Final = 0.01
"""Relative fall of the validation loss in the last quarter of the epochs."""
OVERFITTED: Final = 1.02
"""Last validation loss by the lowest one, where it has risen since."""
FAINT_DB: Final = -5.0
"""SI-SDR of the mixture: below it, the target is the weaker part of most bins."""


def shortfall_of(run: StrPath, summary: Summary) -> str | None:
    """:func:`shortfall` of a run folder that was evaluated, or of the weights in it; both may lie alone."""
    folder = Path(run)
    folder = folder if folder.is_dir() else folder.parent
    config = read_config(folder / CONFIG).model_dump(mode="json") if (folder / CONFIG).exists() else {}
    return shortfall(summary, read_curves(folder / METRICS), dict(leaves(config)))


def shortfall(summary: Summary, curves: pd.DataFrame, config: Mapping[str, Any]) -> str | None:
    """Sentences about a run that is worse than the mixture; None: its mean improvement is above 0 at every level.

    Parameters
    ----------
    summary
        Of the evaluation.
    curves
        ``metrics.csv`` of the run.
    config
        ``loss.kind`` and the other settings, flat.
    """
    below = {
        level: entry[PRIMARY]
        for level, entry in summary.groups
        if level != ALL and (entry[PRIMARY].improvement or 0) < 0
    }
    if not below:
        return None
    found = ", ".join(f"level {level}: {_improvement(values)}" for level, values in below.items())
    reasons = _reasons(below, curves, config)
    likely = f" Likely reasons: {'; '.join(reasons)}." if reasons else ""
    return f"The estimates are worse than the unprocessed mixture ({found}).{likely}"


def _improvement(values: Values) -> str:
    unsure = ", not certain" if values.ci95 is not None and values.ci95[1] > 0 else ""
    return f"{values.improvement:+.1f} dB{unsure}"


def _reasons(below: Mapping[str, Values], curves: pd.DataFrame, config: Mapping[str, Any]) -> list[str]:
    """The likeliest first."""
    reasons = []
    if len(curves) and "step" in curves and (steps := int(curves["step"].max())) < FEW_STEPS:
        reasons.append(f"{steps:,} training steps are few")
    loss = (
        pd.to_numeric(curves["val_loss"], errors="coerce").dropna()
        if "val_loss" in curves
        else pd.Series(dtype=float)
    )
    if len(loss) > 1:
        earlier = loss.iloc[: -max(1, len(loss) // 4)].min()
        if loss.iloc[-1] > OVERFITTED * loss.min():
            reasons.append("the validation loss rose while the training went on, so there are too few songs")
        elif loss.iloc[-1] < (1 - STILL_FALLING) * earlier:
            reasons.append("the validation loss was still falling, so that a longer training would help")
    faint = [level for level, values in below.items() if (values.mixture or 0) < FAINT_DB]
    if faint and config.get("loss.kind") == "tpsa":
        levels = "level " + ", ".join(faint) if len(faint) == 1 else "levels " + ", ".join(faint)
        reasons.append(
            f"at {levels} the target is much weaker than the rest, where the loss tPSA prefers silence"
        )
    return reasons
