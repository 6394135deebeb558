from __future__ import annotations

import json
import shutil

import pandas as pd
import pytest

from slakh_hier.testing import make_slakh

SMALL = {"tracks": 4, "stems": 6, "every_category": False, "seconds": 0.5, "sample_rate": 8000}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return make_slakh(tmp_path_factory.mktemp("good") / "set", **SMALL)


@pytest.fixture(scope="module")
def bad(tmp_path_factory):
    names = ["wrong_rate", "white_noise", "missing_stem", "unreadable_metadata"]
    return make_slakh(tmp_path_factory.mktemp("bad") / "set", defects=names, **SMALL)


def test_table(command, good):
    code, out, err = command("scan", good)
    assert code == 0
    assert "splits: folders, tree: slakh34" in out
    lines = [line.split() for line in out.splitlines()]
    assert ["train", "2", "2", "12", "0.00", "12"] in lines
    assert ["all", "4", "4", "24", "0.00", "24"] in lines
    assert err == ""


def test_json_and_catalog(command, bad, tmp_path):
    code, out, err = command(
        "scan", bad, "--format", "json", "-o", tmp_path / "catalog.csv", "--hierarchy", "band"
    )
    assert code == 1
    found = json.loads(out)
    assert found["hierarchy"] == "band"
    assert {(row["track"], row["stem"], row["status"]) for row in found["left_out"]} == {
        ("Track00001", "S01", "missing"),
        ("Track00002", "S01", "broken"),
        ("Track00003", "S03", "excluded"),
    }
    table = pd.read_csv(tmp_path / "catalog.csv")
    assert len(table) == 18
    assert table["status"].value_counts().to_dict() == {
        "audio": 15,
        "missing": 1,
        "broken": 1,
        "excluded": 1,
    }
    assert "broken: Track00002/S01: its sample rate is 48000 Hz" in err
    assert "excluded: Track00003/S03: erratum: white noise" in err
    assert "missing: Track00001/S01: no file; the metadata say that it was rendered\n" in err
    assert "left out: test/Track00004/metadata.yaml:" in err


def test_long_lists_are_cut_on_stderr_only(command, tmp_path):
    root = make_slakh(tmp_path / "set", **SMALL | {"stems": 26, "tracks": 2})
    for path in root.glob("*/Track00002/stems/*"):
        path.unlink()
    code, out, err = command("scan", root, "--format", "json")
    assert code == 1
    assert err.count("missing: Track00002/S") == 20
    assert "... and 6 more missing stems; `slakh-hier scan` lists them" in err
    assert len(json.loads(out)["left_out"]) == 26


def test_csv(command, good):
    code, out, _ = command("scan", good, "--format", "csv")
    assert code == 0
    assert (
        out.splitlines()[0]
        == "split,tracks,songs,stems,hours,audio,no_audio,missing,broken,excluded,unassigned"
    )
    assert len(out.splitlines()) == 5


def test_options_reach_the_scan(command, bad):
    _, out, err = command(
        "scan", bad, "--no-errata", "--split-scheme", "split2", "--no-cache", "-j", "1", "--deep"
    )
    assert "splits: split2" in out
    assert "excluded:" not in err
    assert "no split under split2" in err


def test_strict(command, bad):
    code, out, err = command("scan", bad, "--strict")
    assert (code, out) == (2, "")
    assert "1 problems (strict)" in err


def test_a_leak_is_reported_once(command, tmp_path):
    root = make_slakh(tmp_path / "set", defects=["duplicate_song"], **SMALL)
    code, _, err = command("scan", root)
    assert code == 0
    assert err.count("lies in more than one split") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "does not exist"),
        ([".", "--split-scheme", "mine"], "Invalid value for '--split-scheme'"),
        ([], "Missing argument 'SLAKH'"),
    ],
)
def test_wrong_use(command, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, out, err = command("scan", *arguments)
    assert (code, out) == (2, "")
    assert words in err


def test_an_output_folder_is_made_or_refused_before_the_scan(command, good, tmp_path):
    assert command("scan", good, "-o", tmp_path / "new" / "catalog.csv")[0] == 0
    assert (tmp_path / "new" / "catalog.csv").is_file()
    code, out, err = command("scan", good, "-o", tmp_path / "new" / "catalog.csv" / "deeper.csv")
    assert (code, out) == (2, "")
    assert "cannot be used as a folder" in err


def test_without_any_audio_the_exit_code_is_not_0(command, good, tmp_path):
    root = tmp_path / "mp3"
    shutil.copytree(good, root)
    for path in root.glob("*/*/stems/*.flac"):
        path.rename(path.with_suffix(".mp3"))
    code, _, err = command("scan", root)
    assert code == 1
    assert "left out: no track has audio" in err
    assert command("scan", root, "--strict")[0] == 2


def test_folders_that_no_split_is_called_after(command, good, tmp_path):
    root = tmp_path / "odd"
    shutil.copytree(good, root)
    (root / "validation").rename(root / "cv")
    code, _, err = command("scan", root)
    assert code == 1
    assert "left out: cv: is not the name of a split; 1 track is skipped" in err
    assert command("scan", root, "--strict")[0] == 2
