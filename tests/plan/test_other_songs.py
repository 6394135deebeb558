"""Rows of other songs, against counting them one by one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from slakh_hier.plan.other_songs import OtherSongs


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(0, 7))
def test_every_row_of_another_song_is_picked_once(songs: list[int], song: int) -> None:
    rows = np.arange(len(songs)) * 3
    found = OtherSongs(rows, np.array(songs))
    others = [row for row, its in zip(rows.tolist(), songs, strict=True) if its != song]
    assert found.count(song) == len(others)
    assert sorted(found.pick(song, place) for place in range(len(others))) == others
    assert found.songs.tolist() == sorted(set(songs))
