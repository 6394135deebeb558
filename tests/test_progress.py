"""Who shows the progress of a long step, and where."""

from __future__ import annotations

import io
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from slakh_hier.progress import Bars, Silent, in_notebook, shown


def test_what_progress_takes() -> None:
    own = Silent()
    assert shown(own) is own
    assert isinstance(shown(True), Bars)
    assert isinstance(shown(None), Silent)
    assert isinstance(shown(False), Silent)


def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Makes standard error a terminal, for the test that calls it: between a fixture and its test, pytest sets another."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    return screen


def test_progress_true_in_a_step(monkeypatch: pytest.MonkeyPatch, small_plan: Any, tmp_path: Any) -> None:
    import slakh_hier as sh

    screen = terminal(monkeypatch)
    sh.render(small_plan, tmp_path / "set", sample_rate=4000, jobs=1, progress=True)
    assert "clips" in screen.getvalue()


@pytest.fixture
def notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is a kernel."""
    pytest.importorskip("IPython")
    import IPython

    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(config={"IPKernelApp": {}}))


def test_notebooks_have_tqdms_bar(notebook: None, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    assert in_notebook()
    with Bars().stage("epoch 1 of 4", 40, "clips", worth=(10.0, "s of audio")) as advance:
        for _ in range(4):
            advance(10)
    out, err = capsys.readouterr()
    assert "epoch 1 of 4" in out + err
    assert "/40" in out + err


def test_notebooks_without_tqdm_have_richs(notebook: None, monkeypatch: pytest.MonkeyPatch) -> None:
    import rich.progress

    seen: list[float] = []
    monkeypatch.setattr("slakh_hier.progress.find_spec", lambda name: None)
    monkeypatch.setattr(rich.progress.Progress, "advance", lambda bar, task, amount: seen.append(amount))
    with Bars().stage("epoch 1 of 4", 40, "clips") as advance:
        advance(10)
    assert seen == [10]


def test_an_error_leaves_a_stage(notebook: None) -> None:
    with pytest.raises(ValueError, match="in the middle"), Bars().stage("a", 2, "b"):
        raise ValueError("in the middle")


def test_without_a_terminal_a_line_a_minute_says_how_fast(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with Bars().stage("epoch 1 of 4", 400, "clips", worth=(10.0, "s of audio")) as advance:
        now = 30.0
        advance(100)
        now = 60.0
        advance(100)
        advance(1)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "epoch 1 of 4: 200 of 400 clips, 3.3 clips/s, 33 s of audio/s, about 1 min left\n"


def test_on_a_terminal_a_bar_says_how_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = terminal(monkeypatch)
    with Bars().stage("epoch 1 of 4", 40, "clips", worth=(10.0, "s of audio")) as advance:
        for _ in range(4):
            advance(10)
            time.sleep(0.02)
    text = screen.getvalue()
    assert "epoch 1 of 4" in text
    assert "clips/s" in text
    assert "s of audio/s" in text
