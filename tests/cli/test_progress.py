"""What people see while a long step runs."""

from __future__ import annotations

import time

import pytest

from slakh_hier.cli.common import TerminalProgress


def test_without_a_terminal_a_line_a_minute_says_how_fast(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with TerminalProgress().stage("epoch 1 of 4", 400, "clips", worth=(10.0, "s of audio")) as advance:
        now = 30.0
        advance(100)
        now = 60.0
        advance(100)
        advance(1)
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "epoch 1 of 4: 200 of 400 clips, 3.3 clips/s, 33 s of audio/s, about 1 min left\n"


def test_on_a_terminal_a_bar_says_how_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    import io
    import sys

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "160")
    with TerminalProgress().stage("epoch 1 of 4", 40, "clips", worth=(10.0, "s of audio")) as advance:
        for _ in range(4):
            advance(10)
            time.sleep(0.02)
    text = screen.getvalue()
    assert "epoch 1 of 4" in text
    assert "clips/s" in text
    assert "s of audio/s" in text
