from __future__ import annotations

import csv
import os
import shutil

import pandas as pd
import pytest

from slakh_hier.errors import InputError, SlakhHierWarning, TextError
from slakh_hier.hierarchy import load_hierarchy
from slakh_hier.slakh import Catalog, StemsByTrack, scan
from slakh_hier.testing import make_slakh, plan_tracks

SMALL = {"tracks": 3, "stems": 6, "every_category": False, "seconds": 0.5, "sample_rate": 8000}


@pytest.fixture
def root(tmp_path):
    return make_slakh(
        tmp_path / "set", defects=["missing_stem", "unassigned_program", "white_noise"], **SMALL
    )


@pytest.fixture
def catalog(root, tree):
    return scan(root, tree)


def change(path, row, column, value):
    """Set one cell of a saved catalog; rows count from 0."""
    with open(path, newline="") as file:
        lines = list(csv.reader(file))
    lines[row + 1][lines[0].index(column)] = value
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows(lines)


def test_saved_and_read_again(catalog, root, tree, tmp_path):
    path = catalog.save(tmp_path / "catalog.csv")
    again = Catalog.load(path, root, tree)
    pd.testing.assert_frame_equal(again.frame, catalog.frame)
    assert (again.digest, again.scheme, again.root) == (catalog.digest, "catalog", catalog.root)


def test_another_tree_matches_again(catalog, root, tree, tmp_path):
    path = catalog.save(tmp_path / "catalog.csv")
    band = load_hierarchy("band")
    for other in (Catalog.load(path, root, band), catalog.with_hierarchy(band)):
        pd.testing.assert_frame_equal(other.frame, scan(root, band).frame)
    pd.testing.assert_frame_equal(catalog.with_hierarchy(band).with_hierarchy(tree).frame, catalog.frame)


def test_the_file_opens_in_pandas_and_holds_no_surprises(catalog, tmp_path):
    path = catalog.save(tmp_path / "catalog.csv")
    plain = pd.read_csv(path)
    assert list(plain.columns) == list(catalog.frame.columns)
    assert list(plain["frames"]) == list(catalog.frame["frames"])
    assert list(plain["is_drum"]) == list(catalog.frame["is_drum"])
    assert b"\r" not in path.read_bytes()


def test_edited_splits_count(catalog, root, tree, tmp_path):
    path = catalog.save(tmp_path / "catalog.csv")
    for row in range(6):
        change(path, row, "split", "test")
    again = Catalog.load(path, root, tree)
    assert set(again.frame[again.frame["track"] == "Track00001"]["split"]) == {"test"}
    assert again.digest != catalog.digest


def test_a_leak_by_hand_warns(catalog, root, tree, tmp_path):
    path = catalog.save(tmp_path / "catalog.csv")
    change(path, 0, "split", "test")
    with pytest.warns(SlakhHierWarning, match=r"Track00001 \(test\) and Track00001 \(train\)"):
        assert len(Catalog.load(path, root, tree).problems) == 1


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("frames", "many", "frames is 'many', not a whole number"),
        ("frames", "-1", "frames is '-1'"),
        ("frames", "0", "needs path, frames"),
        ("frames", "٣", "not a whole number"),
        ("size", "9223372036854775808", "9223372036854775807 is the most"),
        ("program", "1.0", "program is '1.0'"),
        ("is_drum", "1", "is_drum is '1', not true or false"),
        ("status", "fine", "status is 'fine', not one of audio"),
        ("track", "", "must not be empty"),
        ("path", "../outside.flac", "points outside the data set"),
        ("path", "/etc/passwd", "points outside the data set"),
        ("stem", "S05", "Track00001/S05 is in line 3, too"),
    ],
)
def test_wrong_lines_are_named(catalog, root, tree, tmp_path, column, value, words):
    path = catalog.save(tmp_path / "catalog.csv")
    change(path, 0 if column != "stem" else 5, column, value)
    if column == "stem":
        change(path, 1, column, value)
    with pytest.raises(TextError) as caught:
        Catalog.load(path, root, tree)
    assert words in str(caught.value)
    assert f"{path}:{2 if column != 'stem' else 7}:1: " in str(caught.value)


def test_no_catalog(root, tree, tmp_path):
    path = tmp_path / "catalog.csv"
    with pytest.raises(InputError, match="cannot be read as a catalog"):
        Catalog.load(path, root, tree)
    path.write_text("a,b\n1,2\n")
    with pytest.raises(TextError, match="the column track is missing"):
        Catalog.load(path, root, tree)
    path.write_bytes(b"\xff\xfe\0")
    with pytest.raises(InputError, match="cannot be read as a catalog"):
        Catalog.load(path, root, tree)
    with pytest.raises(InputError, match="is a device, not a catalog"):  # one without an end
        Catalog.load("/dev/zero", root, tree)


def test_a_catalog_out_of_a_pipe(catalog, root, tree, tmp_path):
    data = catalog.save(tmp_path / "catalog.csv").read_bytes()
    assert len(data) < 1 << 16  # else the pipe has to be read while it is written
    reads, writes = os.pipe()
    os.write(writes, data)
    os.close(writes)
    pd.testing.assert_frame_equal(Catalog.load(f"/dev/fd/{reads}", root, tree).frame, catalog.frame)
    os.close(reads)


