"""The command: exit codes, what it prints, and the map it writes to start from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slakh_hier.cli.main import main
from slakh_hier.importing import load_map


@pytest.fixture
def command(capsys, monkeypatch, songs):
    """command("import", ...) in the folder that holds songs/ -> exit code, stdout, stderr."""
    monkeypatch.chdir(songs.parent)

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return stop.value.code, out, err

    return run


ARGUMENTS = ("import", "songs", "-o", "slakh", "--audio", "link")


def test_done(command):
    code, out, _ = command(*ARGUMENTS, "--map", "map.yaml", "--format", "json")
    report = json.loads(out)
    assert (code, report["made"], report["kept"], report["unmatched"]) == (0, 6, 0, [])
    assert [(row["split"], row["tracks"], row["stems"]) for row in report["splits"]] == [
        ("train", 2, 8),
        ("validation", 2, 8),
        ("test", 2, 8),
    ]
    code, out, _ = command(*ARGUMENTS, "--map", "map.yaml")
    assert code == 0
    assert "0 made, 6 kept" in out


def test_left_out(command, songs):
    (songs / "Artist 1 - Song" / "kazoo.wav").write_bytes(
        (songs / "Artist 1 - Song" / "bass.wav").read_bytes()
    )
    (songs / "Artist 2 - Song" / "bass.wav").write_bytes(b"")
    code, _, err = command(*ARGUMENTS, "--map", "map.yaml")
    assert code == 1
    assert "left out: Artist 2 - Song: bass.wav: is empty\n" in err
    assert "not used: kazoo.wav in Artist 1 - Song fits no pattern of map.yaml: add a pattern for it" in err


def test_problems_of_the_map(command):
    Path("bad.yaml").write_text("schema: 1\ninstruments: {a: {fils: [x]}}\n")
    code, out, err = command(*ARGUMENTS, "--map", "bad.yaml")
    assert (code, out) == (2, "")
    assert "bad.yaml:2:19: unknown key 'fils': did you mean 'files'?" in err
    assert not Path("slakh").exists()


@pytest.mark.parametrize("arguments", [ARGUMENTS, ("import", "songs", "--map", "map.yaml")])
def test_map_and_output_are_needed(command, arguments):
    code, _, err = command(*arguments)
    assert code == 2
    assert "--map and -o are needed" in err


def test_a_new_map_fits_the_songs(command, songs):
    for number in range(6):
        song = songs / f"Artist {number} - Song"
        (song / "bass.wav").rename(song / f"0{number}_Bass [DI].wav")
    code, _, err = command("import", "songs", "--new-map", "new.yaml")
    assert code == 0
    assert "new.yaml: 4 instruments. Check it, then: slakh-hier import songs --map new.yaml -o SLAKH" in err
    found = {instrument.name: instrument for instrument in load_map("new.yaml").instruments}
    assert {name: found[name].program for name in found} == {
        "bass_di": 33,
        "drums": 128,
        "other": None,
        "vocals": None,
    }
    assert "# in 6 of 6 songs" in Path("new.yaml").read_text()
    assert command(*ARGUMENTS, "--map", "new.yaml")[0] == 0
    code, _, err = command("import", "songs", "--new-map", "new.yaml")
    assert (code, "exists, and is not overwritten" in err) == (2, True)
