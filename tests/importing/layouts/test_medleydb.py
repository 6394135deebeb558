"""MedleyDB: metadata wherever they lie, labels, artists, the whole room, and mixing coefficients."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

from slakh_hier.errors import InputError
from slakh_hier.importing.layouts import LayoutOptions, list_songs
from slakh_hier.importing.layouts.medleydb import _artist

Recordings = Callable[[str], Path]
MOZART = "AmadeusRedux_MozartAllegro"


def test_stems_not_raws_and_not_the_whole_room(recordings: Recordings, take: Any, metadata: Any) -> None:
    root = recordings("medleydb")
    report = take("medleydb", root)
    about = metadata()[MOZART]
    assert [stem["labels"] for stem in about["stems"].values()] == [
        ["strings", "bowed", "cello"],
        ["strings", "bowed", "violin"],
    ]
    assert [stem["has_bleed"] for stem in about["stems"].values()] == [True, True]
    assert (MOZART, "S03 is the whole room (Main System), and left out") in report.remarks
    assert all(
        "_RAW_" not in stem["source"] for song in metadata().values() for stem in song["stems"].values()
    )
    take("medleydb", root, "room", layout_options=LayoutOptions(main_system=True))
    assert [stem["labels"][-1] for stem in metadata("room")[MOZART]["stems"].values()] == [
        "cello",
        "violin",
        "main_system",
    ]


def test_bleed_of_a_song_is_that_of_all_its_stems(recordings: Recordings, take: Any, metadata: Any) -> None:
    report = take("medleydb", recordings("medleydb"), bleed="drop-stem")
    assert MOZART not in metadata()
    assert f"--bleed drop-stem left out 1 song: {MOZART}" in report.notes


def test_labels_of_two_levels_and_of_several_words(recordings: Recordings, take: Any, metadata: Any) -> None:
    report = take("medleydb", recordings("medleydb"))
    labels = [stem["labels"] for stem in metadata()["Snowmine_Curfews"]["stems"].values()]
    assert labels == [
        ["percussion", "drums", "drum_set"],
        ["electric", "electronic", "synthesizer"],
        ["voices", "male_singer"],
    ]
    assert ("Snowmine_Curfews", "S03 is male singer and vocalists: taken as male singer") in report.remarks


@pytest.mark.parametrize(
    ("id", "given", "artist"),
    [
        ("AimeeNorwich_Child", "Aimee Norwich", "Aimee Norwich"),
        ("MusicDelta_Rock", "Music Delta Multitracks", "Music Delta (Rock)"),
        ("MusicDelta_ChineseHenan", "Music Delta", "Music Delta Chinese"),
        ("MusicDelta_ChineseDrama", None, "Music Delta Chinese"),
        ("BrandonWebster_DontHearAThing", "Brandon Webster", "Caitlin Michelle Remmel & Benjamin Hood"),
        ("Schumann_Mignon", "Schumann", "NYU Female Singer 1"),
        ("Wolf_DieBekherte", "Wolf", "NYU Female Singer 1"),
        ("MatthewEntwistle_Lontano", "Somebody Else", "MatthewEntwistle"),
    ],
)
def test_artists_are_those_that_splits_go_by(id: str, given: str | None, artist: str) -> None:
    assert _artist(id, given) == artist


def test_songs_of_an_artist_stay_together(recordings: Recordings, take: Any, metadata: Any) -> None:
    root = recordings("medleydb")
    for seed in range(4):
        take("medleydb", root, f"data{seed}", seed=seed, splits="34,33,33")
        found = metadata(f"data{seed}")
        assert found["AimeeNorwich_Child"]["split"] == found["AimeeNorwich_Flying"]["split"]


@pytest.mark.parametrize("place", ["Audio", "audio", "V1", "."])
def test_audio_in_other_folders(place: str, recordings: Recordings, take: Any) -> None:
    root = recordings("medleydb")
    if place == ".":
        for song in (root / "Audio").iterdir():
            song.rename(root / song.name)
        (root / "Audio").rmdir()
    elif place != "Audio":
        (root / "Audio").rename(root / place)
    assert take("medleydb", root).made == 8
    if place == "V1":
        assert take("medleydb", root / place, "v1").made == 8


def test_metadata_beside_the_audio_or_elsewhere(recordings: Recordings, take: Any, tmp_path: Path) -> None:
    root = recordings("medleydb")
    elsewhere = (root / "Metadata").rename(tmp_path / "elsewhere")
    with pytest.raises(
        InputError,
        match=r"AClassicEducation_NightOwl_METADATA.yaml is neither beside it nor in .*Metadata; --metadata",
    ):
        take("medleydb", root)
    with pytest.raises(
        InputError, match="is MedleyDB's metadata without the audio: give the folder that holds Audio"
    ):
        take("medleydb", elsewhere)
    nowhere = tmp_path / "nowhere"
    with pytest.raises(
        InputError, match=f"--metadata {nowhere} is not a folder; it holds <id>_METADATA.yaml"
    ):
        take("medleydb", root, layout_options=LayoutOptions(metadata=nowhere))
    assert take("medleydb", root, layout_options=LayoutOptions(metadata=elsewhere)).made == 8
    for file in elsewhere.iterdir():
        song = file.name.removesuffix("_METADATA.yaml")
        shutil.copy(file, root / "Audio" / song)
    assert take("medleydb", root, "beside").made == 8


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: "stems: [", "is not YAML|not YAML"),
        (lambda text: "title: x", "has no stems"),
        (lambda text: text.replace("S01", "../S01"), "its metadata hold '../S01' in place of a stem"),
        (lambda text: text.replace("instrument: cello", "other: cello"), "the stem S01 has no instrument"),
    ],
)
def test_damaged_metadata_cost_their_song(
    change: Any, reason: str, recordings: Recordings, take: Any
) -> None:
    root = recordings("medleydb")
    path = root / "Metadata" / f"{MOZART}_METADATA.yaml"
    path.write_text(change(path.read_text()))
    report = take("medleydb", root)
    assert report.made == 7
    assert re.search(reason, dict(report.failures)[MOZART])


def test_a_song_without_its_stems_is_reported(recordings: Recordings, take: Any) -> None:
    root = recordings("medleydb")
    shutil.rmtree(root / "Audio" / "MusicDelta_Rock" / "MusicDelta_Rock_STEMS")
    assert dict(take("medleydb", root).failures) == {"MusicDelta_Rock": "has no folder MusicDelta_Rock_STEMS"}


def test_missing_and_unlisted_stems(recordings: Recordings, take: Any) -> None:
    root = recordings("medleydb")
    stems = root / "Audio" / "Snowmine_Curfews" / "Snowmine_Curfews_STEMS"
    (stems / "Snowmine_Curfews_STEM_01.wav").rename(stems / "Snowmine_Curfews_STEM_09.wav")
    report = take("medleydb", root)
    assert [(file.file, file.hint) for file in report.unmatched] == [
        (
            "Snowmine_Curfews_STEMS/Snowmine_Curfews_STEM_01.wav",
            "is listed in Snowmine_Curfews_METADATA.yaml and not there",
        )
    ]
    assert (
        "Snowmine_Curfews",
        "not in its metadata and not taken: Snowmine_Curfews_STEM_09.wav",
    ) in report.remarks


def test_mixing_coefficients_make_the_mix(
    recordings: Recordings, take: Any, metadata: Any, tmp_path: Path
) -> None:
    root = recordings("medleydb")
    file = root / "mixing_coefficients.yaml"
    plain = take("medleydb", root, "plain", audio="convert")
    assert sum("is not the sum of its stems" in remark for _, remark in plain.remarks) == 8
    options = LayoutOptions(mixing_coefficients=file)
    mixed = take("medleydb", root, audio="convert", layout_options=options)
    assert not any("is not the sum of its stems" in remark for _, remark in mixed.remarks)
    about = metadata()["Snowmine_Curfews"]
    assert [stem["mixing_gain"] for stem in about["stems"].values()] == pytest.approx([1.5, 0.75, 0.5])
    for track in (tmp_path / "data").glob("*/*/metadata.yaml"):
        content = yaml.safe_load(track.read_text())
        mix = soundfile.read(track.parent / "mix.flac")[0]
        given = soundfile.read(
            root / "Audio" / content["import"]["id"] / f"{content['import']['id']}_MIX.wav"
        )[0]
        assert np.abs(mix - content["overall_gain"] * given).max() < 6 / 32768


def test_mixing_coefficients_set_by_hand_go_first(recordings: Recordings, tmp_path: Path) -> None:
    root = recordings("medleydb")
    file = tmp_path / "gains.yaml"
    file.write_text(
        "Snowmine_Curfews: {manual: {1: 2.0, 2: 3.0, 3: 4}, audio: {1: 1, 2: 1, 3: 1}, stft: {1: 1, 2: 1, 3: 1}}\n"
        "LizNelson_Rainfall: {manual: {}, audio: {1: 1.0, 2: 1.0}, stft: {1: 0.5, 2: 2}}\n"
        "MusicDelta_Rock: {audio: {1: 1.0}, stft: {1: 0.5}}\n"
    )
    listing = list_songs("medleydb", root, LayoutOptions(mixing_coefficients=file))
    gains = {song.id: [stem.gain for stem in song.stems] for song in listing.songs}
    assert gains["Snowmine_Curfews"] == [2, 3, 4]
    assert gains["LizNelson_Rainfall"] == [0.75, 1.5]
    assert dict(listing.failures) == {"MusicDelta_Rock": "the mixing coefficients have none for its stem 2"}
    others = [song for song in listing.songs if song.id not in ("Snowmine_Curfews", "LizNelson_Rainfall")]
    assert all(
        "has no mixing coefficients: its stems are taken as they are" in song.remarks for song in others
    )


@pytest.mark.parametrize(
    "text",
    [
        "- 1\n",
        "A: {audio: {1: 1}}\n",
        "A: {audio: {1: x}, stft: {1: 1}}\n",
        "A: {manual: {1: -1}}\n",
        "A: 1\n",
    ],
)
def test_files_that_are_no_mixing_coefficients(
    text: str, recordings: Recordings, take: Any, tmp_path: Path
) -> None:
    (tmp_path / "gains.yaml").write_text(text)
    options = LayoutOptions(mixing_coefficients=tmp_path / "gains.yaml")
    wrong = "it is not a mapping" if text.startswith("-") else "A is not written so, or has a gain"
    with pytest.raises(InputError, match=rf"gains\.yaml: is not a file of mixing coefficients .*: {wrong}"):
        take("medleydb", recordings("medleydb"), audio="convert", layout_options=options)
    with pytest.raises(InputError, match=r"none\.yaml: cannot be read: No such file"):
        take(
            "medleydb",
            recordings("urmp").parent.parent / "MedleyDB",
            layout_options=LayoutOptions(mixing_coefficients=tmp_path / "none.yaml"),
        )


def test_links_cannot_take_mixing_coefficients(recordings: Recordings, take: Any) -> None:
    root = recordings("medleydb")
    options = LayoutOptions(mixing_coefficients=root / "mixing_coefficients.yaml")
    with pytest.raises(
        InputError, match="mixing coefficients change the audio, which --audio link takes as it is"
    ):
        take("medleydb", root, layout_options=options)
