"""What a salient window costs in memory: songs of four minutes have some 800 of them."""

from __future__ import annotations

import gc
import tracemalloc

import numpy as np

from slakh_hier.plan.candidates import Windows, WindowsTable
from slakh_hier.plan.draw import draw_split

TRACKS, WINDOWS, NODES, LEVELS = 80, 400, 8, 3


def windows(track: int) -> Windows:
    random = np.random.default_rng(track)
    return Windows(
        np.arange(WINDOWS, dtype=np.int16) % NODES,
        np.arange(WINDOWS, dtype=np.int32) // NODES * 5,
        random.random(WINDOWS) < 0.9,
        random.random((WINDOWS, LEVELS), np.float32),
    )


def test_a_window_takes_few_bytes_and_drawing_not_twice_as_many() -> None:
    targets = {f"node{n}": 1 for n in range(NODES)}
    gc.collect()
    tracemalloc.start()
    table = WindowsTable(LEVELS)
    for track in range(TRACKS):
        table.add(f"Track{track:05d}", f"song{track // 2}", windows(track))
    frame = table.frame()
    gc.collect()
    held, gathered = (count / len(frame) for count in tracemalloc.get_traced_memory())
    tracemalloc.reset_peak()
    drawn = draw_split(frame, targets, split="train", count=100, queries=True, seed=588)
    peak = tracemalloc.get_traced_memory()[1] / len(frame)
    tracemalloc.stop()
    assert len(drawn.rows) == 100
    # Node, hop, companion and levels are 19 bytes, numbers of track and song 4; room to grow an eighth.
    assert held < 30
    assert gathered < 40
    assert peak < 50
    # And they are the windows that were added.
    last = windows(TRACKS - 1)
    own = frame[frame["track"] == f"Track{TRACKS - 1:05d}"]
    assert own["song"].unique().tolist() == [f"song{(TRACKS - 1) // 2}"]
    for name in ("node", "hop", "companion"):
        assert own[name].to_numpy().tolist() == getattr(last, name).tolist()
    np.testing.assert_array_equal(own[["mix_si_sdr_1", "mix_si_sdr_2", "mix_si_sdr_3"]], last.mix_si_sdr)
