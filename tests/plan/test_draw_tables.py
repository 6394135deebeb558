"""The drawing alone, on tables of windows that are made up for the purpose."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from slakh_hier.plan.draw import Drawn, draw_split


def table_of(rows: list[tuple[str, str, int, int, bool]]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["track", "song", "node", "hop", "companion"])


def big_table(tracks: int, nodes: int, windows: int) -> pd.DataFrame:
    return table_of(
        [
            (f"T{t:03d}", f"song{t:03d}", n, h, True)
            for t in range(tracks)
            for n in range(nodes)
            for h in range(windows * (1 + 3 * (n == 0)))  # node 0 has four times the windows
        ]
    )


def drawn_from(
    table: pd.DataFrame, nodes: int, count: int, *, queries: bool = False, seed: int = 588
) -> Drawn:
    targets = {f"node{n}": 1 for n in range(nodes)}
    return draw_split(table, targets, split="train", count=count, queries=queries, seed=seed)


def chi_square(counts: list[int]) -> float:
    mean = sum(counts) / len(counts)
    return sum((count - mean) ** 2 / mean for count in counts)


def test_nodes_are_drawn_uniformly_however_many_windows_they_have() -> None:
    table = big_table(20, 8, 100)
    drawn = drawn_from(table, 8, 8000)
    counts = Counter(table["node"].to_numpy()[drawn.rows].tolist())
    assert chi_square([counts[n] for n in range(8)]) < 24.3  # 99.9 % of 7 degrees of freedom
    # And clips of a node uniformly: among its tracks, and among its windows.
    own = table.iloc[drawn.rows][table["node"].to_numpy()[drawn.rows] == 0]
    assert chi_square([int((own["track"] == t).sum()) for t in table["track"].unique()]) < 43.8  # 19
    assert chi_square(np.bincount(own["hop"] // 40, minlength=10).tolist()) < 27.9  # 9
    # The order of drawing knows no order of tracks.
    ranks = own["track"].rank().to_numpy()
    assert abs(np.corrcoef(ranks, np.arange(len(ranks)))[0, 1]) < 4 / np.sqrt(len(ranks))


def test_levels_are_drawn_uniformly_then_their_nodes() -> None:
    table = big_table(20, 8, 100)
    levels = {"node0": 2, **{f"node{n}": 1 for n in range(1, 6)}, "node6": 2, "node7": 3}
    drawn = draw_split(table, levels, split="train", count=3000, queries=False, seed=588)
    nodes = [f"node{n}" for n in table["node"].to_numpy()[drawn.rows]]
    by_level = Counter(levels[node] for node in nodes)
    assert chi_square([by_level[level] for level in (1, 2, 3)]) < 13.8  # 99.9 % of 2 degrees of freedom
    counts = Counter(nodes)
    assert chi_square([counts[f"node{n}"] for n in range(1, 6)]) < 18.5  # 4
    assert abs(counts["node0"] - counts["node6"]) < 3.3 * by_level[2] ** 0.5
    assert [(report.node, report.level, report.drawn) for report in drawn.reports] == [
        (node, level, counts[node]) for node, level in levels.items()
    ]
    # A level whose clips are all drawn is out, and the others go on.
    every = draw_split(table, levels, split="train", count=10**6, queries=False, seed=588)
    assert sorted(every.rows.tolist()) == list(range(len(table)))
    assert every.rows[:3000].tolist() == drawn.rows.tolist()


def test_queries_are_drawn_uniformly_from_the_other_songs() -> None:
    # One song has ten windows, the others fifty each: uniform over windows, not over songs.
    rows = [(f"T{t}", f"song{t}", 0, h, True) for t in range(6) for h in range(10 if t == 0 else 50)]
    table = table_of(rows)
    drawn = drawn_from(table, 1, 260, queries=True)
    assert len(drawn.rows) == 260
    songs = table["song"].to_numpy()
    assert (songs[drawn.rows] != songs[drawn.queries]).all()
    of_last = drawn.queries[songs[drawn.rows] == "song5"]
    counts = Counter(songs[of_last].tolist())
    assert counts["song0"] < 15  # 50 queries, 10 of 210 windows: 2.4 expected
    hit = Counter(drawn.queries.tolist())
    assert max(hit.values()) <= 6


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_the_table_the_drawing_ends_and_keeps_the_rules(data: st.DataObject) -> None:
    rows = data.draw(
        st.lists(
            st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 6), st.booleans()),
            unique_by=lambda row: row[:3],
            max_size=40,
        )
    )
    # Two tracks are the same song.
    table = table_of([(f"T{t}", f"song{t % 4}", n, h, c) for t, n, h, c in rows])
    count = data.draw(st.integers(0, 60))
    queries = data.draw(st.booleans())
    drawn = drawn_from(table, 4, count, queries=queries, seed=data.draw(st.integers()))
    songs, nodes = table["song"].tolist(), table["node"].tolist()
    songs_of = {n: {s for s, m in zip(songs, nodes, strict=True) if m == n} for n in range(4)}
    allowed = [
        row
        for row in range(len(table))
        if table["companion"].iloc[row] and (not queries or len(songs_of[nodes[row]]) > 1)
    ]
    assert len(drawn.rows) == min(count, len(allowed))
    assert len(set(drawn.rows)) == len(drawn.rows)
    assert set(drawn.rows) <= set(allowed)
    for row, query in zip(drawn.rows, drawn.queries, strict=True):
        if queries:
            assert nodes[query] == nodes[row]
            assert songs[query] != songs[row]
        else:
            assert query == -1
    # The order of the table's rows is of no consequence.
    order = data.draw(st.permutations(range(len(table))))
    shuffled = table.iloc[list(order)].reset_index(drop=True)
    again = drawn_from(shuffled, 4, count, queries=False)
    plain = drawn_from(table, 4, count, queries=False)
    key = ["track", "node", "hop"]
    assert (
        shuffled.iloc[again.rows][key].to_numpy().tolist() == table.iloc[plain.rows][key].to_numpy().tolist()
    )


def test_queries_of_another_artist() -> None:
    table = big_table(6, 2, 5)
    artists = {"T000": "Ann", "T001": "Ann", "T002": "Bob", "T003": "Bob", "T004": None, "T005": ""}
    targets = {"node0": 1, "node1": 1}
    drawn = draw_split(table, targets, split="train", count=100, queries=True, seed=588, artists=artists)
    tracks = table["track"].to_numpy()
    pairs = {(tracks[row], tracks[query]) for row, query in zip(drawn.rows, drawn.queries, strict=True)}
    assert len(pairs) > 15
    assert not pairs & {("T000", "T001"), ("T001", "T000"), ("T002", "T003"), ("T003", "T002")}
    assert {(a, b) for a, b in pairs if {a, b} == {"T004", "T005"}}, "unknown artists are not one artist"
    one = dict.fromkeys(artists, "Ann")
    none = draw_split(table, targets, split="train", count=9, queries=True, seed=588, artists=one)
    assert len(none.rows) == 0
    assert none.reports[0].reason == "1 artist only, so that no query can be drawn"
    assert none.reports[0].songs == 6
