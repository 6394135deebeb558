"""MUSDB18-HQ: published splits, known defects, and mixtures that are not the sum."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import slakh_hier as sh
from slakh_hier.cli.main import main
from slakh_hier.errors import InputError
from slakh_hier.hierarchy import load_hierarchy
from slakh_hier.importing.layouts import LAYOUTS, LayoutOptions, list_songs, recognise, what_is
from slakh_hier.importing.layouts.musdb18hq import VALIDATION
from slakh_hier.importing.layouts.tables import in_musdb_and_medleydb

Recordings = Callable[[str], Path]


def test_published_splits_with_the_songs_that_validate(
    recordings: Recordings, take: Any, metadata: Any
) -> None:
    take("musdb18hq", recordings("musdb18hq"))
    assert {id: about["split"] for id, about in metadata().items()} == {
        "A Classic Education - NightOwl": "train",
        "Actions - One Minute Smile": "validation",
        "Clara Berry And Wooldog - Waltz For My Victims": "validation",
        "Music Delta - Country1": "train",
        "Music Delta - Rock": "train",
        "Al James - Schoolboy Facination": "test",
        "PR - Happy Daze": "test",
        "PR - Oh No": "test",
    }
    assert len(VALIDATION) == 14
    about = metadata()["Music Delta - Rock"]
    assert (about["artist"], about["title"]) == ("Music Delta", "Rock")
    assert {"/".join(stem["labels"]) for stem in about["stems"].values()} == {
        "vocals",
        "accompaniment/drums",
        "accompaniment/bass",
        "accompaniment/other",
    }


def test_known_defects_are_reported_and_kept(recordings: Recordings, take: Any, tmp_path: Path) -> None:
    report = take("musdb18hq", recordings("musdb18hq"))
    assert (
        "PR - Oh No",
        "its mixture: not the sum of the stems in the left channel (sigsep/website musdb.md)",
    ) in report.remarks
    with_errata, without = (
        sh.scan(tmp_path / "data", load_hierarchy("musdb"), cache=False, errata=errata).frame
        for errata in (True, False)
    )
    known = with_errata[with_errata["why"].str.contains("known fault")]
    assert known["why"].str.contains("synthesised vocals in it").tolist() == [True]
    assert known["status"].tolist() == ["audio"]
    assert not without["why"].str.contains("known fault").any()


def test_scan_reports_known_defects(
    recordings: Recordings, take: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    take("musdb18hq", recordings("musdb18hq"))
    with pytest.raises(SystemExit):
        main(["scan", str(tmp_path / "data"), "--hierarchy", "musdb", "--no-cache"])
    (note,) = [line for line in capsys.readouterr().err.splitlines() if "known fault" in line]
    assert note.startswith(
        "note: 1 stem is kept in spite of a known fault: Track00003/S03: synthesised vocals in it ("
    )


@pytest.mark.parametrize("names", [("TRAIN", "Test"), ("Train", "test")])
def test_split_folders_in_another_case(names: tuple[str, str], recordings: Recordings, take: Any) -> None:
    root = recordings("musdb18hq")
    for split, name in zip(("train", "test"), names, strict=True):
        (root / split).rename(root / name)
    assert recognise(root) is LAYOUTS["musdb18hq"]
    report = take("musdb18hq", root)
    assert [row.tracks for row in report.splits] == [3, 2, 3]


def test_a_split_that_is_missing_is_reported(recordings: Recordings, take: Any) -> None:
    root = recordings("musdb18hq")
    shutil.rmtree(root / "train")
    (note,) = [note for note in take("musdb18hq", root).notes if "folder" in note]
    assert (
        note == f"{root} has no songs in a folder train that can be read: those of the data set are missing"
    )


def test_defects_that_are_bleed_count_as_bleed(recordings: Recordings, take: Any, metadata: Any) -> None:
    root = recordings("musdb18hq")
    (root / "train" / "Music Delta - Rock").rename(root / "train" / "Hop Along - Sister Cities")
    take("musdb18hq", root, bleed="drop-stem")
    lost = metadata()["Hop Along - Sister Cities"]
    assert [stem["labels"][-1] for stem in lost["stems"].values()] == ["drums", "bass", "other"]
    assert "without its stems with bleed: vocals.wav" in lost["import"]["remarks"]


def test_a_limited_mixture_is_reported(recordings: Recordings, take: Any) -> None:
    report = take("musdb18hq", recordings("musdb18hq"), audio="convert")
    (limited,) = [remark for song, remark in report.remarks if "is not the sum of its stems" in remark]
    assert limited.startswith("its mixture mixture.wav is not the sum of its stems (the difference is -")
    assert ("PR - Happy Daze", "silent: vocals.wav") in report.remarks


def test_missing_and_other_files(recordings: Recordings, take: Any) -> None:
    root = recordings("musdb18hq")
    rock = root / "train" / "Music Delta - Rock"
    (rock / "bass.wav").unlink()
    (rock / "drums.wav").rename(rock / "Drums.WAV")
    shutil.copy(rock / "vocals.wav", rock / "accompaniment.wav")
    shutil.copy(rock / "vocals.wav", rock / "talk.wav")
    (root / "test" / "empty").mkdir()
    report = take("musdb18hq", root)
    assert [(file.file, file.songs, file.hint) for file in report.unmatched] == [
        ("bass.wav", ("Music Delta - Rock",), "is one of the four stems and not there")
    ]
    assert ("Music Delta - Rock", "not taken: talk.wav") in report.remarks
    assert dict(report.failures) == {"empty": "holds none of vocals.wav, drums.wav, bass.wav, other.wav"}


def test_the_compressed_form_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "musdb18" / "train").mkdir(parents=True)
    (tmp_path / "musdb18" / "train" / "A - S.stem.mp4").write_bytes(b"")
    for folder in (tmp_path, tmp_path / "musdb18", tmp_path / "musdb18" / "train"):
        assert "must be unpacked" in str(what_is(folder))
        with pytest.raises(
            InputError, match=r"must be unpacked .*MUSDB18-HQ, whose stems are WAV files .*ffmpeg -i"
        ):
            list_songs("musdb18hq", folder, LayoutOptions())


def test_songs_that_are_in_medleydb_too(recordings: Recordings, take: Any, tmp_path: Path) -> None:
    assert len(in_musdb_and_medleydb()) == 46
    first = take("musdb18hq", recordings("musdb18hq"), "musdb")
    assert any(note.startswith("4 of these songs are in MedleyDB too") for note in first.notes)
    second = take("medleydb", recordings("medleydb"), "medleydb", shared_with=[tmp_path / "musdb"])
    assert any(note.startswith("5 of these songs are in MUSDB18 too") for note in second.notes)
    (found,) = [note for note in second.notes if str(tmp_path / "musdb") in note]
    assert found == (
        f"3 of these songs are in {tmp_path / 'musdb'} too: AClassicEducation_NightOwl, MusicDelta_Country1, "
        "MusicDelta_Rock. Do not train on one what the other tests"
    )


def test_artists_in_two_splits_are_reported_by_scan(
    recordings: Recordings, take: Any, tmp_path: Path
) -> None:
    root = recordings("musdb18hq")
    (root / "test" / "PR - Oh No").rename(root / "test" / "Music Delta - Oh No")
    report = take("musdb18hq", root)
    assert "1 artist is in more than one split: Music Delta" in report.notes
    catalog = sh.scan(tmp_path / "data", load_hierarchy("musdb"), cache=False)
    assert "artists in more than one split: Music Delta (test, train)" in catalog.notes
