"""The same import again: what is kept, completed, made again, or refused."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from slakh_hier.errors import InputError, LockedError
from slakh_hier.importing import ImportReport
from slakh_hier.locks import folder_lock

Run = Callable[..., ImportReport]
Contents = Callable[[Path], dict[str, str]]
Tracks = Callable[[Path], dict[str, Path]]
MakeSong = Callable[..., dict[str, np.ndarray]]


def test_a_second_run_keeps_everything(songs: Path, run: Run) -> None:
    first = run(songs)
    before = {path: path.stat().st_mtime_ns for path in (songs.parent / "slakh").rglob("S*.flac")}
    second = run(songs)
    assert (first.made, first.kept, second.made, second.kept) == (6, 0, 0, 6)
    assert second.splits == first.splits
    assert second.notes == first.notes
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_what_is_missing_is_made_again_and_leftovers_go(
    songs: Path, run: Run, contents: Contents, tracks: Tracks
) -> None:
    run(songs)
    out = songs.parent / "slakh"
    whole = contents(out)
    shutil.rmtree(tracks(out)["Artist 3 - Song"])
    (out / ".tmp-Track00004" / "stems").mkdir(parents=True)
    (out / ".tmp-0123").touch()
    report = run(songs)
    assert (report.made, report.kept) == (1, 5)
    assert contents(out) == whole
    assert not list(out.glob(".tmp-*"))


def cut(path: Path, left: float) -> None:
    data = path.read_bytes()
    path.unlink()  # it may be a hard link to the song's
    path.write_bytes(data[: round(len(data) * left)])


def flip_length(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[25] ^= 1  # of a FLAC: in its number of samples
    path.write_bytes(data)


@pytest.mark.parametrize("audio", ["convert", "copy", "link"])
@pytest.mark.parametrize(
    ("file", "harm", "reported"),
    [
        ("stems/S01", lambda path: cut(path, 0.7), r"has \d+ bytes, not \d+"),
        ("mix", Path.unlink, "is gone"),
        (".made.json", Path.unlink, "the note of its files, is gone"),
        ("metadata.yaml", lambda path: cut(path, 0.5), "is cut short"),
    ],
    ids=["stem cut", "mix gone", "note gone", "metadata cut"],
)
def test_a_track_whose_audio_was_damaged_later_is_made_again(
    songs: Path,
    audio: str,
    file: str,
    harm: Callable[[Path], None],
    reported: str,
    run: Run,
    contents: Contents,
    tracks: Tracks,
) -> None:
    run(songs, audio=audio)
    out = songs.parent / "slakh"
    whole = contents(out)
    track = tracks(out)["Artist 3 - Song"]
    others = [
        path for path in out.rglob("*.*") if path.is_relative_to(out / "train") and track not in path.parents
    ]
    times = {path: path.stat().st_mtime_ns for path in others if path.is_file()}
    (damaged,) = [path for path in track.rglob("*") if str(path.relative_to(track)).startswith(file)]
    harm(damaged)
    report = run(songs, audio=audio)
    assert (report.made, report.kept) == (1, 5)
    place = track.relative_to(out).as_posix()
    (note,) = [note for note in report.notes if "made again" in note]
    assert re.match(rf"{place} \(Artist 3 - Song\) was made again: .*({reported})", note)
    assert contents(out) == whole
    assert times
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert not any("made again" in note for note in run(songs, audio=audio).notes)
    assert run(songs, audio=audio, overwrite=True).made == 6
    assert contents(out) == whole


def test_a_header_that_changed_in_place_is_seen(
    songs: Path, run: Run, contents: Contents, tracks: Tracks
) -> None:
    run(songs)
    whole = contents(songs.parent / "slakh")
    flip_length(tracks(songs.parent / "slakh")["Artist 2 - Song"] / "stems" / "S00.flac")
    assert run(songs).made == 1
    assert contents(songs.parent / "slakh") == whole


def test_metadata_that_were_edited_by_hand_stay(songs: Path, run: Run, tracks: Tracks) -> None:
    run(songs)
    path = tracks(songs.parent / "slakh")["Artist 2 - Song"] / "metadata.yaml"
    path.write_text(path.read_text() + "# edited\n")
    assert run(songs).made == 0
    assert path.read_text().endswith("# edited\n")


DYING = """
import os, signal
import slakh_hier.importing.track as track

