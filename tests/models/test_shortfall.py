"""A run worse than the mixture is reported, with a reason that its curves show."""

from __future__ import annotations

import pandas as pd
import pytest

from slakh_hier.models.shortfall import shortfall
from slakh_hier.scores.summary import Entry, Summary, Values


def summary(**deltas: float | None) -> Summary:
    """Levels by name (``l1=-2.0``), each with an interval of 1 dB to both sides."""
    levels = {
        name[1:]: Entry(
            metrics={
                "si_sdr": Values(
                    improvement=delta,
                    ci95=None if delta is None else (delta - 1, delta + 1),
                    mixture=-2.0 if name == "l3" else -9.0,
                )
            }
        )
        for name, delta in deltas.items()
    }
    return Summary(
        split="test", shards="s", task="sss", step=1, plan_digest="a", songs=2, metrics={}, levels=levels, nodes={},
        all_levels=Entry(),
    )  # fmt: skip


def curves(*losses: float, steps: int = 100) -> pd.DataFrame:
    epochs = range(1, len(losses) + 1)
    return pd.DataFrame({"epoch": epochs, "step": [steps * epoch for epoch in epochs], "val_loss": losses})


LONG = curves(*[0.3] * 10)


def test_what_beats_the_mixture_is_not_reported() -> None:
    assert shortfall(summary(l1=0.1, l3=4.0), LONG, {}) is None
    assert shortfall(summary(l1=None), LONG, {}) is None


def test_levels_are_named_coarsest_first_and_doubt_is_reported() -> None:
    text = shortfall(summary(l1=-4.0, l2=2.0, l3=-0.5), LONG, {})
    assert text == (
        "The estimates are worse than the unprocessed mixture (level 3: -0.5 dB, not certain, level 1: -4.0 dB)."
    )


@pytest.mark.parametrize(
    ("metrics", "config", "reason"),
    [
        (curves(0.3, 0.3, steps=40), {}, "80 training steps are few"),
        (curves(0.4, 0.3, 0.32, 0.35, steps=1000), {}, "too few songs"),
        (curves(0.5, 0.4, 0.35, 0.3, steps=1000), {}, "still falling"),
        (LONG, {"loss.kind": "tpsa"}, "at level 1 the target is much weaker than the rest"),
        (pd.DataFrame(), {}, None),
        (LONG, {"loss.kind": "si_sdr"}, None),
    ],
)
def test_each_reason_is_what_its_curves_show(
    metrics: pd.DataFrame, config: dict[str, str], reason: str | None
) -> None:
    text = shortfall(summary(l1=-4.0, l3=1.0), metrics, config)
    assert text is not None
    _, _, reasons = text.partition(" Likely reasons: ")
    assert (reason or "") in reasons
    assert (reasons == "") == (reason is None)
    assert ";" not in reasons  # one cause, one reason
