"""Tables at 60, 80 and 120 columns: what gives way, and what never does."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from slakh_hier.cli.tables import fit, shorten_middle

Command = Callable[..., tuple[Any, str, str]]
FOLDERS = ("--split-scheme", "folders")
CLIPS = ("--clip-seconds", "2", "--clips", "train=2,test=1", "-j", "1", *FOLDERS)


@pytest.mark.parametrize("target", ["--any", "--target"])
def test_every_table_of_data_and_shards(
    command: Command, small_slakh: Path, tmp_path: Path, printed_tables: list[str], target: str
) -> None:
    chosen = (
        target,
        *(["clean_guitars"] if target == "--target" else ["--no-queries"]),
        "--step",
        "0.5",
        *CLIPS,
    )
    shards = tmp_path / "shards"
    for arguments in (
        ("scan", small_slakh, *FOLDERS),
        ("plan", small_slakh, "-o", tmp_path / "plan", *chosen),
        ("render", small_slakh, "--plan", tmp_path / "plan", "-o", shards, "--mask", "leaf-50", "-j", "1"),
        ("mask", shards),
        ("inspect", shards),
        ("submix", small_slakh, "-o", tmp_path / "submix", "--level", "2", "-j", "1", *FOLDERS),
    ):
        code, out, err = command(*arguments)
        assert code in (0, 1), err
        assert out
    assert {"tracks", "SI-SDR 3", "candidates", "shards", "mask", "node", "files"} <= set(printed_tables)


def test_every_table_of_trees_and_new_data_sets(
    command: Command, tmp_path: Path, printed_tables: list[str]
) -> None:
    pytest.importorskip("pretty_midi")
    assert command("hierarchy", "list")[0] == 0
    assert command("hierarchy", "diff", "slakh34", "deep")[0] == 0
    assert command("synth", "--compose", "3", "--seconds", "8", "-o", tmp_path / "made", "-j", "1")[0] == 0
    songs = tmp_path / "made" / "train"
    assert command("import", songs, "--new-map", tmp_path / "map.yaml")[0] == 0
    code, _, err = command(
        "import",
        songs,
        "--map",
        tmp_path / "map.yaml",
        "-o",
        tmp_path / "own",
        "--splits",
        "100,0,0",
        "-j",
        "1",
    )
    assert code in (0, 1), err
    assert {"nodes by level", "change", "before", "split"} <= set(printed_tables)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[[int], None]:
    """terminal(60): stdout is a terminal of 60 columns."""

    def have(columns: int) -> None:
        monkeypatch.setenv("COLUMNS", str(columns))
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)

    return have


def test_wide_and_a_pipe_show_all(command: Command, small_set: Path, terminal: Callable[[int], None]) -> None:
    _, piped, _ = command("inspect", small_set)
    terminal(60)
    assert shutil.get_terminal_size().columns == 60
    _, narrow, said = command("inspect", small_set)
    _, wide, quiet = command("inspect", small_set, "--wide")
    assert wide.replace("\x1b[1m", "").replace("\x1b[0m", "") == piped
    assert "percussion_instruments" in piped
    assert "not shown in 60 columns: level, target" in said
    assert max(map(len, narrow[narrow.index("Nodes:") :].splitlines()[1:20])) <= 60 + len("\x1b[1m\x1b[0m")
    assert not quiet
    assert "…" not in piped


def test_the_order_in_which_columns_give_way() -> None:
    note = "the companion rule keeps this one out of the set"
    row = {
        "node": "midrange_strings_keys",
        "hours": "1,234.50",
        "leak": "-60.1",
        "dropped": "12",
        "note": note,
    }

    def shown(width: int) -> Any:
        return fit([row], ["hours", "leak", "dropped"], width, ["dropped", "leak"])

    assert len(shown(120).lines) == 3
    assert not shown(80).left_out  # the note is wrapped between its words
    assert len(shown(80).lines) > 3
    assert shown(72).left_out == ["dropped"]
    assert shown(61).left_out == ["dropped", "leak"]
    assert "midrange_strings_keys" in shown(61).lines[2]
    assert "midrange_…ings_keys" in shown(50).lines[2]
    assert shown(30).is_list
    assert f"note   {note}" in shown(30).lines


WORDS = st.text("abcdefghij_", min_size=1, max_size=30)
CELLS = st.one_of(
    WORDS,
    st.integers(-(10**9), 10**9).map(lambda n: f"{n:,}"),
    st.lists(WORDS, min_size=2, max_size=9).map(" ".join),
    st.lists(WORDS, min_size=2, max_size=4).map("/".join),
    st.text("日本語ab", max_size=20),
)


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    rows=st.lists(st.lists(CELLS, min_size=4, max_size=4), min_size=1, max_size=5),
    width=st.integers(20, 130),
    secondary=st.lists(st.sampled_from("bcd"), unique=True),
)
def test_no_line_is_too_long_and_nothing_that_counts_is_broken(
    rows: list[list[str]], width: int, secondary: list[str]
) -> None:
    table = [dict(zip("abcd", row, strict=True)) for row in rows]
    shown = fit(table, [], width, secondary)
    assert shown.left_out == secondary[: len(shown.left_out)]
    text = "\n".join(shown.lines)
    kept = [name for name in "abcd" if name not in shown.left_out]
    if not shown.is_list:
        assert max(map(cell_len, shown.lines)) <= width
        assert shown.lines[0].split() == kept
    for row in table:
        for name in kept:
            for word in row[name].split():
                if "/" in word or word.lstrip("-")[:1].isdigit() or shown.is_list:
                    assert word in text


@given(st.text(min_size=1, max_size=40), st.integers(3, 40))
def test_a_shortened_name_keeps_its_ends(name: str, width: int) -> None:
    short = shorten_middle(name, width)
    assert cell_len(short) <= width
    assert short == name or (
        "…" in short and name.startswith(short.split("…")[0]) and name.endswith(short.split("…")[-1])
    )