def test_an_empty_or_cut_catalog(catalog, root, tree, tmp_path):
    path = catalog.save(tmp_path / "catalog.csv")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0])
    with pytest.raises(InputError, match="holds no stem"):
        Catalog.load(path, root, tree)
    path.write_text("".join(lines[:3])[:-60])
    with pytest.raises(TextError, match=":3:1: the line ends before the column"):
        Catalog.load(path, root, tree)
    path.write_text(lines[0] + '"' + "x" * 200_000 + '"\n')
    with pytest.raises(TextError, match=":2:1: not CSV"):
        Catalog.load(path, root, tree)


def test_another_state_of_the_data_set_is_refused(catalog, root, tree, tmp_path):
    path = catalog.save(tmp_path / "catalog.csv")
    with open(root / catalog.frame["path"][0], "ab") as file:
        file.write(b"more")
    with pytest.raises(
        InputError, match=r"1 of its files are missing or have changed, train/Track00001/stems/S00"
    ):
        Catalog.load(path, root, tree)


def test_digest_is_of_what_decides_audio(catalog, root, tree, tmp_path):
    moved = tmp_path / "elsewhere"
    shutil.copytree(root, moved)  # other times, same content
    assert scan(moved, tree).digest == catalog.digest
    assert scan(root, tree, errata=False).digest != catalog.digest
    assert scan(root, tree, split_scheme="split2").digest != catalog.digest


def test_digest_is_the_same_everywhere(tmp_path, tree):
    """Byte for byte, so that plans agree between machines: made from the specification, not from a run."""
    from hashlib import sha256

    kind = {"tracks": 2, "stems": 2, "every_category": False, "sample_rate": 8000}
    root = make_slakh(tmp_path / "set", seconds=0.5, audio_format="wav", **kind)
    lines = []
    for spec in plan_tracks(**kind):
        for stem in spec.stems:
            i = stem.instrument
            path = f"{spec.split}/{spec.track}/stems/{stem.stem}.wav"
            cells = [
                spec.track,
                spec.song,
                spec.split,
                stem.stem,
                path,
                "4000",
                "8000",
                "1",
                "",  # the content of WAV files is known when they were decoded
                i.patch,
                str(i.program),
            ]
            cells += [str(i.is_drum).lower(), i.midi_program_name, i.inst_class, "audio"]
            lines.append("\x1f".join(cells))
    assert scan(root, tree).digest == sha256("\n".join(lines).encode()).hexdigest()


def test_summary_counts(catalog):
    summary = {row["split"]: row for row in catalog.summary()}
    assert list(summary) == ["train", "validation", "test", "all"]
    assert summary["train"] == {
        "split": "train",
        "tracks": 1,
        "songs": 1,
        "stems": 6,
        "hours": round(0.5 / 3600, 4),
        "audio": 5,
        "no_audio": 0,
        "missing": 1,
        "broken": 0,
        "excluded": 0,
        "unassigned": 0,
    }
    whole = summary.pop("all")
    for column in ("tracks", "songs", "stems", "audio", "missing", "excluded", "unassigned"):
        assert whole[column] == sum(row[column] for row in summary.values())


def test_hours_are_of_the_longest_stem(tmp_path, tree):
    root = make_slakh(
        tmp_path / "set", tracks=1, stems=2, every_category=False, seconds=1800, sample_rate=1000
    )
    assert scan(root, tree).summary()[-1]["hours"] == 0.5


def test_left_out_names_each_with_its_reason(catalog):
    assert [(row["track"], row["stem"], row["status"]) for row in catalog.left_out()] == [
        ("Track00001", "S01", "missing"),
        ("Track00003", "S03", "excluded"),
        ("Track00003", "S04", "unassigned"),
    ]
    assert all(row["why"] for row in catalog.left_out())


def test_stems_found_broken_later(catalog):
    again = catalog.with_broken({("Track00001", "S00"): "decoding fails", ("Track00001", "S01"): "x"})
    row = again.frame.iloc[0]
    assert (row["status"], row["why"]) == ("broken", "decoding fails")
    assert again.frame["status"][1] == "missing"
    assert catalog.frame["status"][0] == "audio"
    assert again.digest != catalog.digest
    assert len(again.usable) == len(catalog.usable) - 1


def test_the_stems_of_a_track(catalog):
    by_track = catalog.usable_by_track
    expected = dict(list(catalog.usable.groupby("track")))
    assert list(by_track) == list(expected)
    for track, rows in expected.items():
        pd.testing.assert_frame_equal(by_track[track], rows)
    first, *_, last = expected
    pd.testing.assert_frame_equal(by_track.rows([last, first]), pd.concat([expected[last], expected[first]]))
    with pytest.raises(KeyError):
        by_track["Track99999"]
    # A table that somebody has put into another order has the same stems.
    turned = StemsByTrack(catalog.frame.iloc[::-1], ["audio", "unassigned"])
    assert list(turned) == list(by_track)
    assert {track: set(rows["stem"]) for track, rows in turned.items()} == {
        track: set(rows["stem"]) for track, rows in by_track.items()
    }
    assert dict(StemsByTrack(catalog.frame, ["broken"])) == {}