convert, songs = track.convert, []

def dying(song, *rest, **named):
    songs.append(song)
    made = convert(song, *rest, **named)
    if len(songs) == 3:  # written, and not yet published
        os.kill(os.getpid(), signal.SIGKILL)
    return made

track.convert = dying
from slakh_hier.importing import ImportReport, import_data_set
import_data_set("songs", "slakh", map_file="map.yaml", jobs=1)
"""


def test_a_killed_run_is_continued(songs: Path, run: Run, contents: Contents, tracks: Tracks) -> None:
    run(songs, "whole")
    killed = subprocess.run([sys.executable, "-c", DYING], cwd=songs.parent, check=False)
    assert killed.returncode == -signal.SIGKILL
    out = songs.parent / "slakh"
    assert (len(tracks(out)), len(list(out.glob(".tmp-Track*")))) == (2, 1)
    report = run(songs)
    assert (report.made, report.kept) == (4, 2)
    assert contents(out) == contents(songs.parent / "whole")


def test_changes_need_update(
    songs: Path, make_song: MakeSong, run: Run, contents: Contents, tracks: Tracks
) -> None:
    run(songs)
    out = songs.parent / "slakh"
    before = contents(out)
    (songs.parent / "map.yaml").write_text(
        (songs.parent / "map.yaml").read_text().replace("program: 33", "program: 34")
    )
    with pytest.raises(
        InputError, match=r"6 of its tracks would now be made otherwise or not at all: .*--update"
    ):
        run(songs)
    assert contents(out) == before
    assert run(songs, update=True).made == 6
    shutil.rmtree(songs / "Artist 5 - Song")
    make_song(songs / "Artist 6 - Song", 6)
    with pytest.raises(InputError, match="tracks would now be made otherwise"):
        run(songs)
    run(songs, update=True)
    assert set(tracks(out)) == {f"Artist {i} - Song" for i in (0, 1, 2, 3, 4, 6)}


@pytest.mark.parametrize("linked", ["split", "track"])
def test_nothing_is_removed_behind_links(
    songs: Path, linked: str, run: Run, contents: Contents, tracks: Tracks
) -> None:
    run(songs)
    track = tracks(songs.parent / "slakh")["Artist 3 - Song"]
    place = track if linked == "track" else track.parent
    place.rename(songs.parent / "mine")
    place.symlink_to(songs.parent / "mine")
    text = (songs.parent / "map.yaml").read_text()
    (songs.parent / "map.yaml").write_text(text.replace("program: 33", "program: 34"))
    before = contents(songs.parent / "mine")
    with pytest.raises(InputError, match=f"{place.name}: is a symbolic link"):
        run(songs, update=True)
    assert contents(songs.parent / "mine") == before


def test_a_song_that_is_mended_joins_the_others(songs: Path, run: Run, tracks: Tracks) -> None:
    path = songs / "Artist 0 - Song" / "bass.wav"
    good = path.read_bytes()
    path.write_bytes(good[:1000])
    report = run(songs)
    ((song, reason),) = report.failures
    assert (song, report.made) == ("Artist 0 - Song", 5)
    assert reason.startswith("bass.wav: is cut short: its header declares")
    path.write_bytes(good)
    assert (run(songs).made, len(tracks(songs.parent / "slakh"))) == (1, 6)


def test_folders_that_are_not_ours(songs: Path, run: Run) -> None:
    out = songs.parent / "slakh"
    out.mkdir()
    (out / "mine.txt").touch()
    with pytest.raises(InputError, match=r"holds mine.txt and no import.json: it was not made by import"):
        run(songs)
    for place, message in (("songs/out", "which is only read"), (".", "holds the songs")):
        with pytest.raises(InputError, match=message):
            run(songs, place)
    run(songs, "other")
    foreign = songs.parent / "other" / "train" / "Track99999"
    foreign.mkdir()
    (foreign / "metadata.yaml").write_text("stems: {}\n")
    with pytest.raises(InputError, match="Track99999 was not made by import"):
        run(songs, "other", update=True)
    assert foreign.is_dir()


def test_one_writer(songs: Path, run: Run) -> None:
    out = songs.parent / "slakh"
    out.mkdir()
    with folder_lock(out), pytest.raises(LockedError):
        run(songs)
