"""``slakh-hier submix`` as it is typed."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest


@pytest.fixture
def submix(command):
    """submix(...) in one process -> exit code, stdout, stderr."""
    return lambda *arguments: command("submix", *arguments, "-j", 1)


@pytest.fixture
def loud(make_track):
    steady = np.full(400, 20_000, np.int16)
    return make_track({0: steady, 24: steady})


def test_a_clean_run(submix, make_track, tmp_path):
    root = make_track({0: np.ones(400, np.int16), 128: np.ones(400, np.int16)})
    arguments = (root, "-o", tmp_path / "out", "--hierarchy", "band", "--level", 1, "--format", "json")
    code, out, err = submix(*arguments)
    assert (code, err) == (0, "")
    (row,) = json.loads(out)
    assert (row["tracks"], row["made"], row["kept"], row["files"]) == (1, 1, 0, 3)
    code, out, _ = submix(*arguments)
    assert (code, json.loads(out)[0]["kept"]) == (0, 1)


def test_clipping_is_reported(submix, loud, tmp_path):
    code, _, err = submix(loud, "-o", tmp_path / "out")
    assert code == 0
    assert "clipping: Track00001/mix peaks at +1.73 dBFS; all its files are scaled by 0.8191" in err
    code, _, err = submix(loud, "-o", tmp_path / "float", "--on-clip", "float")
    assert (code, "written as 32-bit float WAV" in err) == (0, True)
    code, out, err = submix(loud, "-o", tmp_path / "error", "--on-clip", "error")
    assert (code, out) == (3, "")
    assert err.startswith("error: Track00001/mix: peaks at +1.73 dBFS")


def test_what_is_left_out_is_listed(submix, songs, tmp_path):
    broken = next((songs / "train" / "Track00001" / "stems").glob("S00*"))
    data = broken.read_bytes()
    try:
        broken.write_bytes(data[: len(data) // 2])
        code, out, err = submix(
            songs, "-o", tmp_path / "out", "--on-broken", "skip", "--level", 3, "--format", "csv"
        )
    finally:
        broken.write_bytes(data)
    assert code == 1
    (row,) = csv.DictReader(io.StringIO(out))
    assert (row["tracks"], row["left_out"]) == ("3", "1")
    assert "left out: Track00001: its stem S00 " in err


def test_dry_run(submix, songs, tmp_path):
    code, out, err = submix(songs, "-o", tmp_path / "out", "--dry-run", "--split", "test")
    assert code == 0
    assert "nothing was written" in err
    assert str(tmp_path / "out") in out
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--level", "leaf"], "a level is a number, category or stems; 'leaf' is not"),
        (["--level", "7"], "the tree slakh34 has no level 7"),
        (["--split", "tests"], "did you mean test?"),
        (["--hierarchy", "slakh35"], "slakh34"),
    ],
)
def test_wrong_usage(submix, songs, tmp_path, arguments, message):
    code, out, err = submix(songs, "-o", tmp_path / "out", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert not (tmp_path / "out").exists()
