"""MoisesDB: what data.json may hold, and what comes of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile

import slakh_hier as sh
from slakh_hier.hierarchy import load_hierarchy

Recordings = Callable[[str], Path]


def song(root: Path, title: str) -> Path:
    return next(
        path for path in root.iterdir() if json.loads((path / "data.json").read_text())["song"] == title
    )


def edit(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    data = json.loads((folder / "data.json").read_text())
    change(data)
    (folder / "data.json").write_text(json.dumps(data))


def labels(content: dict[str, Any]) -> list[str]:
    return sorted("/".join(stem["labels"]) for stem in content["stems"].values())


def test_files_of_a_type_and_stems_listed_twice_are_stems_of_their_own(
    recordings: Recordings, take: Any, metadata: Any
) -> None:
    root = recordings("moisesdb")
    one = song(root, "Song One")
    names = [stem["stemName"] for stem in json.loads((one / "data.json").read_text())["stems"]]
    assert names.count("drums") > 1
    take("moisesdb", root)
    about = metadata()[one.name]
    assert (about["title"], about["artist"], about["genre"]) == ("Song One", "Artist A", "rock")
    assert labels(about) == [
        "bass/bass_guitar",
        "drums/hi_hat",
        "drums/kick_drum",
        "drums/snare_drum",
        "drums/toms",
        "drums/toms",
        "guitar/clean_electric_guitar",
        "guitar/distorted_electric_guitar",
        "vocals/background_vocals",
        "vocals/background_vocals",
        "vocals/lead_male_singer",
    ]
    bass = next(stem for stem in about["stems"].values() if stem["labels"][0] == "bass")
    assert (bass["inst_class"], bass["midi_program_name"], bass["program_num"]) == ("bass", "bass_guitar", 33)
    assert all(stem["is_drum"] == (stem["labels"][0] == "drums") for stem in about["stems"].values())


def test_odd_texts_are_short_labels_and_stay_as_names(
    recordings: Recordings, take: Any, metadata: Any
) -> None:
    root = recordings("moisesdb")
    take("moisesdb", root)
    about = metadata()[song(root, "Machines").name]
    assert labels(about) == [
        "bass/bass_synthesizer",
        "drums/drum_machine",
        "other/fx",
        "other_keys/synth_lead",
        "other_keys/synth_pad",
        "vocals/lead_female_singer",
        "vocals/other_vocals",
    ]
    assert "bass_synthesizer_(moog_etc)" in [stem["midi_program_name"] for stem in about["stems"].values()]


def test_missing_files_are_reported(recordings: Recordings, take: Any, metadata: Any) -> None:
    root = recordings("moisesdb")
    night = song(root, "Blue Night")
    report = take("moisesdb", root)
    (missing,) = report.unmatched
    assert missing.file.startswith("drums/")
    assert missing.file.endswith(".wav (cymbals)")
    assert missing.songs == (f"Artist B - Blue Night ({night.name[:8]})",)
    assert missing.hint == "is listed in data.json and not there"
    assert metadata()[night.name]["import"]["missing"] == [{"file": missing.file, "why": missing.hint}]


def test_a_song_without_any_file_and_a_folder_without_a_list(recordings: Recordings, take: Any) -> None:
    root = recordings("moisesdb")
    last = song(root, "Last")
    for path in last.rglob("*.wav"):
        path.unlink()
    (root / "notes").mkdir()
    assert dict(take("moisesdb", root).failures) == {
        last.name: "none of the files that data.json lists is there (6)",
        "notes": "its data.json is not there",
    }


@pytest.mark.parametrize(
    ("id", "why"),
    [("x" * 300, "unreadable (File name too long)"), ("\ud800", "not there"), ("folder", "not a file")],
)
def test_names_that_the_system_refuses(id: str, why: str, recordings: Recordings, take: Any) -> None:
    folder = song(recordings("moisesdb"), "Last")
    (folder / "vocals" / "folder.wav").mkdir()
    edit(folder, lambda data: data["stems"][0]["tracks"][0].update(id=id) or data.update(genre="\ud800"))
    (missing,) = [
        file for file in take("moisesdb", folder.parent).unmatched if file.songs[0].startswith("Artist E")
    ]
    assert missing.hint == f"is listed in data.json and {why}"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("place", [".", "vocals"])
def test_a_folder_that_cannot_be_read(place: str, recordings: Recordings, take: Any) -> None:
    folder = song(recordings("moisesdb"), "Last")
    (folder / place).chmod(0)
    try:
        report = take("moisesdb", folder.parent)
    finally:
        (folder / place).chmod(0o755)
    texts = [*(reason for _, reason in report.failures), *(file.hint for file in report.unmatched)]
    assert any("unreadable (Permission denied)" in text for text in texts)


def test_types_and_files_that_nobody_knows(recordings: Recordings, take: Any, tmp_path: Path) -> None:
    root = recordings("moisesdb")
    two = song(root, "Song Two")
    edit(two, lambda data: data["stems"][1]["tracks"][0].update(trackType="Kazoo (solo)"))
    soundfile.write(two / "bass" / "other take.wav", [0.0] * 100, 8000)
    report = take("moisesdb", root)
    remarks = [remark for name, remark in report.remarks if "Song Two" in name]
    assert remarks == [
        "1 file is not listed in data.json and not taken: bass/other take.wav",
        "types that are not in the taxonomy: bass/Kazoo (solo)",
    ]
    catalog = sh.scan(tmp_path / "data", load_hierarchy("moisesdb"), cache=False)
    lost = catalog.frame[catalog.frame["status"] == "unassigned"]
    assert lost["why"].str.endswith("bass/kazoo_solo has no category in the tree moisesdb").tolist() == [True]


def test_the_same_song_is_the_same_however_written(recordings: Recordings, take: Any, metadata: Any) -> None:
    root = recordings("moisesdb")
    one, two = song(root, "Song One"), song(root, "Song Two")
    edit(two, lambda data: data.update(song="song-one!", artist=" ARTIST a"))
    edit(song(root, "Last"), lambda data: data.update(song="", artist=None))
    take("moisesdb", root)
    found = metadata()
    assert found[one.name]["UUID"] == found[two.name]["UUID"]
    assert found[one.name]["split"] == found[two.name]["split"]
    assert len({content["UUID"] for content in found.values()}) == len(found) - 1


@pytest.mark.parametrize(
    ("bleed", "stems", "songs"), [("keep", 11, 6), ("drop-stem", 10, 6), ("drop-song", 0, 5)]
)
def test_bleed(
    bleed: str, stems: int, songs: int, recordings: Recordings, take: Any, metadata: Any, tmp_path: Path
) -> None:
    root = recordings("moisesdb")
    one = song(root, "Song One")
    report = take("moisesdb", root, bleed=bleed)
    found = metadata()
    assert len(found) == songs
    assert len(found.get(one.name, {"stems": ()})["stems"]) == stems
    catalog = sh.scan(tmp_path / "data", load_hierarchy("moisesdb"), cache=False)
    assert catalog.frame["bleed"].sum() == (bleed == "keep")
    assert catalog.frame.loc[catalog.frame["bleed"], "labels"].tolist() == ["drums/snare_drum"] * (
        bleed == "keep"
    )
    assert any(f"--bleed {bleed} left out" in note for note in report.notes) == (bleed != "keep")
    numbers = {content["title"]: content["import"]["song"] for content in found.values()}
    assert len(numbers) == songs


def test_tracks_keep_their_numbers_when_songs_are_dropped(
    recordings: Recordings, take: Any, tmp_path: Path
) -> None:
    root = recordings("moisesdb")
    take("moisesdb", root, "all", splits="100,0,0")
    take("moisesdb", root, "some", splits="100,0,0", bleed="drop-song")
    names = {out: {path.name for path in (tmp_path / out / "train").iterdir()} for out in ("all", "some")}
    assert names["some"] < names["all"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "data.json is not JSON: "),
        ("[" * 100_000, "data.json is not JSON: "),
        ("[]", "data.json has no list of stems"),
        ('{"stems": {}}', "data.json has no list of stems"),
        ('{"stems": [5]}', "data.json: a stem has no list of tracks"),
        ('{"stems": [{"stemName": "bass", "tracks": [5]}]}', "data.json: a stem has no list of tracks"),
        ('{"stems": [{"stemName": "../..", "tracks": []}]}', "data.json: stemName is '../..', not a file's name"),
        ('{"stems": [{"stemName": "bass", "tracks": [{"id": "../../x"}]}]}', "data.json: id is '../../x', not"),
        ('{"stems": [{"stemName": "bass", "tracks": [{"id": "x", "extension": "a/b"}]}]}', "data.json: extension is 'a/b'"),
        ('{"stems": [{"stemName": "bass", "tracks": [{"id": "x\\u0000"}]}]}', "data.json: id is "),
        ('{"stems": []}', "none of the files that data.json lists is there"),
    ],
)  # fmt: skip
def test_a_damaged_list_costs_its_song(text: str, reason: str, recordings: Recordings, take: Any) -> None:
    root = recordings("moisesdb")
    one = song(root, "Song One")
    (one / "data.json").write_text(text)
    report = take("moisesdb", root)
    assert report.made == 5
    assert dict(report.failures)[one.name].startswith(reason)
