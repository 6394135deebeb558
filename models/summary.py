"""From a table of clips and levels to means, intervals and counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from slakh_hier.models.statistics import describe
from slakh_hier.scores.summary import Entry, MetricAbout, NodeEntry, Values, column


def entries_by_level(
    scores: pd.DataFrame, levels: Sequence[int], metrics: Mapping[str, MetricAbout]
) -> tuple[dict[str, Entry], Entry]:
    """The results of each level by number, and of all levels together.

    Parameters
    ----------
    scores
        One row per clip and level, columns as :func:`~slakh_hier.models.evaluation.evaluate` documents.
    levels
        Leaf first.
    metrics
        By name, those that ``scores`` has.
    """
    *each, together = _values(scores, levels, metrics)
    parts = [scores[scores["level"] == level] for level in levels]
    by_level = {
        str(level): Entry(**_counts(part), metrics=values)
        for level, part, values in zip(levels, parts, each, strict=True)
    }
    return by_level, Entry(**_counts(scores), metrics=together)


def entries_by_node(scores: pd.DataFrame, metrics: Mapping[str, MetricAbout]) -> dict[str, NodeEntry]:
    """The results of each node, by name; parameters as for :func:`entries_by_level`."""
    return {
        str(node): NodeEntry(
            level=int(part["level"].iloc[0]),
            **_counts(part),
            metrics=_values(part, part["level"].unique().tolist(), metrics)[-1],
        )
        for node, part in scores.groupby("node", sort=False)
    }


def _values(
    scores: pd.DataFrame, levels: Sequence[int], metrics: Mapping[str, MetricAbout]
) -> list[dict[str, Values]]:
    """By metric, the values of each level and of their mean."""
    clips = scores[["clip", "song"]].drop_duplicates("clip").sort_values(["song", "clip"])
    songs = pd.factorize(clips["song"], sort=True)[0].astype(np.intp)
    found: list[dict[str, Values]] = [{} for _ in (*levels, "all")]
    for name, metric in metrics.items():
        parts = {
            part: scores.pivot(index="clip", columns="level", values=column(name, part))
            .reindex(index=clips["clip"], columns=list(levels))
            .to_numpy(float)[None]
            for part in metric.parts
        }
        for place, values in enumerate(describe(parts, songs)):
            found[place][name] = values
    return found


def _counts(part: pd.DataFrame) -> dict[str, int]:
    counted = part.loc[part["counted"], "clip"]
    return {"clips": int(counted.nunique()), "dropped": int(part["dropped"].sum())}
