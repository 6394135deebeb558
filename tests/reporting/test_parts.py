"""Parts do not overlap, and every signal is the sum of its own."""

from __future__ import annotations

import numpy as np
import pytest

from slakh_hier.reporting.parts import disjoint

PARENTS = {"mix": None, "strings": "mix", "violin": "strings", "cello": "strings", "drums": "mix"}


@pytest.mark.parametrize("shape", [(50,), (2, 50)])
@pytest.mark.parametrize("lacking", [(), ("drums",), ("cello", "drums")])
def test_every_signal_is_the_sum_of_its_parts(shape: tuple[int, ...], lacking: tuple[str, ...]) -> None:
    rng = np.random.default_rng(0)
    violin, cello, drums = (rng.uniform(-0.3, 0.3, shape).astype(np.float32) for _ in range(3))
    signals = {"mix": violin + cello + drums, "strings": violin + cello, "violin": violin, "cello": cello, "drums": drums}  # fmt: skip
    signals = {key: signal for key, signal in signals.items() if key not in lacking}
    parents = {key: parent for key, parent in PARENTS.items() if key in signals}
    parts, places = disjoint(signals, parents, first=7)
    assert len(parts) == 3  # what is lacking is a part of its own, the rest of the node above it
    for key, signal in signals.items():
        assert len(set(places[key])) == len(places[key])
        np.testing.assert_allclose(sum(parts[place - 7] for place in places[key]), signal, atol=1e-6)
    for key, parent in parents.items():
        if parent is not None:
            assert set(places[key]) < set(places[parent])
    assert set(places["mix"]) == {7, 8, 9}
    for part in parts:
        assert part.shape == shape
        assert part.dtype == np.float32


def test_what_rounding_leaves_is_no_part() -> None:
    one, two = np.random.default_rng(0).uniform(-0.4, 0.4, (2, 50)).astype(np.float32)
    rounded = (np.rint((one + two) * 2**15) / 2**15).astype(np.float32)
    parents = {"mix": None, "one": "mix", "two": "mix"}
    parts, places = disjoint({"mix": rounded, "one": one, "two": two}, parents)
    assert len(parts) == 2
    faint = np.float32(0.001) * one  # what no node holds is heard all the same
    parts, places = disjoint({"mix": rounded + faint, "one": one, "two": two}, parents)
    assert len(parts) == 3
    np.testing.assert_allclose(sum(parts[place] for place in places["mix"]), rounded + faint, atol=1e-6)


def test_silence_has_no_parts() -> None:
    parts, places = disjoint({"mix": np.zeros(9, np.float32)}, {"mix": None})
    assert parts == []
    assert places == {"mix": ()}
