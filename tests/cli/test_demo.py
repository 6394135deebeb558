"""The demo makes what it says, from an empty folder, and can be repeated."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

from slakh_hier.cli import demo
from slakh_hier.shards import open_shards


def test_demo_makes_shards_and_audio_and_can_be_repeated(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "slakh_hier", "demo", "--data", "formula"]
    command += ["--tracks", "12", "--seconds", "20", "-o", str(tmp_path / "demo"), "-j", "1", "--no-train"]
    first = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert first.returncode == 0, first.stderr
    assert "$ slakh-hier render" in first.stderr
    guitars = open_shards(tmp_path / "demo" / "shards-sss")
    assert (guitars.rms[:, guitars.node("clean_guitars")] > -30).all()
    assert (open_shards(tmp_path / "demo" / "shards-qbe").query_row >= 0).all()
    mix, _ = soundfile.read(tmp_path / "demo" / "clip" / "0_mix.wav")
    assert abs(mix).max() > 0.01
    again = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert again.returncode == 0, again.stderr


def test_every_page_of_the_demo_is_made_and_its_address_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ran: list[tuple[str, ...]] = []
    monkeypatch.setattr(demo, "_run", lambda *words: ran.append(words))
    monkeypatch.setattr(demo, "_lacking", lambda: None)
    demo.demo.main(["-o", str(tmp_path)], standalone_mode=False)
    made = [words[words.index("-o") + 1] for words in ran if words[0] == "report"]
    assert sorted(Path(page).name for page in made) == ["run-qbe.html", "run-sss.html", "shards.html"]
    said = capsys.readouterr().err
    assert all(f"Open in a browser: {Path(page).as_uri()}" in said for page in made)


def test_the_demo_says_how_to_activate_an_environment_that_is_not_active(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "_run", lambda *words: None)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / ".venv"))
    monkeypatch.chdir(tmp_path)
    activate = tmp_path / ".venv" / "bin" / "activate"
    activate.parent.mkdir(parents=True)
    activate.touch()
    for active, hint in ((None, True), (str(tmp_path / ".venv"), False)):
        if active:
            monkeypatch.setenv("VIRTUAL_ENV", active)
        else:
            monkeypatch.delenv("VIRTUAL_ENV", raising=False)
        demo.demo.main(["-o", str(tmp_path / "demo"), "--no-train"], standalone_mode=False)
        assert ("source .venv/bin/activate" in capsys.readouterr().err) == hint
