"""The command: exit codes, what it prints, and the map it writes to start from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from slakh_hier.importing import load_map
from slakh_hier.testing import make_recordings


@pytest.fixture(autouse=True)
def beside_songs(monkeypatch, songs):
    """Tests run in the folder that holds songs/."""
    monkeypatch.chdir(songs.parent)


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
    assert ("--map or --layout is needed" in err) == ("-o" in arguments)
    assert ("-o is needed" in err) == ("-o" not in arguments)


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


def test_a_new_map_goes_by_folders_whose_files_have_other_names_in_each_song(command, tmp_path):
    """As in MoisesDB: bass/1f0c.wav here, bass/77ab.wav there."""
    for song in range(3):
        for stem in ("bass", "drums", "lead vocals"):
            path = tmp_path / "many" / f"Song {song}" / stem / f"{song}a{len(stem)}f{song}c.wav"
            path.parent.mkdir(parents=True)
            path.write_bytes((tmp_path / "songs" / "Artist 0 - Song" / "bass.wav").read_bytes())
    assert command("import", "many", "--new-map", "new.yaml")[0] == 0
    found = {i.name: [pattern.text for pattern in i.files] for i in load_map("new.yaml").instruments}
    assert found == {"bass": ["bass/*"], "drums": ["drums/*"], "lead_vocals": ["lead vocals/*"]}
    assert command("import", "many", "--map", "new.yaml", "-o", "slakh", "--audio", "link")[0] == 0


def test_a_known_data_set_is_recognised(command, tmp_path):
    root = make_recordings(tmp_path, "urmp", seconds=0.2, sample_rate=8000)
    for folder in (root, root.parent):
        code, _, err = command("import", folder, "-o", "data")
        assert code == 2
        assert f"{root} is URMP: slakh-hier import --layout urmp {root} -o DATA needs no map" in err
    code, _, err = command("import", root, "--new-map", "urmp.yaml")
    assert code == 0
    assert f"note: {root} is URMP: slakh-hier import --layout urmp" in err
    assert (
        "this is URMP: --layout urmp takes it without a map"
        in command("import", root, "--map", "urmp.yaml", "-o", "by_map")[2]
    )
    code, out, err = command("import", "--layout", "urmp", root, "-o", "data", "--audio", "link", "-j", 1)
    assert (code, "7 made, 0 kept" in out) == (0, True)
    assert "look at it with: slakh-hier scan data --hierarchy medleydb" in err
    assert command("import", "--layout", "urmp", root, "--map", "map.yaml", "-o", "data")[0] == 2
    assert command("import", "--layout", "urmp", root, "--new-map", "x.yaml")[0] == 2


def test_options_of_layouts_reach_them(command, tmp_path):
    root = make_recordings(tmp_path, "ensembleset", seconds=0.2, sample_rate=8000)
    options = (
        "--layout",
        "ensembleset",
        "--audio",
        "link",
        "-j",
        1,
        "--splits",
        "34,33,33",
        "--bleed",
        "drop-song",
    )
    assert command("import", root, *options, "--microphone", "Tree", "-o", "tree")[0] == 0
    record = json.loads(Path("tree/import.json").read_text())["settings"]
    assert (record["microphone"], record["layout"], record["bleed"]) == ("Tree", "ensembleset", "drop-song")
    code, _, err = command("import", root, *options, "--microphone", "Close", "-o", "tree")
    assert code == 2
    assert ["microphone", "Tree", "Close"] in [line.split() for line in err.splitlines()]
    Path("folds.csv").write_text("song_id,split\nDuoC,5\nMixed,5\nQuartetA,1\nQuartetB,2\n")
    code, _, err = command(
        "import",
        root,
        *options[:6],
        "--split-file",
        "folds.csv",
        "--split-map",
        "1-3=train,4=validation,5=test",
        "-o",
        "folds",
    )
    assert code == 0
    assert "2 songs not in folds.csv and so omitted: MiseroPargoletto, WindTrio" in err
    assert {path.parent.name for path in Path("folds").glob("*/Track*")} == {"train", "test", "omitted"}
    code, _, err = command(
        "import", root, *options[:6], "-o", "shared", "--shared-with", "folds", "--split-by", "song"
    )
    assert "6 of these songs are in folds too" in err
