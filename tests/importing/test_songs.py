"""Which folders are songs, and which song each is."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from slakh_hier.errors import InputError
from slakh_hier.importing.songs import find_songs


def touch(root: Path, *files: str) -> Path:
    for file in files:
        path = root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def found(root: Path, patterns: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    return {song.name: song.files for song in find_songs(root, patterns)[0]}


def test_folders_are_songs(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "B/vocals.wav",
        "A/STEMS/gtr.FLAC",
        "A/mix.wav",
        "A/notes.txt",
        "A/._mix.wav",
        "__MACOSX/B/x.wav",
    )
    assert found(tmp_path) == {"A": ("STEMS/gtr.FLAC", "mix.wav"), "B": ("vocals.wav",)}


def test_split_folders_hold_songs(tmp_path: Path) -> None:
    touch(tmp_path, "train/A/v.wav", "test/A/v.wav", "C/v.wav")
    assert list(found(tmp_path)) == ["C", "test/A", "train/A"]


def test_patterns_say_where_songs_lie(tmp_path: Path) -> None:
    touch(tmp_path, "Artist/One/v.wav", "Artist/Two/v.wav", "Other/One/v.wav", "x/v.wav")
    assert list(found(tmp_path, ["*/*"])) == ["Artist/One", "Artist/Two", "Other/One"]
    assert list(found(tmp_path, ["artist/*", "X"])) == ["Artist/One", "Artist/Two", "x"]


def test_links_in_circles_end(tmp_path: Path) -> None:
    touch(tmp_path, "A/v.wav")
    (tmp_path / "A" / "again").symlink_to(tmp_path / "A")
    (tmp_path / "B").symlink_to(tmp_path / "A")
    assert found(tmp_path) == {"A": ("v.wav",), "B": ("v.wav",)}


def test_what_holds_no_audio_is_reported(tmp_path: Path) -> None:
    touch(tmp_path, "A/v.wav", "Docs/x.pdf", "Old/v.m4a")
    assert find_songs(tmp_path)[1] == [
        ("Docs", "holds no audio"),
        ("Old", "holds only v.m4a, which cannot be read"),
    ]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (["vocals.wav"], "This folder looks like one song: give the folder around it"),
        (["Song.stem.mp4"], "Song.stem.mp4 must be unpacked into a folder of WAV or FLAC stems first"),
        (
            ["train/A - B.stem.mp4"],
            "A - B.stem.mp4 must be unpacked into a folder of WAV or FLAC stems first",
        ),
        (["song/x.m4a"], "x.m4a must be made WAV or FLAC first: ffmpeg -i 'x.m4a' 'x.wav'"),
        (
            ["song1_vocals.wav", "song1_drums.wav", "song2_vocals.wav", "song2_drums.wav"],
            "look like several songs side by side: a song needs a folder. Move song1_drums.wav to song1/drums.wav, and so on",
        ),
        (["A - One - bass.wav", "B - Two - bass.wav"], "Move A - One - bass.wav to A - One/bass.wav"),
        (["01_kick.wav", "02_snare.wav"], "This folder looks like one song"),
        (["gtr_L.wav", "gtr_R.wav", "bass_L.wav", "bass_R.wav"], "This folder looks like one song"),
        (["gtr 1.wav", "gtr 2.wav", "vox 1.wav"], "This folder looks like one song"),
        (["A/x.txt"], "A holds no audio"),
        (["x.txt"], "It holds x.txt"),
        ([], "It holds nothing"),
    ],
)
def test_no_song(tmp_path: Path, files: list[str], message: str) -> None:
    with pytest.raises(InputError, match="holds no song") as caught:
        find_songs(touch(tmp_path, *files))
    assert message in str(caught.value)


def test_the_song_is_the_md5_of_its_name(tmp_path: Path) -> None:
    touch(
        tmp_path, "train/Björk -  Jóga/v.wav", "test/BJÖRK - Jóga/v.wav", "Björk - Jóga/v.wav", "Other/v.wav"
    )
    songs = find_songs(tmp_path)[0]
    by_hand = subprocess.run(["md5sum"], input="björk - jóga".encode(), capture_output=True, check=True)
    assert [song.uuid for song in songs if song.name != "Other"] == [by_hand.stdout.split()[0].decode()] * 3
    assert len({song.uuid for song in songs}) == 2
